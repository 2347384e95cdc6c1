/** Mutants that append side by side where they should one after the other, or number events wrongly (A1, C2). */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type { EventRecord } from "../../stores/Event.ts"
import type { ContextSource } from "../../stores/internal/appending.ts"
import { admit, record, Repeated } from "../../stores/internal/appending.ts"
import type { NormalisedQuery } from "../../stores/internal/normaliseQuery.ts"
import type { Span } from "../../stores/internal/reading.ts"
import type { AppendRequest } from "../../stores/internal/StoreBackend.ts"
import { mutant } from "./Mutant.ts"
import type { Committed } from "./PlainLog.ts"
import { answering, PlainLog } from "./PlainLog.ts"

/** Checks, lets others have their turn, and writes what was admitted. */
const checkThenWrite = (log: PlainLog, request: AppendRequest, occurredAt: number): Committed =>
  Effect.flatMap(
    answering(() => log.admit(request)),
    (admitted) =>
      admitted instanceof Repeated
        ? Effect.succeed(admitted.results)
        : Effect.as(Effect.yieldNow, admitted).pipe(
            Effect.map((batches) => log.write(batches, request.idempotency, occurredAt))
          )
  )

class NoLock extends PlainLog {
  override commit(request: AppendRequest, occurredAt: number): Committed {
    return checkThenWrite(this, request, occurredAt)
  }
}

class LockForConditionsOnly extends PlainLog {
  private readonly lock = Semaphore.makeUnsafe(1)

  override commit(request: AppendRequest, occurredAt: number): Committed {
    return request.condition === undefined
      ? super.commit(request, occurredAt)
      : this.lock.withPermits(1)(checkThenWrite(this, request, occurredAt))
  }
}

/** The log up to a number. */
class Snapshot implements ContextSource {
  readonly head: number
  private readonly log: PlainLog

  constructor(log: PlainLog, head: number) {
    this.log = log
    this.head = head
  }

  lastMatch(query: NormalisedQuery, span: Span): number | undefined {
    return this.log.lastMatch(query, span)
  }

  collect(query: NormalisedQuery, span: Span): ReadonlyArray<EventRecord> {
    return this.log.collect(query, span)
  }

  knownIds(eventIds: ReadonlyArray<string>): ReadonlySet<string> {
    return this.log.knownIds(eventIds)
  }

  findKey(key: string) {
    return this.log.findKey(key)
  }
}

class SnapshotBeforeLock extends PlainLog {
  private readonly lock = Semaphore.makeUnsafe(1)

  override commit(request: AppendRequest, occurredAt: number): Committed {
    return Effect.suspend(() => {
      const seen = new Snapshot(this, this.head)
      const underLock = Effect.flatMap(Effect.yieldNow, () => this.commitOn(seen, request, occurredAt))
      return this.lock.withPermits(1)(underLock)
    })
  }

  private commitOn(seen: Snapshot, request: AppendRequest, occurredAt: number): Committed {
    return answering(() =>
      Result.map(admit(seen, request), (admitted) =>
        admitted instanceof Repeated ? admitted.results : this.write(admitted, request.idempotency, occurredAt)
      )
    )
  }
}

class LaggingReplica extends PlainLog {
  /** The head before the last commit. */
  private replicated = 0

  override admit(request: AppendRequest) {
    return admit(new Snapshot(this, this.replicated), request)
  }

  override write(...parameters: Parameters<PlainLog["write"]>) {
    this.replicated = this.head
    return super.write(...parameters)
  }
}

class NumbersBeforeChecks extends PlainLog {
  private drawn = 0

  override get head(): number {
    return this.drawn
  }

  override commit(request: AppendRequest, occurredAt: number): Committed {
    return Effect.suspend(() => {
      const last = this.drawn + request.batches.flat().length
      return Effect.tapError(super.commit(request, occurredAt), () => Effect.sync(() => (this.drawn = last)))
    })
  }

  protected override add(...parameters: Parameters<PlainLog["add"]>) {
    const result = super.add(...parameters)
    this.drawn = result.lastSequenceNumber
    return result
  }
}

/** Turns that each of the connections needs, which take the appends in turns. */
const slowness = [3, 0, 1]

class NumbersBeforeCommit extends PlainLog {
  private drawn = 0
  private appends = 0

  override commit(request: AppendRequest, occurredAt: number): Committed {
    return Effect.flatMap(
      answering(() => this.admit(request)),
      (admitted) => {
        if (admitted instanceof Repeated) return Effect.succeed(admitted.results)
        const results = admitted.map((batch) => {
          const result = record(batch, this.drawn, occurredAt)
          this.drawn = result.lastSequenceNumber
          return result
        })
        const turns = slowness[this.appends++ % slowness.length]!
        return Effect.map(Effect.repeat(Effect.yieldNow, { times: turns }), () => {
          for (const { eventRecords, lastSequenceNumber } of results) {
            for (const recorded of eventRecords) this.rows.push({ record: recorded, batchEnd: lastSequenceNumber })
          }
          this.rows.sort((left, right) => left.record.sequenceNumber - right.record.sequenceNumber)
          this.remember(request.idempotency, results[0])
          this.announce()
          return results
        })
      }
    )
  }
}

const oneCommits = "of conditional appends made at once on the same version exactly one commits"

export const serialising = [
  mutant("no lock", "Checks the condition, then writes, and others may write in between.", [oneCommits], {
    log: () => new NoLock()
  }),
  mutant(
    "lock for conditions only",
    "Conditional appends wait for each other, but plain appends write between their check and their write.",
    ["no interleaving with plain appends lets a conditional append pass unseen events"],
    { log: () => new LockForConditionsOnly() }
  ),
  mutant(
    "snapshot older than the lock",
    "Takes the snapshot for the check before it waits for the lock, as a transaction of repeatable reads does.",
    [oneCommits],
    { log: () => new SnapshotBeforeLock() }
  ),
  mutant(
    "check on a lagging replica",
    "Checks the condition on a copy of the log that is one commit behind.",
    ["an append on a stale version of a payload-filtered context conflicts"],
    { log: () => new LaggingReplica() }
  ),
  mutant(
    "numbers drawn before the check",
    "Draws numbers from a sequence before it checks, so a failed append leaves a gap.",
    ["a failed conditional append consumes no numbers", "a failed append stores nothing and consumes no number"],
    { log: () => new NumbersBeforeChecks() }
  ),
  mutant(
    "numbers drawn before the commit",
    "Draws numbers when an append begins, and a slow one commits after those with higher numbers.",
    ["a reader that has seen a number never sees a new record below it"],
    { log: () => new NumbersBeforeCommit() }
  )
]
