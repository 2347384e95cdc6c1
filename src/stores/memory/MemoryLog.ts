/** The log of the memory store: one indexed run of records and the keys of appends, changed and read in synchronous steps. */
import * as Result from "effect/Result"
import type { EventRecord } from "../Event.ts"
import type { AppendResult } from "../EventStore.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import type { ContextSource, KnownKey } from "../internal/appending.ts"
import { admit, record, Repeated } from "../internal/appending.ts"
import { ChangeSignal } from "../internal/ChangeSignal.ts"
import { EventIndex } from "../internal/EventIndex.ts"
import type { NormalisedEvent } from "../internal/normaliseEvents.ts"
import type { NormalisedQuery } from "../internal/normaliseQuery.ts"
import type { Span } from "../internal/reading.ts"
import type { AppendRequest } from "../internal/StoreBackend.ts"
import { RecordArena } from "./RecordArena.ts"

export class MemoryLog implements ContextSource {
  closed = false
  readonly changes = new ChangeSignal()
  readonly events = new EventIndex(0, new RecordArena())
  private readonly keys = new Map<string, KnownKey>()

  get head(): number {
    return this.events.head
  }

  close(): void {
    this.closed = true
    this.changes.close()
  }

  lastMatch(query: NormalisedQuery, span: Span): number | undefined {
    return this.events.lastMatch(query, span)
  }

  collect(query: NormalisedQuery, span: Span): ReadonlyArray<EventRecord> {
    return this.events.collect(query, span)
  }

  knownIds(eventIds: ReadonlyArray<string>): ReadonlySet<string> {
    return new Set(eventIds.filter((eventId) => this.events.hasId(eventId)))
  }

  findKey(key: string): KnownKey | undefined {
    return this.keys.get(key)
  }

  commit(
    request: AppendRequest,
    occurredAt: number
  ): Result.Result<ReadonlyArray<AppendResult>, EventStoreErrorReason> {
    const admitted = admit(this, request)
    if (Result.isFailure(admitted)) return Result.fail(admitted.failure)
    if (admitted.success instanceof Repeated) return Result.succeed(admitted.success.results)
    const results = admitted.success.map((batch) => this.add(batch, occurredAt))
    if (request.idempotency !== undefined) {
      const { fingerprint, key } = request.idempotency
      const { firstSequenceNumber, lastSequenceNumber } = results[0]!
      this.keys.set(key, { fingerprint, firstSequenceNumber, lastSequenceNumber })
    }
    this.changes.advance(this.head)
    return Result.succeed(results)
  }

  private add(batch: ReadonlyArray<NormalisedEvent>, occurredAt: number): AppendResult {
    const result = record(batch, this.head, occurredAt)
    const { eventRecords, lastSequenceNumber } = result
    for (let index = 0; index < eventRecords.length; index++) this.events.add(eventRecords[index]!, lastSequenceNumber)
    return result
  }
}
