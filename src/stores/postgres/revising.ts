/**
 * Decides a request that conflicts again, under the log's lock: nothing can come in between any more, and whoever waits for the
 * lock gets it in turn. Without it, processes that share a busy context would starve each other.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { CorruptLog, StoreUnavailable } from "../EventStoreError.ts"
import { ConditionalAppendConflict } from "../EventStoreError.ts"
import type { AppendCondition } from "../internal/StoreBackend.ts"
import type { Database } from "./Database.ts"
import type { Failure } from "./driverErrors.ts"
import type { Verdict } from "./examine.ts"
import type { GroupOutcome, PreparedRequest } from "./groupCommit.ts"
import { prepareRequest, readOutcome, writing } from "./groupCommit.ts"
import type { PostgresLog } from "./PostgresLog.ts"
import type { Statements } from "./statements.ts"

/** What a revision came to: a verdict with nothing to write, or what became of what was written. */
export type Revised =
  | { readonly _tag: "Decided"; readonly verdict: Verdict }
  | { readonly _tag: "Sent"; readonly prepared: PreparedRequest; readonly outcome: GroupOutcome }

/** `sending` is told of the revised request before it is sent: what fails afterwards may have been committed. */
export const revise = (
  {
    database,
    lockTimeout,
    log,
    statements
  }: {
    readonly database: Database
    readonly statements: Statements
    readonly log: PostgresLog
    readonly lockTimeout: number
  },
  { callers, request }: PreparedRequest,
  conflict: ConditionalAppendConflict,
  sending: (revised: PreparedRequest) => void
): Effect.Effect<Revised, Failure | StoreUnavailable | CorruptLog> =>
  database.transaction("append", (ask) =>
    Effect.gen(function* () {
      yield* ask(statements.lock.text, [lockTimeout])
      yield* log.readNewest(ask)
      const condition = request.condition!
      const current = onNewest(log, condition, conflict)
      const batches = current === undefined ? undefined : condition.revise!(current)
      if (batches === undefined) return decided(Result.fail(current ?? conflict))
      if (Result.isFailure(batches)) return decided(Result.fail(batches.failure))
      if (batches.success.length === 0) return decided(Result.succeed([]))
      const prepared = prepareRequest(
        {
          ...request,
          batches: batches.success,
          condition: { ...condition, expected: current!.actual, seenHead: current!.headSequenceNumber }
        },
        callers
      )
      prepared.timesSent++
      sending(prepared)
      const { statement, values } = writing([prepared], statements, lockTimeout)
      const rows = yield* ask(statement.text, values)
      return { _tag: "Sent", prepared, outcome: readOutcome([prepared], rows) }
    })
  )

const decided = (verdict: Verdict): Revised => ({ _tag: "Decided", verdict })

/** The conflict on the log as it is now; `undefined` where too much has happened since to tell from memory. */
const onNewest = (
  { recent }: PostgresLog,
  { query }: AppendCondition,
  { actual, expected, headSequenceNumber, tail }: ConditionalAppendConflict
): ConditionalAppendConflict | undefined => {
  if (headSequenceNumber < recent.base) return undefined
  const newer = recent.collect(query, { after: headSequenceNumber, upTo: recent.head })
  return ConditionalAppendConflict.withTail(
    { expected, actual: newer[newer.length - 1]?.sequenceNumber ?? actual, headSequenceNumber: recent.head },
    [...(tail ?? []), ...newer]
  )
}
