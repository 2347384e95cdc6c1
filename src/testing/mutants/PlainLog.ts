/**
 * The log that mutants are made of: rows in an array, every question answered by a scan. It is as right as the memory
 * store's, and each of its steps is a method of its own, so that a mutant is this log with one step done wrong.
 *
 * A log outlives the stores that are opened on it, and a row of it can be made unreadable.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { EventRecord } from "../../stores/Event.ts"
import type { AppendResult } from "../../stores/EventStore.ts"
import type { EventStoreErrorReason } from "../../stores/EventStoreError.ts"
import { CorruptLog } from "../../stores/EventStoreError.ts"
import type { ContextSource, KnownKey } from "../../stores/internal/appending.ts"
import { admit, record, Repeated } from "../../stores/internal/appending.ts"
import type { ChangeSignal } from "../../stores/internal/ChangeSignal.ts"
import type { Idempotency } from "../../stores/internal/idempotency.ts"
import { matchesQuery } from "../../stores/internal/match.ts"
import type { NormalisedEvent } from "../../stores/internal/normaliseEvents.ts"
import type { NormalisedQuery } from "../../stores/internal/normaliseQuery.ts"
import type { LogReader, Span, StepDown, StepUp, StoredRecord } from "../../stores/internal/reading.ts"
import type { AppendRequest } from "../../stores/internal/StoreBackend.ts"
import type { memoryTransactions } from "../../stores/internal/workspace/memoryTables.ts"

/** Checked batches: what an append writes. */
export type Batches = AppendRequest["batches"]

/** A record, and the last number of its batch. */
export type Row = Pick<StoredRecord, "record" | "batchEnd">

/** What a commit gives. */
export type Committed = Effect.Effect<ReadonlyArray<AppendResult>, EventStoreErrorReason>

export class PlainLog implements ContextSource {
  /** Ascending. */
  protected readonly rows: Array<Row> = []
  protected readonly unreadable = new Set<number>()
  protected readonly keys = new Map<string, KnownKey>()
  /** Transactions on what is stored beside the log: cursors and leases. Made by the first store that opens the log. */
  transactions: ReturnType<typeof memoryTransactions> | undefined
  /** Of the stores that are open: told of every commit. */
  readonly signals = new Set<ChangeSignal>()

  get head(): number {
    return this.rows.at(-1)?.record.sequenceNumber ?? 0
  }

  /** Makes a row unreadable. */
  damage(sequenceNumber: number): void {
    this.unreadable.add(sequenceNumber)
  }

  matches(query: NormalisedQuery, event: EventRecord): boolean {
    return matchesQuery(query, event)
  }

  /** Throws `CorruptLog` for a row that cannot be read. */
  protected read(row: Row): Row | undefined {
    const { sequenceNumber } = row.record
    if (this.unreadable.has(sequenceNumber)) throw new CorruptLog({ sequenceNumber, problem: "it cannot be read" })
    return row
  }

  /** The rows of the span that match, ascending. */
  scan(query: NormalisedQuery, { after, upTo }: Span): Array<Row> {
    const found: Array<Row> = []
    for (const row of this.rows) {
      if (row.record.sequenceNumber <= after || row.record.sequenceNumber > upTo) continue
      const read = this.read(row)
      if (read !== undefined && this.matches(query, read.record)) found.push(read)
    }
    return found
  }

  lastMatch(query: NormalisedQuery, span: Span): number | undefined {
    return this.scan(query, span).at(-1)?.record.sequenceNumber
  }

  collect(query: NormalisedQuery, span: Span): ReadonlyArray<EventRecord> {
    return this.scan(query, span).map((row) => row.record)
  }

  up(query: NormalisedQuery, span: Span, limit: number): StepUp {
    const rows = this.scan(query, span).slice(0, limit)
    return {
      // Pages are not cut for their payloads: nobody appends large ones here.
      found: rows.map((row) => ({ ...row, payloadLength: 0 })),
      position: rows.length < limit ? span.upTo : rows[limit - 1]!.record.sequenceNumber
    }
  }

  down(query: NormalisedQuery, span: Span): StepDown {
    return { match: this.lastMatch(query, span), position: span.after }
  }

  knownIds(eventIds: ReadonlyArray<string>): ReadonlySet<string> {
    const asked = new Set(eventIds)
    return new Set(this.rows.map((row) => row.record.eventId).filter((eventId) => asked.has(eventId)))
  }

  findKey(key: string): KnownKey | undefined {
    return this.keys.get(key)
  }

  /** The batches to write, the answer to a repetition, or why the append is refused. */
  admit(request: AppendRequest): Result.Result<Batches | Repeated, EventStoreErrorReason> {
    return admit(this, request)
  }

  /** Checks and writes in one step, as under a lock. */
  commit(request: AppendRequest, occurredAt: number): Committed {
    return answering(() =>
      Result.map(this.admit(request), (admitted) =>
        admitted instanceof Repeated ? admitted.results : this.write(admitted, request.idempotency, occurredAt)
      )
    )
  }

  /** Records the batches and tells everybody. */
  write(batches: Batches, idempotency: Idempotency | undefined, occurredAt: number): ReadonlyArray<AppendResult> {
    const results = batches.map((batch) => this.add(batch, occurredAt))
    this.remember(idempotency, results[0])
    this.announce()
    return results
  }

  protected add(batch: ReadonlyArray<NormalisedEvent>, occurredAt: number): AppendResult {
    const result = record(batch, this.head, occurredAt)
    for (const recorded of result.eventRecords) {
      this.rows.push({ record: recorded, batchEnd: result.lastSequenceNumber })
    }
    return result
  }

  protected remember(idempotency: Idempotency | undefined, result: AppendResult | undefined): void {
    if (idempotency === undefined || result === undefined) return
    const { firstSequenceNumber, lastSequenceNumber } = result
    this.keys.set(idempotency.key, { fingerprint: idempotency.fingerprint, firstSequenceNumber, lastSequenceNumber })
  }

  protected announce(): void {
    for (const signal of this.signals) signal.advance(this.head)
  }
}

/** Runs a step that throws `CorruptLog` or gives a result. */
export const answering = <A>(
  step: () => Result.Result<A, EventStoreErrorReason>
): Effect.Effect<A, EventStoreErrorReason> =>
  Effect.suspend(() => {
    const answer = Result.try({ try: step, catch: (thrown) => thrown })
    if (Result.isSuccess(answer)) return Effect.fromResult(answer.success)
    return answer.failure instanceof CorruptLog ? Effect.fail(answer.failure) : Effect.die(answer.failure)
  })

/** Reads the log, its head or what is taken for it. */
export const readerOf = (log: PlainLog, head: () => number = () => log.head): LogReader => {
  const read = <A>(run: () => A) => answering(() => Result.succeed(run()))
  return {
    head: read(head),
    up: (query, span, limit) => read(() => log.up(query, span, limit)),
    down: (query, span) => read(() => log.down(query, span))
  }
}
