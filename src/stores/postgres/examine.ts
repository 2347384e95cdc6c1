/**
 * Looks up why a request may not be appended as it is, in the contract's order: is it in the log already, is its key known, is one
 * of its ids taken, has its context changed?
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { EventRecord } from "../Event.ts"
import type { AppendResult } from "../EventStore.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { ConditionalAppendConflict, CorruptLog, IdempotencyMismatch } from "../EventStoreError.ts"
import { toResult } from "../internal/appending.ts"
import type { Idempotency } from "../internal/idempotency.ts"
import type { NormalisedEvent } from "../internal/normaliseEvents.ts"
import { findGivenId, givenIds } from "../internal/normaliseEvents.ts"
import { canonicalJson } from "../internal/normaliseQuery.ts"
import type { AppendCondition } from "../internal/StoreBackend.ts"
import { uuids } from "./arrays.ts"
import type { Database, Rows } from "./Database.ts"
import type { Parameter } from "./driver.ts"
import { readFailure } from "./driverErrors.ts"
import type { PreparedRequest } from "./groupCommit.ts"
import type { PostgresLog } from "./PostgresLog.ts"
import type { Statements } from "./statements.ts"

/** What becomes of a request. */
export type Verdict = Result.Result<ReadonlyArray<AppendResult>, EventStoreErrorReason>

/** The verdict; `undefined` when nothing stands in the way, up to the number that is noted in the request. */
export const examine = (
  log: PostgresLog,
  database: Database,
  statements: Statements,
  prepared: PreparedRequest
): Effect.Effect<Verdict | undefined, EventStoreErrorReason> =>
  Effect.gen(function* () {
    const { request } = prepared
    const ask = (statement: Statements["byIds"], values: Array<Parameter>) =>
      Effect.mapError(database.read("look for an append", statement, values), (failure) =>
        failure._tag === "StoreUnavailable" ? failure : readFailure(failure, "look for an append")
      )
    const given = givenIds(request.batches)
    const commitId = request.batches[0]![0]!.eventId
    const wanted = prepared.isDoubtful ? [commitId, ...given] : given
    const find = ask(statements.byIds, [uuids(wanted)])
    const found = wanted.length === 0 ? [] : yield* find
    const earlier = prepared.isDoubtful ? yield* ownBatches(log, prepared, found, commitId) : undefined
    if (earlier !== undefined) return Result.succeed(earlier)
    if (request.idempotency !== undefined) {
      const known = yield* ask(statements.byKey, [request.idempotency.key])
      if (known.length > 0) return yield* repetition(log, request.idempotency, known)
    }
    if (given.length > 0) {
      const taken = new Set(found.map(([eventId]) => eventId!))
      const refused = findGivenId(request.batches, request.pathOf, (eventId) => taken.has(eventId))
      if (refused !== undefined) return Result.fail(refused)
    }
    const changed = request.condition === undefined ? undefined : yield* checkContext(log, prepared, request.condition)
    if (changed === undefined) return undefined
    // The caller knows nothing of what it was decided on again: it is told of all that has come since its own position.
    const { callers = request.condition! } = prepared
    const conflict =
      callers === request.condition ? changed : ((yield* checkContext(log, prepared, callers)) ?? changed)
    // An earlier try may have been committed in the meantime, and be what the conflict is with.
    const late = prepared.isDoubtful ? yield* ownBatches(log, prepared, yield* find, commitId) : undefined
    return late === undefined ? Result.fail(conflict) : Result.succeed(late)
  })

/** The first result of a key, or that it stands for something else (I1). */
const repetition = (log: PostgresLog, { fingerprint, key }: Idempotency, known: Rows) =>
  Effect.gen(function* () {
    const [row] = known
    const [first, last] = [Number(row![1]), Number(row![2])]
    if (row![0] !== fingerprint) return Result.fail(new IdempotencyMismatch({ idempotencyKey: key }))
    const head = yield* log.head
    const stored =
      first >= 1 && first <= last && last <= head ? yield* log.between({ after: first - 1, upTo: last }) : []
    if (stored.length === 0 || stored.some(({ batchEnd }) => batchEnd !== last)) {
      return yield* new CorruptLog({ sequenceNumber: last, problem: "an idempotency key does not name one append" })
    }
    return Result.succeed([toResult(stored.map(({ record }) => record))])
  })

/** The results of an earlier try that was committed after all: the same ids in the same batches. */
const ownBatches = (log: PostgresLog, { request }: PreparedRequest, found: Rows, commitId: string) =>
  Effect.gen(function* () {
    const first = found.find(([eventId]) => eventId === commitId)
    if (first === undefined) return undefined
    let after = Number(first[1]) - 1
    const results: Array<AppendResult> = []
    const head = yield* log.head
    for (const batch of request.batches) {
      const upTo = after + batch.length
      if (upTo > head) return undefined
      const stored = yield* log.between({ after, upTo })
      const isOwn = stored.every(
        ({ batchEnd, record }, index) => batchEnd === upTo && isRecordOf(batch[index]!, record)
      )
      if (!isOwn) return undefined
      results.push(toResult(stored.map(({ record }) => record)))
      after = upTo
    }
    return results
  })

/** An id that the caller gave may be another event's. */
const isRecordOf = (event: NormalisedEvent, record: EventRecord): boolean =>
  record.eventId === event.eventId && (!event.idGiven || contentOf(record) === contentOf(event))

const contentOf = ({
  eventType,
  metadata,
  payload,
  schemaVersion,
  tags
}: Omit<NormalisedEvent, "eventId" | "idGiven">) => canonicalJson([eventType, payload, tags, schemaVersion, metadata])

/** The conflict; `undefined` when the context's version is the expected one, up to the head that is noted in the request. */
const checkContext = (log: PostgresLog, prepared: PreparedRequest, condition: AppendCondition) =>
  Effect.gen(function* () {
    const { conflictTail, expected, query, revise, seenHead } = condition
    const known = yield* trustedHead(log, condition)
    const tailAfter = seenHead ?? expected ?? 0
    const wantsTail = conflictTail || revise !== undefined
    const after = known ?? (wantsTail ? Math.min(tailAfter, expected ?? 0) : (expected ?? 0))
    const seen = yield* log.query({ ...query, minSequenceNumber: after })
    const head = seen.headSequenceNumber ?? 0
    const newer = seen.lastReturnedSequenceNumber
    const actual = known === undefined ? seen.currentContextVersion : (newer ?? expected)
    if (actual === expected) {
      prepared.checkedThrough = head
      return undefined
    }
    return ConditionalAppendConflict.withTail(
      { expected, actual, headSequenceNumber: head },
      wantsTail ? seen.eventRecords.filter(({ sequenceNumber }) => sequenceNumber > tailAfter) : undefined
    )
  })

/** A head that lies before the expected version or past the log's end says nothing: the whole context is looked up. */
const trustedHead = (log: PostgresLog, { expected, seenHead }: AppendCondition) =>
  Effect.gen(function* () {
    if (seenHead === undefined || seenHead < (expected ?? 0)) return undefined
    const head = seenHead <= log.recent.head ? log.recent.head : yield* log.head
    return seenHead <= head ? seenHead : undefined
  })
