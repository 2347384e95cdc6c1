/** Mutants that read too little, too much or at two moments (Q1 to Q5, L2). */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { QueryResult } from "../../stores/EventStore.ts"
import { CorruptLog } from "../../stores/EventStoreError.ts"
import type { NormalisedQuery } from "../../stores/internal/normaliseQuery.ts"
import type { LogReading, Span, StoredRecord } from "../../stores/internal/reading.ts"
import { readingInSteps } from "../../stores/internal/reading.ts"
import type { AppendRequest } from "../../stores/internal/StoreBackend.ts"
import type { Mutant } from "./Mutant.ts"
import { mutant } from "./Mutant.ts"
import type { Committed, Row } from "./PlainLog.ts"
import { PlainLog, readerOf } from "./PlainLog.ts"

type Query = LogReading["query"]

/** A mutant whose `query` is another one; it is given the right one. */
const querying = (
  name: string,
  mistake: string,
  killedBy: Mutant["killedBy"],
  alter: (query: Query) => Query
): Mutant =>
  mutant(name, mistake, killedBy, {
    backend: (backend) => ({
      ...backend,
      reading: { ...backend.reading, query: alter(backend.reading.query) }
    })
  })

/** A mutant that gives another result for the same query. */
const answeringWith = (
  name: string,
  mistake: string,
  killedBy: Mutant["killedBy"],
  alter: (result: QueryResult, query: NormalisedQuery) => QueryResult
): Mutant =>
  querying(name, mistake, killedBy, (right) => (query) => Effect.map(right(query), (result) => alter(result, query)))

const byType = ({ record: left }: StoredRecord, { record: right }: StoredRecord): number =>
  left.eventType < right.eventType ? -1 : left.eventType > right.eventType ? 1 : 0

/** Gives the rows as an index on their types does. */
class IndexOrder extends PlainLog {
  override up(query: NormalisedQuery, span: Span, limit: number) {
    const { found, position } = super.up(query, span, limit)
    return { found: [...found].sort(byType), position }
  }
}

class SkippingUnreadable extends PlainLog {
  protected override read(row: Row): Row | undefined {
    const read = Result.try(() => super.read(row))
    if (Result.isSuccess(read)) return read.success
    if (read.failure instanceof CorruptLog) return undefined
    throw read.failure
  }
}

/** An index that holds a row once for each alternative that it matches. */
class RowPerAlternative extends PlainLog {
  override up(query: NormalisedQuery, span: Span, limit: number) {
    const { found, position } = super.up(query, span, limit)
    const { filters } = query
    if (filters === undefined) return { found, position }
    const hits = found.flatMap((row) =>
      filters.filter((filter) => this.matches({ ...query, filters: [filter] }, row.record)).map(() => row)
    )
    return { found: hits, position }
  }
}

class Replicated extends PlainLog {
  /** How far the replica has come. */
  replicated = 0

  override commit(request: AppendRequest, occurredAt: number): Committed {
    const follow = Effect.andThen(
      Effect.yieldNow,
      Effect.sync(() => (this.replicated = this.head))
    )
    return Effect.tap(super.commit(request, occurredAt), () => Effect.forkDetach(follow))
  }
}

/** The rows of one page. */
const pageSize = 1_000

export const reading = [
  querying(
    "two-statement query",
    "Reads records and numbers in two statements, between which others append.",
    ["records and numbers come from one snapshot while others append"],
    (right) => (query) =>
      Effect.gen(function* () {
        const { eventRecords, lastReturnedSequenceNumber } = yield* right(query)
        yield* Effect.yieldNow
        const { currentContextVersion, headSequenceNumber } = yield* right(query)
        return { eventRecords, lastReturnedSequenceNumber, currentContextVersion, headSequenceNumber }
      })
  ),
  mutant(
    "unreadable rows dropped",
    "Leaves out rows that it cannot read.",
    [
      "a query that would return an unreadable event fails and names it",
      "a conflict whose tail would hold an unreadable event fails and names it"
    ],
    { log: () => new SkippingUnreadable() }
  ),
  mutant(
    "order of an index",
    "Gives records in the order of the index that found them, not of their numbers.",
    ["records come in ascending order, filtered or not"],
    { log: () => new IndexOrder() }
  ),
  mutant(
    "row for each alternative",
    "Returns a record once for each alternative of the query that it matches.",
    ["a record that several alternatives match is returned once"],
    { log: () => new RowPerAlternative() }
  ),
  answeringWith(
    "first page only",
    "Returns the first 1,000 records and says nothing of the others.",
    ["a long log comes back whole and in order"],
    (result) => ({ ...result, eventRecords: Object.freeze(result.eventRecords.slice(0, pageSize)) })
  ),
  answeringWith(
    "head for the context's version",
    "Gives the log's last number as the version of every context.",
    ["the context's version is the last number of everything that matches"],
    (result) => ({ ...result, currentContextVersion: result.headSequenceNumber })
  ),
  answeringWith(
    "version of the returned records",
    "Gives the last number that it returns as the context's version, so the read cursor narrows it.",
    ["a read cursor does not narrow the context's version"],
    (result) => ({ ...result, currentContextVersion: result.lastReturnedSequenceNumber })
  ),
  answeringWith(
    "last match for the last returned",
    "Gives the context's version as the last returned number although nothing was returned.",
    ["the last returned number describes the returned records only"],
    (result) => ({ ...result, lastReturnedSequenceNumber: result.currentContextVersion })
  ),
  answeringWith(
    "head of the context",
    "Gives the context's version as the log's last number.",
    ["the head is the log's last number, whatever the query matches"],
    (result) => ({ ...result, headSequenceNumber: result.currentContextVersion })
  ),
  querying(
    "inclusive read cursor",
    "Returns the record that the read cursor names as well.",
    ["a read cursor returns only what comes after it"],
    (right) => (query) => right({ ...query, minSequenceNumber: Math.max(0, query.minSequenceNumber - 1) })
  ),
  answeringWith(
    "0 for nothing",
    "Gives 0 for the version of an empty context, as a maximum with a default does.",
    ["the context's version is the last number of everything that matches"],
    (result) => ({ ...result, currentContextVersion: result.currentContextVersion ?? 0 })
  ),
  mutant(
    "stale reads",
    "Reads from a replica that follows some time after an append has been answered.",
    ["an append that has returned is visible to the next query"],
    {
      log: () => new Replicated(),
      backend: (backend, log) => {
        const replica = readingInSteps(readerOf(log, () => log.replicated))
        const query: Query = (it) => Effect.andThen(backend.reading.head, replica.query(it))
        return { ...backend, reading: { ...backend.reading, query } }
      }
    }
  )
]
