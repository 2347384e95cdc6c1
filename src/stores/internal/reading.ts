/**
 * What a store reads, and queries and stream pages on top of a log that is read in bounded steps. The log is append-only,
 * so a snapshot is a number: whatever happens between two steps, the records up to that number stay what they are (Q5).
 */
import * as Effect from "effect/Effect"
import type { EventBatch, EventRecord } from "../Event.ts"
import type { QueryResult } from "../EventStore.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import type { Page } from "../Workspace.ts"
import type { NormalisedQuery } from "./normaliseQuery.ts"

/** A stretch of sequence numbers: `after` is exclusive, `upTo` inclusive. */
export interface Span {
  readonly after: number
  readonly upTo: number
}

/** A record as it is found in a log. */
export interface StoredRecord {
  readonly record: EventRecord
  /** The last number of the committed batch that it belongs to. */
  readonly batchEnd: number
  /** Characters of its payload's text, or somewhat more; where many are read as one text, the mean of them. */
  readonly payloadLength: number
}

/** The matches among the next records of a span, up to and including `position`. */
export interface StepUp {
  readonly found: ReadonlyArray<StoredRecord>
  readonly position: number
}

/** The last match in a span; or, where none was found yet, that there is none after `position`. */
export interface StepDown {
  readonly match: number | undefined
  readonly position: number
}

/** A log that is read in steps, each of which looks at a bounded number of records. */
export interface LogReader {
  /** The log's last number, 0 when it is empty. */
  readonly head: Effect.Effect<number, EventStoreErrorReason>
  readonly up: (query: NormalisedQuery, span: Span, limit: number) => Effect.Effect<StepUp, EventStoreErrorReason>
  /** `up` without an index: looks at the next `rows` records, whatever they are. Left out where an index never costs more. */
  readonly scan?: (query: NormalisedQuery, span: Span, rows: number) => Effect.Effect<StepUp, EventStoreErrorReason>
  readonly down: (query: NormalisedQuery, span: Span) => Effect.Effect<StepDown, EventStoreErrorReason>
}

/** The log as the contract's operations read it. */
export interface LogReading {
  /** The log's last number, 0 when it is empty; at least what was committed anywhere before the call. */
  readonly head: Effect.Effect<number, EventStoreErrorReason>
  /** The contract's `query`. */
  readonly query: (query: NormalisedQuery) => Effect.Effect<QueryResult, EventStoreErrorReason>
  /** The next whole batches after a cursor, about `limit` records; the position moves on where nothing matches. */
  readonly page: (query: NormalisedQuery, after: number, limit: number) => Effect.Effect<Page, EventStoreErrorReason>
}

/** Records looked for in one step, between which other work gets its turn. */
const stepLimit = 1_000

/** Characters of payloads after which a page, or a step, takes no more records. */
export const enoughPayload = 8_388_608

/** Steps of a page that may go by without a match before the stream's position is moved. */
const stepsPerPage = 16

/** Reads a log in steps. */
export const readingInSteps = (reader: LogReader): LogReading => ({
  head: reader.head,
  query: (query) => readQuery(reader, query),
  page: (query, after, limit) => readPage(reader, query, after, limit)
})

const readQuery: (reader: LogReader, query: NormalisedQuery) => Effect.Effect<QueryResult, EventStoreErrorReason> =
  Effect.fnUntraced(function* (reader, query) {
    const head = yield* reader.head
    const eventRecords: Array<EventRecord> = []
    let position = query.minSequenceNumber
    while (position < head) {
      const step = yield* reader.up(query, { after: position, upTo: head }, stepLimit)
      for (const { record } of step.found) eventRecords.push(record)
      position = step.position
      if (position < head) yield* Effect.yieldNow
    }
    const earlier =
      eventRecords.length > 0 ? null : yield* lastMatch(reader, query, Math.min(head, query.minSequenceNumber))
    return toQueryResult(eventRecords, earlier, head)
  })

/** The result of a query; `earlier` is the context's version where no record is returned. */
export const toQueryResult = (
  eventRecords: ReadonlyArray<EventRecord>,
  earlier: number | null,
  head: number
): QueryResult => {
  const last = eventRecords[eventRecords.length - 1]?.sequenceNumber ?? null
  return {
    eventRecords: Object.freeze(eventRecords),
    lastReturnedSequenceNumber: last,
    currentContextVersion: last ?? earlier,
    headSequenceNumber: head === 0 ? null : head
  }
}

/** The last number up to which a record matches, looked for downwards. */
export const lastMatch: (
  reader: LogReader,
  query: NormalisedQuery,
  upTo: number
) => Effect.Effect<number | null, EventStoreErrorReason> = Effect.fnUntraced(function* (reader, query, upTo) {
  let position = upTo
  while (position > 0) {
    const step = yield* reader.down(query, { after: 0, upTo: position })
    if (step.match !== undefined) return step.match
    position = step.position
    if (position > 0) yield* Effect.yieldNow
  }
  return null
})

/** Records to look at before it is decided whether to scan or to ask the index. */
const probedRecords = 128

/** One match in so many records makes scanning cheaper than an index. */
const scannedPerMatch = 8

/** The next whole batches after a cursor: fewer than `limit` records where their payloads are large. */
export const readPage: (
  reader: LogReader,
  query: NormalisedQuery,
  after: number,
  limit: number
) => Effect.Effect<Page, EventStoreErrorReason> = Effect.fnUntraced(function* (reader, query, after, limit) {
  const head = yield* reader.head
  const found: Array<StoredRecord> = []
  let position = after
  let isDense = true
  let payload = 0
  let isFull = false
  for (let steps = 0; position < head && !isFull && steps < stepsPerPage; steps++) {
    if (steps > 0) yield* Effect.yieldNow
    const span = { after: position, upTo: head }
    const wanted = limit - found.length
    const step: StepUp =
      isDense && reader.scan !== undefined
        ? yield* reader.scan(query, span, steps === 0 ? Math.min(probedRecords, wanted) : wanted)
        : yield* reader.up(query, span, wanted)
    for (const stored of step.found) {
      found.push(stored)
      payload += stored.payloadLength
    }
    isDense &&= step.found.length * scannedPerMatch >= step.position - position
    isFull = found.length >= limit || payload >= enoughPayload
    position = step.position
  }
  const end = found[found.length - 1]?.batchEnd ?? position
  while (position < end) {
    const step = yield* reader.up(query, { after: position, upTo: end }, stepLimit)
    for (const stored of step.found) found.push(stored)
    position = step.position
  }
  return { batches: toBatches(found), position }
})

/**
 * Groups ascending records by the committed batch that they belong to. Batches are cut out, not filled one by one: V8 learns of
 * literals that outlive a collection to make them in the old generation, where they keep pages alive that nobody needs any more.
 */
export const toBatches = (found: ReadonlyArray<StoredRecord>): ReadonlyArray<EventBatch> => {
  const records = found.map(({ record }) => record)
  const batches: Array<EventBatch> = []
  for (let start = 0, end = 0; start < records.length; start = end) {
    const { batchEnd } = found[start]!
    while (end < records.length && records[end]!.sequenceNumber <= batchEnd) end++
    batches.push(Object.freeze(records.slice(start, end)))
  }
  return batches
}
