/** Validates and normalises queries and expected context versions, once, before any store sees them. */
import { createHash } from "node:crypto"
import * as Result from "effect/Result"
import type { JsonValue } from "../Event.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { InvalidInput } from "../EventStoreError.ts"
import * as Limits from "../Limits.ts"
import { normaliseNames, refuseUnknownKeys } from "./normaliseEvents.ts"
import type { Trail } from "./normaliseJson.ts"
import { attempt, copyJson, limit, refuse, within } from "./normaliseJson.ts"

/** A validated filter that can match something. */
export interface NormalisedFilter {
  /** Distinct and sorted, not empty; `undefined` where any type will do. */
  readonly eventTypes: ReadonlyArray<string> | undefined
  /** Distinct and sorted; empty where tags do not constrain. */
  readonly tags: ReadonlyArray<string>
  /** Not empty; `undefined` where any payload will do. */
  readonly payloadPredicates: ReadonlyArray<JsonValue> | undefined
}

/** A validated query. */
export interface NormalisedQuery {
  /** `undefined`: all events; empty: no event. */
  readonly filters: ReadonlyArray<NormalisedFilter> | undefined
  readonly minSequenceNumber: number
}

/** The query that matches all events. */
export const everything: NormalisedQuery = { filters: undefined, minSequenceNumber: 0 }

const queryKeys = new Set(["filters", "minSequenceNumber"])
const noTags: ReadonlyArray<string> = []
const filterKeys = new Set(["eventTypes", "payloadPredicates", "tags"])

/** Checks and copies a query; `path` names it in errors. */
export const normaliseQuery = (query: unknown, path: string): Result.Result<NormalisedQuery, EventStoreErrorReason> =>
  attempt(path, (trail) => {
    if (typeof query !== "object" || query === null || Array.isArray(query)) return refuse(trail, "expected a query")
    refuseUnknownKeys(query, queryKeys, trail)
    const { filters, minSequenceNumber } = query as Record<string, unknown>
    return {
      filters: filters === undefined ? undefined : within(trail, "filters", filters, normaliseFilters),
      minSequenceNumber:
        minSequenceNumber === undefined ? 0 : within(trail, "minSequenceNumber", minSequenceNumber, checkPosition)
    }
  })

/** Streams say by themselves where they start. */
export const refuseReadCursor = (query: NormalisedQuery): Result.Result<NormalisedQuery, EventStoreErrorReason> =>
  query.minSequenceNumber === 0
    ? Result.succeed(query)
    : Result.fail(
        new InvalidInput({
          path: "query.minSequenceNumber",
          problem: "a stream says by itself where it starts; leave the read cursor out"
        })
      )

/** Checks the expected version of a context: `null` for an empty one, or a sequence number. */
export const normaliseExpected = (
  expected: unknown,
  path: string
): Result.Result<number | null, EventStoreErrorReason> =>
  expected === null
    ? nothingExpected
    : isPosition(expected)
      ? Result.succeed(expected + 0)
      : Result.fail(new InvalidInput({ path, problem: noPosition }))

const nothingExpected = Result.succeed(null)

/** A sequence number, or 0 for the position before the first. */
const isPosition = (position: unknown): position is number =>
  Number.isSafeInteger(position) && (position as number) >= 0

const noPosition = "expected a whole number from 0 to 2^53 - 1"

const checkPosition = (position: unknown, trail: Trail): number =>
  isPosition(position) ? position + 0 : refuse(trail, noPosition)

