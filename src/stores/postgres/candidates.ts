/** What is asked of the index together, and what it answers. */
import type { EventRecord } from "../Event.ts"
import type { Span } from "../internal/reading.ts"
import { int4s, int8s, texts } from "./arrays.ts"
import { separated } from "./columns.ts"
import type { Rows } from "./Database.ts"
import type { Parameter } from "./driver.ts"
import type { Alternative } from "./keys.ts"
import { addAlternatives, noAlternatives } from "./keys.ts"

/** Candidates of one alternative that are read together with those of other queries. */
export const fewCandidates = 256

/** Candidates that are worth looking up one by one; a query with more of them is read by scanning the log. */
export const manyCandidates = 20_000

/** A question for the index. */
export interface Lookup {
  readonly alternatives: ReadonlyArray<Alternative>
  /** Whether they were made knowing that some events are indexed in part. */
  readonly withPartly: boolean
  readonly span: Span
  /** Candidates of an alternative; with so many of them the answer may lack some. */
  readonly most: number
}

/** Candidates in a span, ascending and distinct. What did not come in the common answer, for whatever reason, is `undefined`. */
export interface Candidates {
  readonly found: ReadonlyArray<Candidate>
  /** Up to here the index was looked at. */
  readonly upTo: number
  readonly isComplete: boolean
}

export interface Candidate {
  readonly number: number
  readonly record: EventRecord | undefined
}

/** The parameters of the statement that reads a group. */
export const lookupColumns = (group: ReadonlyArray<Lookup>): Array<Parameter> => {
  const columns = noAlternatives()
  const afters: Array<number> = []
  const upTos: Array<number> = []
  let most = fewCandidates
  for (const [index, { alternatives, most: own, span }] of group.entries()) {
    most = Math.max(most, own)
    addAlternatives(columns, index + 1, alternatives)
    for (let count = alternatives.length; count > 0; count--) {
      afters.push(span.after)
      upTos.push(span.upTo)
    }
  }
  return columns.requests.length === 0
    ? [null, null, null, null, null, null]
    : [int4s(columns.requests), texts(columns.alls), texts(columns.anys), int8s(afters), int8s(upTos), most]
}

/** The rows of the answer, by who asked for them; `covered` is how far the index was looked at. */
export const toCandidates = (
  group: ReadonlyArray<Lookup>,
  rows: Rows,
  covered: number,
  isStale: boolean
): ReadonlyArray<Candidates> => {
  const found = group.map(() => new Map<number, EventRecord | undefined>())
  const counts = group.map(() => 0)
  const records = recordsOf(rows)
  const [, requests, numbers] = rows.find(([kind]) => kind === "2") ?? []
  const wanted = toNumbers(numbers)
  for (const [index, request] of toNumbers(requests).entries()) {
    const number = wanted[index]!
    counts[request - 1]!++
    found[request - 1]!.set(number, records.get(number))
  }
  return group.map(({ most, span, withPartly }, index) =>
    isStale && !withPartly
      ? { found: [], upTo: span.after, isComplete: true }
      : {
          found: ascending(found[index]!),
          upTo: Math.max(span.after, Math.min(covered, span.upTo)),
          isComplete: counts[index]! < most
        }
  )
}

/** The events that came joined, by their numbers. */
const recordsOf = (rows: Rows): ReadonlyMap<number, EventRecord> => {
  const joined = rows.find(([kind]) => kind === "3")
  const records = joined === undefined ? [] : separated(joined.slice(1, 9))
  return new Map(records.map((record) => [record.sequenceNumber, record]))
}

const ascending = (found: ReadonlyMap<number, EventRecord | undefined>): ReadonlyArray<Candidate> =>
  Array.from(found, ([number, record]) => ({ number, record })).sort((a, b) => a.number - b.number)

/** Reads an array's text; no array is an empty one. */
const toNumbers = (text: string | null | undefined): ReadonlyArray<number> =>
  typeof text === "string" ? (JSON.parse(`[${text.slice(1, -1)}]`) as Array<number>) : []
