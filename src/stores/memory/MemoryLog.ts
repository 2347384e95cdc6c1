/** The log of the memory store: one indexed run of records, changed and read in synchronous steps. */
import * as Result from "effect/Result"
import type { AppendResult } from "../EventStore.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { admit, record } from "../internal/appending.ts"
import { ChangeSignal } from "../internal/ChangeSignal.ts"
import { EventIndex } from "../internal/EventIndex.ts"
import type { AppendRequest } from "../internal/StoreBackend.ts"
import { RecordArena } from "./RecordArena.ts"

export class MemoryLog {
  closed = false
  readonly changes = new ChangeSignal()
  readonly events = new EventIndex(0, new RecordArena())

  get head(): number {
    return this.events.head
  }

  close(): void {
    this.closed = true
    this.changes.close()
  }

  commit(
    request: AppendRequest,
    occurredAt: number
  ): Result.Result<ReadonlyArray<AppendResult>, EventStoreErrorReason> {
    const { events } = this
    const admitted = admit(
      {
        head: events.head,
        lastMatch: (query, span) => events.lastMatch(query, span),
        collect: (query, span) => events.collect(query, span),
        knownIds: (eventIds) => new Set(eventIds.filter((eventId) => events.hasId(eventId)))
      },
      request
    )
    if (Result.isFailure(admitted)) return Result.fail(admitted.failure)
    const results = admitted.success.map((batch) => {
      const result = record(batch, events.head, occurredAt)
      for (const recorded of result.eventRecords) {
        events.add(recorded, result.lastSequenceNumber)
      }
      return result
    })
    this.changes.advance(events.head)
    return Result.succeed(results)
  }
}
