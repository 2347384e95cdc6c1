/** Mutants that compare the context wrongly, or tell too little of a conflict (C1, C3, Q2). */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { EventRecord } from "../../stores/Event.ts"
import { ConditionalAppendConflict } from "../../stores/EventStoreError.ts"
import type { NormalisedQuery } from "../../stores/internal/normaliseQuery.ts"
import { everything } from "../../stores/internal/normaliseQuery.ts"
import type { Span } from "../../stores/internal/reading.ts"
import type { AppendCondition, AppendRequest } from "../../stores/internal/StoreBackend.ts"
import type { Mutant } from "./Mutant.ts"
import { mutant } from "./Mutant.ts"
import type { Committed } from "./PlainLog.ts"
import { PlainLog } from "./PlainLog.ts"

type Rewrite = (condition: AppendCondition, log: PlainLog) => AppendCondition | undefined

/** A log that checks another condition than it was given. */
class Rewriting extends PlainLog {
  private readonly rewrite: Rewrite

  constructor(rewrite: Rewrite) {
    super()
    this.rewrite = rewrite
  }

  override admit(request: AppendRequest) {
    const { condition } = request
    return super.admit({ ...request, condition: condition && this.rewrite(condition, this) })
  }
}

const rewriting = (name: string, mistake: string, killedBy: Mutant["killedBy"], rewrite: Rewrite): Mutant =>
  mutant(name, mistake, killedBy, { log: () => new Rewriting(rewrite) })

const versionOf = (log: PlainLog, query: NormalisedQuery, after = 0): number | null =>
  log.lastMatch(query, { after, upTo: log.head }) ?? null

/** A log whose conflicts are told otherwise. */
class Retelling extends PlainLog {
  private readonly retell: (conflict: ConditionalAppendConflict) => ConditionalAppendConflict

  constructor(retell: (conflict: ConditionalAppendConflict) => ConditionalAppendConflict) {
    super()
    this.retell = retell
  }

  override commit(request: AppendRequest, occurredAt: number): Committed {
    return Effect.mapError(super.commit(request, occurredAt), (reason) =>
      reason._tag === "ConditionalAppendConflict" ? this.retell(reason) : reason
    )
  }
}

/** The conflict with something else in it. */
const retold = (
  { actual, expected, headSequenceNumber, tail }: ConditionalAppendConflict,
  changes: { readonly actual?: number; readonly tail?: ReadonlyArray<EventRecord> }
) =>
  ConditionalAppendConflict.withTail(
    { expected, headSequenceNumber, actual: changes.actual ?? actual },
    changes.tail ?? tail
  )

/** Looks only at what came after the head that the caller names, whatever it names. */
class TrustingHeads extends PlainLog {
  override admit(request: AppendRequest) {
    const { condition } = request
    if (condition?.seenHead === undefined) return super.admit(request)
    const nothingNewer = versionOf(this, condition.query, condition.seenHead) === null
    return super.admit(nothingNewer ? { ...request, condition: undefined } : request)
  }
}

/** Decides again on the conflict, and records that without the lock. */
class RevisingOutsideTheLock extends PlainLog {
  override commit(request: AppendRequest, occurredAt: number): Committed {
    const { condition } = request
    if (condition?.revise === undefined) return super.commit(request, occurredAt)
    const unrevised = { ...request, condition: { ...condition, conflictTail: true, revise: undefined } }
    return Effect.catchTag(super.commit(unrevised, occurredAt), "ConditionalAppendConflict", (conflict) => {
      const revised = condition.revise!(conflict)
      if (revised === undefined) return Effect.fail(conflict)
      if (Result.isFailure(revised)) return Effect.fail(revised.failure)
      const again = { ...request, batches: revised.success, condition: undefined }
      return Effect.flatMap(Effect.yieldNow, () => super.commit(again, occurredAt))
    })
  }
}

class NewestOfTheTail extends PlainLog {
  override collect(query: NormalisedQuery, span: Span): ReadonlyArray<EventRecord> {
    const records = super.collect(query, span)
    return query === everything ? records : records.slice(-1)
  }
}

export const checking = [
  rewriting(
    "0 taken for null",
    "Takes the expected version 0 for an empty context.",
    ["0 is a number and not an empty context"],
    (condition) => ({ ...condition, expected: condition.expected || null })
  ),
  rewriting(
    "null taken for no condition",
    "Takes the expected version null for no condition at all.",
    ["an append that expects nothing conflicts with a context that has events"],
    (condition) => (condition.expected === null ? undefined : condition)
  ),
  rewriting(
    "anything newer is all that conflicts",
    "Looks for events after the expected version, so a version that the context never had passes.",
    ["versions past the context's and past the head conflict"],
    (condition, log) => {
      const newer = versionOf(log, condition.query, condition.expected ?? 0)
      return newer === null ? undefined : condition
    }
  ),
  rewriting(
    "head checked for the context",
    "Compares the expected version with the log's head instead of the context's version.",
    ["what does not match the context does not move its version"],
    (condition) => ({ ...condition, query: everything, seenHead: undefined })
  ),
  rewriting(
    "check limited by the read cursor",
    "Leaves out of the check what lies before the read cursor of the context's query.",
    ["the read cursor of a context's query takes no part in the check"],
    (condition, log) => {
      const { expected, query } = condition
      const version = versionOf(log, query, query.minSequenceNumber)
      return version === expected ? undefined : condition
    }
  ),
  rewriting(
    "known head ignored in the tail",
    "Begins the tail of a conflict after the expected version although the caller has seen more.",
    ["a conflict carries the context's records after the known head"],
    (condition) => ({ ...condition, seenHead: undefined })
  ),
  mutant(
    "heads trusted blindly",
    "Takes any head that a caller names for one that it has seen, even one before the version it expects or past the log's end.",
    ["a head that cannot have been seen says nothing, and the whole context is checked"],
    { log: () => new TrustingHeads() }
  ),
  mutant(
    "incomplete conflict tail",
    "Gives only the newest record of a conflict's tail.",
    ["a conflict carries the context's records after the expected version"],
    { log: () => new NewestOfTheTail() }
  ),
  mutant(
    "tail without being asked",
    "Attaches the context's records to every conflict.",
    ["a conflict carries no records when none were asked for"],
    {
      log: () => new Retelling((conflict) => retold(conflict, { tail: conflict.tail ?? [] }))
    }
  ),
  mutant(
    "conflict tells the head",
    "Says in a conflict that the context's version is the log's last number.",
    ["an append that expects nothing conflicts with a context that has events"],
    { log: () => new Retelling((conflict) => retold(conflict, { actual: conflict.headSequenceNumber })) }
  ),
  mutant(
    "revision recorded outside the lock",
    "Decides again on a conflict, and records that when others may have appended in the meantime.",
    ["revisions made at once each see what the others have recorded"],
    { log: () => new RevisingOutsideTheLock() }
  )
]
