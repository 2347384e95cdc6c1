/** The log of the memory store: one indexed run of records, changed and read in synchronous steps. */
import * as Result from "effect/Result"
import type { AppendResult } from "../EventStore.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { checkCondition, checkSequenceLimit, record } from "../internal/appending.ts"
import { ChangeSignal } from "../internal/ChangeSignal.ts"
import { EventIndex } from "../internal/EventIndex.ts"
import { idTaken } from "../internal/normaliseEvents.ts"
import type { AppendRequest } from "../internal/StoreBackend.ts"

export class MemoryLog {
  closed = false
  readonly changes = new ChangeSignal()
  readonly events = new EventIndex(0)
  private readonly ids = new Set<string>()

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
    const refused = this.refuse(request)
    if (refused !== undefined) return Result.fail(refused)
    const results = request.batches.map((batch) => {
      const result = record(batch, this.head, occurredAt)
      for (const recorded of result.eventRecords) {
        this.events.add(recorded, result.lastSequenceNumber)
        this.ids.add(recorded.eventId)
      }
      return result
    })
    this.changes.advance(this.head)
    return Result.succeed(results)
  }

  private refuse(request: AppendRequest): EventStoreErrorReason | undefined {
    for (const [batch, events] of request.batches.entries()) {
      for (const [index, event] of events.entries()) {
        if (event.idGiven && this.ids.has(event.eventId)) return idTaken(request.pathOf(batch, index))
      }
    }
    if (request.condition !== undefined) {
      const conflict = checkCondition(this.events, request.condition)
      if (conflict !== undefined) return conflict
    }
    return checkSequenceLimit(this.head, request)
  }
}
