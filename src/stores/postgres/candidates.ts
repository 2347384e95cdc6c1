/** What is asked of the index together, and what it answers. */
import type { Span, StoredRecord } from "../internal/reading.ts"
import { corrupt, fromRow } from "../internal/rows.ts"
import { int4s, int8s, texts } from "./arrays.ts"
import type { Rows } from "./Database.ts"
import type { Alternative } from "./keys.ts"
import { addAlternatives, noAlternatives } from "./keys.ts"

/** Candidates of one alternative that are read together with those of other queries. */
export const fewCandidates = 256

/** A question for the index. */
export interface Lookup {
  readonly alternatives: ReadonlyArray<Alternative>
  /** Whether they were made knowing that some events are indexed in part. */
  readonly withPartly: boolean
  readonly span: Span
  /** Candidates of an alternative; with so many of them the answer may lack some. */
  readonly most: number
}

/** Candidates in a span, ascending and distinct. Records that are too large for a common answer are `undefined`. */
export interface Candidates {
  readonly found: ReadonlyArray<{ readonly number: number; readonly stored: StoredRecord | undefined }>
  /** Up to here the index was looked at. */
  readonly upTo: number
  readonly isComplete: boolean
}

/** The parameters of the statement that reads a group. */
export const lookupColumns = (group: ReadonlyArray<Lookup>): Array<unknown> => {
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
  const found = group.map(() => new Map<number, StoredRecord | undefined>())
  const counts = group.map(() => 0)
  const stored = new Map<number, StoredRecord | undefined>()
  for (const row of rows) {
    if (row[0] === "3") stored.set(Number(row[1]), row[5] === null ? undefined : fromRow(row, Number(row[1]), 1))
  }
  const [, , , , , requests, numbers] = rows.find(([kind]) => kind === "2") ?? []
  const wanted = toNumbers(numbers)
  for (const [index, request] of toNumbers(requests).entries()) {
    const number = wanted[index]!
    if (!stored.has(number)) corrupt(number, "the event is missing")
    counts[request - 1]!++
    found[request - 1]!.set(number, stored.get(number))
  }
  return group.map(({ most, span, withPartly }, index) =>
    isStale && !withPartly
      ? { found: [], upTo: span.after, isComplete: true }
      : {
          found: [...found[index]!].sort(([a], [b]) => a - b).map(([number, stored]) => ({ number, stored })),
          upTo: Math.max(span.after, Math.min(covered, span.upTo)),
          isComplete: counts[index]! < most
        }
  )
}

/** Reads an array's text; no array is an empty one. */
const toNumbers = (text: string | null | undefined): ReadonlyArray<number> =>
  typeof text === "string" ? text.slice(1, -1).split(",").map(Number) : []
