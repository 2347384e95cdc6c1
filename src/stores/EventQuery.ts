/**
 * Queries over events: plain, serialisable data, builders for it, and the pure matcher that is the meaning of a query.
 *
 * Filters are OR-ed. Inside one filter the event types are OR-ed, the payload predicates are OR-ed, the tags are AND-ed,
 * and the three constraints are AND-ed (the contract's "Matching"). In the terms of the DCB specification a query is a
 * list of query items, and `appendIf` with a query and a context version is its append condition.
 */
import * as Result from "effect/Result"
import type { EventRecord, JsonValue } from "./Event.ts"
import type { EventStoreErrorReason } from "./EventStoreError.ts"
import { EventStoreError } from "./EventStoreError.ts"
import { matchesQuery } from "./internal/match.ts"
import { canonicalText, identifyingText, normaliseQuery } from "./internal/normaliseQuery.ts"

/** One alternative of a query. A constraint that is left out does not constrain. */
export interface EventFilter {
  /** The event has one of these types. `[]` matches nothing. */
  readonly eventTypes?: ReadonlyArray<string> | undefined
  /** The payload contains one of these values, by recursive subset ("Matching", rules 4 to 7). `[]` matches nothing. */
  readonly payloadPredicates?: ReadonlyArray<JsonValue> | undefined
  /** The event has all of these tags. `[]` does not constrain. */
  readonly tags?: ReadonlyArray<string> | undefined
}

/** Which events: those that match one of `filters`; no filters, or an empty list, means all events. */
export interface EventQuery {
  readonly filters?: ReadonlyArray<EventFilter> | undefined
  /** Exclusive read cursor: limits which records are returned, never the context version (Q2). 0 is the start. */
  readonly minSequenceNumber?: number | undefined
}

/** What of an event the matcher looks at. */
export type Matchable = Pick<EventRecord, "eventType" | "payload" | "tags">

/** All events. */
export const all: EventQuery = {}

/** The events that match one of the filters. */
export const make = (...filters: ReadonlyArray<EventFilter>): EventQuery => ({ filters })

/** The events of one of these types. */
export const ofTypes = (...eventTypes: ReadonlyArray<string>): EventQuery => make({ eventTypes })

/** The events that carry all of these tags. */
export const withTags = (...tags: ReadonlyArray<string>): EventQuery => make({ tags })

/** The events whose payload contains one of these values. */
export const withPayload = (...payloadPredicates: ReadonlyArray<JsonValue>): EventQuery => make({ payloadPredicates })

/** The events that one of the queries matches: none without queries. Read cursors are not kept. */
export const or = (...queries: ReadonlyArray<EventQuery>): EventQuery => {
  if (queries.length === 0) return ofTypes()
  return queries.some((query) => (query.filters ?? []).length === 0)
    ? all
    : { filters: queries.flatMap((query) => query.filters ?? []) }
}

/** The same query, returning only records after `sequenceNumber`. */
export const after = (query: EventQuery, sequenceNumber: number): EventQuery => ({
  ...query,
  minSequenceNumber: sequenceNumber
})

/** A query that has been checked once, for matching many events. */
export interface Matcher {
  (event: Matchable): boolean
}

/** Checks a query and gives its matcher, or why the query is refused. The read cursor takes no part in matching. */
export const matcher = (query: EventQuery): Result.Result<Matcher, EventStoreErrorReason> =>
  Result.map(
    normaliseQuery(query, "query"),
    (normalised): Matcher =>
      (event) =>
        matchesQuery(normalised, event)
  )

/** Whether the event matches the query. Throws the typed error of a query that is refused. */
export const matches = (query: EventQuery, event: Matchable): boolean => orThrow(matcher(query))(event)

/**
 * The canonical text of a query's filters: equal for queries that are the same up to the order and repetition of filters,
 * types, tags, predicates and object keys. The read cursor is not part of it. Throws the typed error of a query that is
 * refused.
 */
export const canonical = (query: EventQuery): string => canonicalText(orThrow(normaliseQuery(query, "query")))

/** Tells queries apart like `canonical`, in 1,024 characters at the most: what is kept with a cursor. */
export const identifying = (query: EventQuery): string => identifyingText(orThrow(normaliseQuery(query, "query")))

const orThrow = <A>(result: Result.Result<A, EventStoreErrorReason>): A =>
  Result.getOrThrowWith(result, (reason) => new EventStoreError({ reason }))
