/** What callers are told: by a committed group, by a look at the log, or when the writer ends. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { AppendResult } from "../EventStore.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { CommitUnknown, ConditionalAppendConflict, StoreBusy, StoreClosed } from "../EventStoreError.ts"
import type { Pending } from "../internal/CommitQueue.ts"
import type { Verdict } from "./examine.ts"
import type { GroupOutcome, PreparedRequest } from "./groupCommit.ts"

export type Answer = ReadonlyArray<AppendResult>
/** A call that waits for its answer. */
export type Call = Pending<PreparedRequest, Answer>

/** A request that is not answered yet, and whether its context has to be looked up. */
export interface Open {
  readonly call: Call
  readonly toExamine: boolean
  /** A conflict on which the request is to be decided again. */
  readonly toRevise?: ConditionalAppendConflict
}

/** A request with what is known against it; `undefined` when it is ready to be sent. */
export interface Judged {
  readonly call: Call
  readonly verdict: Verdict | undefined
}

/** Answers in queue order: who was judged between two others has seen the one and not the other. */
export const answerAll = (judged: ReadonlyArray<Judged>, outcome: GroupOutcome): ReadonlyArray<Open> => {
  const refused: Array<Open> = []
  let sent = 0
  let head = outcome.headBefore
  for (const { call, verdict } of judged) {
    if (verdict !== undefined) {
      const seen = Result.mapError(verdict, (reason) => seenAt(reason, outcome.headBefore, head))
      refused.push(...answerOrRevise(call, seen))
      continue
    }
    const results = outcome.results[sent++]
    if (results !== undefined) {
      head = results[results.length - 1]!.lastSequenceNumber
      call.answer(Effect.succeed(results))
    } else if (call.request.timesSent < mostTimesSent) refused.push({ call, toExamine: true })
    else call.answer(Effect.fail(call.request.isDoubtful ? unknown(call.request) : new StoreBusy({ waitedMs: 0 })))
  }
  return refused
}

/** Answers, unless the verdict is a conflict on which the request can be decided again. */
export const answerOrRevise = (call: Call, verdict: Verdict): ReadonlyArray<Open> => {
  if (
    Result.isFailure(verdict) &&
    verdict.failure._tag === "ConditionalAppendConflict" &&
    call.request.request.condition?.revise !== undefined
  ) {
    return [{ call, toExamine: false, toRevise: verdict.failure }]
  }
  call.answer(Effect.fromResult(verdict))
  return []
}

/** A conflict that was found on the log just before the group holds as well after those of the group that came before it. */
const seenAt = (reason: EventStoreErrorReason, headBefore: number, head: number): EventStoreErrorReason =>
  reason._tag === "ConditionalAppendConflict" && reason.headSequenceNumber === headBefore && head !== headBefore
    ? ConditionalAppendConflict.withTail({ ...reason, headSequenceNumber: head }, reason.tail)
    : reason

/** How often a request is sent that meets others' events every time without being decided. */
const mostTimesSent = 64

/** Nobody knows what became of it, and nothing more can be found out. */
export const unknown = ({ request }: PreparedRequest): CommitUnknown =>
  new CommitUnknown({ commitId: request.batches[0]![0]!.eventId })

/** What callers hear when the writer ends before they are answered. */
export const verdictAfter = (
  exit: Exit.Exit<unknown>,
  prepared: PreparedRequest
): Effect.Effect<never, EventStoreErrorReason> => {
  if (prepared.isDoubtful) return Effect.fail(unknown(prepared))
  return Exit.hasInterrupts(exit) || Exit.isSuccess(exit)
    ? Effect.fail(new StoreClosed())
    : Effect.failCause(exit.cause)
}
