/**
 * What several processes did to one log and what they were told, each operation with the times of its call and of its answer.
 * All times are microseconds of the system's monotonic clock, rounded down: comparable between processes of one machine, and
 * never in an order that the calls did not have.
 */
import { createHash } from "node:crypto"
import type { EventQuery, EventRecord } from "evolvent"

/** An event as it was offered; its payload's `label` is unique in the history. */
export interface Offered {
  readonly eventType: string
  readonly tags: ReadonlyArray<string>
  readonly payload: { readonly label: string }
}

interface Timed {
  readonly process: number
  readonly invoked: number
  readonly answered: number
}

export interface Appended {
  readonly _tag: "Appended"
  readonly first: number
  readonly last: number
  readonly digest: string
}

export interface Conflict {
  readonly _tag: "Conflict"
  readonly expected: number | null
  readonly actual: number | null
  readonly head: number
  /** The numbers of its tail, where one was asked for. */
  readonly tail: ReadonlyArray<number> | undefined
}

export interface Found {
  readonly _tag: "Found"
  readonly numbers: ReadonlyArray<number>
  readonly digest: string
  readonly lastReturned: number | null
  readonly version: number | null
  readonly head: number | null
}

export interface Failed {
  readonly _tag: "Failed"
  readonly message: string
}

export interface Append extends Timed {
  readonly kind: "append"
  readonly events: ReadonlyArray<Offered>
  readonly answer: Appended | Failed
}

export interface AppendIf extends Timed {
  readonly kind: "appendIf"
  readonly events: ReadonlyArray<Offered>
  readonly query: EventQuery.EventQuery
  readonly expected: number | null
  /** The head of the snapshot in which `expected` was read, where the call named it. */
  readonly seenHead: number | null | undefined
  readonly answer: Appended | Conflict | Failed
}

export interface Query extends Timed {
  readonly kind: "query"
  readonly query: EventQuery.EventQuery
  readonly answer: Found | Failed
}

/** The times are those of its registration. */
export interface Stream extends Timed {
  readonly kind: "stream"
  readonly query: EventQuery.EventQuery
  /** The numbers of every batch, up to the end of the log. */
  readonly batches: ReadonlyArray<ReadonlyArray<number>>
  readonly digest: string
}

export type Operation = Append | AppendIf | Query | Stream

export interface History {
  /** The whole log, read when everybody was done. */
  readonly log: ReadonlyArray<EventRecord>
  readonly operations: ReadonlyArray<Operation>
}

/** Stands for the records with all that they hold. */
export const digestOf = (records: ReadonlyArray<EventRecord>): string => {
  const hash = createHash("sha256")
  for (const record of records) hash.update(textOf(record)).update("\n")
  return hash.digest("base64")
}

const texts = new WeakMap<object, string>()

const textOf = (record: EventRecord): string => {
  const known = texts.get(record)
  if (known !== undefined) return known
  const text = JSON.stringify(ordered(record))
  texts.set(record, text)
  return text
}

/** The same value with the keys of its objects in one order, which no store promises. */
export const ordered = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(ordered)
  const entries = Object.entries(value).map(([key, member]) => [key, ordered(member)] as const)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}