const normaliseFilters = (filters: unknown, trail: Trail): ReadonlyArray<NormalisedFilter> | undefined => {
  if (!Array.isArray(filters)) return refuse(trail, "expected an array of filters")
  if (filters.length === 0) return undefined
  limit(trail, "filters in one query", Limits.maxFilters, filters.length)
  const budget: TermBudget = { used: 0 }
  const normalised: Array<NormalisedFilter> = []
  let unconstrained = false
  for (let index = 0; index < filters.length; index++) {
    trail.enter(index)
    const filter = normaliseFilter(filters[index], trail, budget)
    trail.leave()
    if (filter === undefined) continue
    normalised.push(filter)
    if (filter.eventTypes === undefined && filter.payloadPredicates === undefined && filter.tags.length === 0) {
      unconstrained = true
    }
  }
  return unconstrained ? undefined : normalised
}

/** Event types, predicates and tags of all filters so far. */
interface TermBudget {
  used: number
}

const spend = (budget: TermBudget, trail: Trail, terms: ReadonlyArray<unknown>): void => {
  budget.used += terms.length
  limit(trail, "event types, predicates and tags in one query", Limits.maxQueryTerms, budget.used)
}

/** `undefined` for a filter that matches nothing. */
const normaliseFilter = (filter: unknown, trail: Trail, budget: TermBudget): NormalisedFilter | undefined => {
  if (typeof filter !== "object" || filter === null || Array.isArray(filter)) return refuse(trail, "expected a filter")
  refuseUnknownKeys(filter, filterKeys, trail)
  const { eventTypes, payloadPredicates, tags } = filter as Record<string, unknown>
  const normalised: NormalisedFilter = {
    eventTypes: normaliseTerms(eventTypes, trail, "eventTypes", budget, normaliseNames),
    payloadPredicates: normaliseTerms(payloadPredicates, trail, "payloadPredicates", budget, normalisePredicates),
    tags: normaliseTerms(tags, trail, "tags", budget, normaliseNames) ?? noTags
  }
  return normalised.eventTypes?.length === 0 || normalised.payloadPredicates?.length === 0 ? undefined : normalised
}

const normaliseTerms = <A>(
  terms: unknown,
  trail: Trail,
  key: string,
  budget: TermBudget,
  normalise: (terms: ReadonlyArray<unknown>, trail: Trail) => A
): A | undefined => {
  if (terms === undefined) return undefined
  trail.enter(key)
  if (!Array.isArray(terms)) return refuse(trail, "expected an array")
  spend(budget, trail, terms)
  const normalised = normalise(terms, trail)
  trail.leave()
  return normalised
}

const normalisePredicates = (predicates: ReadonlyArray<unknown>, trail: Trail): ReadonlyArray<JsonValue> => {
  const copies = new Array<JsonValue>(predicates.length)
  for (let index = 0; index < copies.length; index++) {
    trail.enter(index)
    copies[index] = copyJson(predicates[index], trail, Limits.largestMaxPayloadBytes)
    trail.leave()
  }
  return copies
}

/** Equal for queries that differ only in the order and repetition of their parts. The read cursor takes no part. */
export const canonicalText = (query: NormalisedQuery): string => {
  if (query.filters === undefined) return "all"
  return `[${sortedDistinct(query.filters.map(canonicalFilter)).join(",")}]`
}

/** Longest canonical text that is kept with a cursor, whose row is written anew with every move. */
const longestIdentifying = 1_024

/** Tells queries apart like the canonical text, and is short. Kept with cursors, so it is a format. */
export const identifyingText = (query: NormalisedQuery): string => {
  const text = canonicalText(query)
  return text.length <= longestIdentifying ? text : `sha256 ${createHash("sha256").update(text).digest("hex")}`
}

const canonicalFilter = (filter: NormalisedFilter): string =>
  JSON.stringify([
    filter.eventTypes ?? null,
    filter.payloadPredicates === undefined ? null : sortedDistinct(filter.payloadPredicates.map(canonicalJson)),
    filter.tags
  ])

/** JSON text with the keys of every object sorted. */
export const canonicalJson = (value: JsonValue): string => {
  if (value === null || typeof value !== "object") return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`
  const members = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`)
  return `{${members.sort().join(",")}}`
}

const sortedDistinct = (texts: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set(texts)].sort()
