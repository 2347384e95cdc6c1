/** Mutants that commit a part of what belongs together, or what was refused (A2, A3, A5). */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type { AppendResult } from "../../stores/EventStore.ts"
import type { EventStoreErrorReason } from "../../stores/EventStoreError.ts"
import { record, Repeated } from "../../stores/internal/appending.ts"
import { makeEventId } from "../../stores/internal/eventId.ts"
import type { AppendRequest } from "../../stores/internal/StoreBackend.ts"
import { mutant } from "./Mutant.ts"
import type { Committed } from "./PlainLog.ts"
import { answering, PlainLog } from "./PlainLog.ts"

class RowByRow extends PlainLog {
  private readonly lock = Semaphore.makeUnsafe(1)

  override commit(request: AppendRequest, occurredAt: number): Committed {
    return this.lock.withPermits(1)(
      Effect.flatMap(
        answering(() => this.admit(request)),
        (admitted) =>
          admitted instanceof Repeated
            ? Effect.succeed(admitted.results)
            : Effect.tap(
                Effect.forEach(admitted, (batch) => this.writeRows(record(batch, this.head, occurredAt))),
                ([first]) => Effect.sync(() => (this.remember(request.idempotency, first), this.announce()))
              )
      )
    )
  }

  private writeRows(result: AppendResult): Effect.Effect<AppendResult> {
    return Effect.as(
      Effect.forEach(result.eventRecords, (recorded) => {
        this.rows.push({ record: recorded, batchEnd: result.lastSequenceNumber })
        return Effect.yieldNow
      }),
      result
    )
  }
}

class RollbackAfterWriting extends PlainLog {
  private readonly lock = Semaphore.makeUnsafe(1)

  override commit(request: AppendRequest, occurredAt: number): Committed {
    const checkedLate = Effect.suspend(() => {
      const before = this.rows.length
      for (const batch of request.batches) this.add(batch, occurredAt)
      this.announce()
      return Effect.flatMap(Effect.yieldNow, () => {
        this.rows.length = before
        return super.commit(request, occurredAt)
      })
    })
    return this.lock.withPermits(1)(checkedLate)
  }
}

/** Commits the batches one after the other, each by itself; the first that fails ends it. */
const oneByOne = (requests: ReadonlyArray<AppendRequest>, commit: (request: AppendRequest) => Committed): Committed =>
  Effect.map(Effect.forEach(requests, commit), (results) => results.flat())

class EachBatchByItself extends PlainLog {
  override commit(request: AppendRequest, occurredAt: number): Committed {
    if (request.batches.length < 2) return super.commit(request, occurredAt)
    const requests = request.batches.map((batch, index) => ({
      ...request,
      batches: [batch],
      condition: index === 0 ? request.condition : undefined
    }))
    return oneByOne(requests, (one) => super.commit(one, occurredAt))
  }
}

class EachBatchChecked extends PlainLog {
  override commit(request: AppendRequest, occurredAt: number): Committed {
    const requests = request.batches.map((batch) => ({ ...request, batches: [batch] }))
    return oneByOne(requests, (one) => super.commit(one, occurredAt))
  }
}

class NoTransaction extends PlainLog {
  override commit(request: AppendRequest, occurredAt: number): Committed {
    return Effect.tapError(super.commit(request, occurredAt), (reason) =>
      Effect.sync(() => this.writeUpTo(reason, request, occurredAt))
    )
  }

  /** Rows before the one whose id is taken are there already when the unique index refuses it. */
  private writeUpTo(reason: EventStoreErrorReason, { batches, pathOf }: AppendRequest, occurredAt: number): void {
    if (reason._tag !== "InvalidInput" || !reason.path.endsWith(".eventId")) return
    for (const [index, batch] of batches.entries()) {
      const refused = batch.findIndex((_, place) => reason.path === `${pathOf(index, place)}.eventId`)
      const written = refused < 0 ? batch : batch.slice(0, refused)
      if (written.length > 0) this.add(written, occurredAt)
      if (refused >= 0) return this.announce()
    }
  }
}

class IdsNotUnique extends PlainLog {
  override knownIds(): ReadonlySet<string> {
    return new Set()
  }
}

class ConditionsOverIds extends PlainLog {
  override admit(request: AppendRequest) {
    if (request.condition === undefined) return super.admit(request)
    const batches = request.batches.map((batch) => batch.map((event) => ({ ...event, idGiven: false })))
    const checked = super.admit({ ...request, batches })
    return Result.isFailure(checked) ? checked : super.admit(request)
  }
}

class CommitIdMadeUp extends PlainLog {
  override write(...parameters: Parameters<PlainLog["write"]>) {
    const occurredAt = parameters[2]
    return super.write(...parameters).map((result) => ({ ...result, commitId: makeEventId(occurredAt) }))
  }
}

const idTaken = "an event id that is in the log already is refused at its own path"

export const committing = [
  mutant(
    "partial batch visible",
    "Writes the rows of an append one by one, and readers see those that are there.",
    ["records and numbers come from one snapshot while others append"],
    { log: () => new RowByRow() }
  ),
  mutant(
    "check after writing",
    "Writes first, checks then, and takes refused rows back: until then readers and streams see them.",
    ["failed appends deliver nothing, filtered or not"],
    { log: () => new RollbackAfterWriting() }
  ),
  mutant(
    "partial batch committed",
    "Inserts row by row without a transaction, so the rows before a refused one stay.",
    [idTaken],
    { log: () => new NoTransaction() }
  ),
  mutant(
    "batches half committed",
    "Commits batches under one check one after the other, so those before a refused one stay.",
    ["event ids are unique over all batches and the log"],
    { log: () => new EachBatchByItself() }
  ),
  mutant(
    "every batch checked",
    "Checks the condition anew for every batch under one check, so the first fails the second.",
    ["one check decides for all batches, and earlier batches do not fail later ones"],
    { log: () => new EachBatchChecked() }
  ),
  mutant("ids not unique", "Does not look whether an event id is in the log already.", [idTaken], {
    log: () => new IdsNotUnique()
  }),
  mutant(
    "condition before ids",
    "Compares the context before it looks whether an event id is taken.",
    ["an event id that is taken is found before the context is compared"],
    { log: () => new ConditionsOverIds() }
  ),
  mutant(
    "made-up commit id",
    "Gives an append an id that no event of it has, so nobody can look whether it happened.",
    ["the result of an append names its range, its count, its commit and its records"],
    { log: () => new CommitIdMadeUp() }
  )
]
