/**
 * The group commit: all calls that wait are committed in one transaction, each with its own verdict, in queue order, later
 * ones seeing earlier ones. A group that fails as a whole is tried again one by one, so that no call pays for another's bad
 * luck.
 */
import * as Result from "effect/Result"
import type { AppendResult } from "../EventStore.ts"
import type { EventStoreErrorReason, StorageFull } from "../EventStoreError.ts"
import { CommitUnknown, StoreBusy } from "../EventStoreError.ts"
import type { ContextSource } from "../internal/appending.ts"
import { admit, record, Repeated } from "../internal/appending.ts"
import type { AppendRequest } from "../internal/StoreBackend.ts"
import { attempt, Locked } from "./driverErrors.ts"
import type { EventText } from "../internal/rows.ts"
import { toText } from "../internal/rows.ts"
import type { SqliteLog } from "./SqliteLog.ts"

/** A request whose JSON has been written already, outside the lock. */
export interface PreparedRequest {
  readonly request: AppendRequest
  /** In the order of the batches and of the events in them. */
  readonly texts: ReadonlyArray<ReadonlyArray<EventText>>
  /** Events and kibibytes: what a group is bounded by. */
  readonly weight: number
  /** Whether it has been decided again. Its first batches are then not what the caller takes for recorded. */
  wasRevised: boolean
  /** The head of the log when it was judged: past the group's first one where it has seen events of its group. */
  judgedAt: number
}

export type Verdict = Result.Result<ReadonlyArray<AppendResult>, EventStoreErrorReason>

/** Writes the JSON of a request. */
export const prepareRequest = (request: AppendRequest): PreparedRequest => {
  let weight = 0
  const texts = request.batches.map((batch) =>
    batch.map((event) => {
      const text = toText(event)
      weight += 1 + Math.floor(text.payload.length / 1_024)
      return text
    })
  )
  return { request, texts, weight, wasRevised: false, judgedAt: 0 }
}

/** Commits a group; one verdict a request, or `Locked` when nothing was done because another process writes. */
export const commitGroup = (
  log: SqliteLog,
  group: ReadonlyArray<PreparedRequest>,
  occurredAt: number
): Locked | ReadonlyArray<Verdict> => {
  const begun = attempt("begin a transaction", () => log.begin())
  if (Result.isFailure(begun)) {
    const { failure } = begun
    return failure instanceof Locked ? failure : group.map(() => Result.fail(failure))
  }
  let head = log.recent.head
  const written = attempt("append", () => {
    head = log.refresh()
    const source = contextSource(log)
    const verdicts = group.map((prepared) => apply(log, source, prepared, occurredAt))
    log.writeIndex()
    return verdicts
  })
  if (Result.isFailure(written)) return afterFailure(log, group, occurredAt, written.failure, head)
  const committed = attempt("commit", () => log.commit())
  if (Result.isSuccess(committed)) return written.success
  const { failure } = committed
  if (isRefusal(failure)) return afterFailure(log, group, occurredAt, failure, head)
  const source = attempt("roll back", () => {
    log.rollback(head)
    log.refresh()
    return contextSource(log)
  })
  return written.success.map((verdict, index) => doubtful(source, group[index]!, verdict, head, failure))
}

/**
 * What was recorded after `head` may be lost, and so may be what a later refusal or revision to nothing stood on: what would not be
 * refused without it fails as the COMMIT did. Earlier ones, and the result of an earlier commit, stand.
 */
const doubtful = (
  source: Result.Result<ContextSource, unknown>,
  { judgedAt, request }: PreparedRequest,
  verdict: Verdict,
  head: number,
  failure: EventStoreErrorReason
): Verdict => {
  const first = Result.isSuccess(verdict) ? verdict.success[0] : undefined
  if (first !== undefined) {
    return first.firstSequenceNumber <= head ? verdict : Result.fail(new CommitUnknown({ commitId: first.commitId }))
  }
  if (judgedAt === head) return verdict
  // A revision is not asked again: its last answer would count, and nothing follows from it.
  const unrevised = request.condition?.revise === undefined ? request : { ...request, condition: undefined }
  const again = Result.flatMap(source, (log) => attempt("append", () => admit(log, unrevised)))
  const isRefused = Result.isSuccess(again) && Result.isFailure(again.success)
  return Result.fail(isRefused ? again.success.failure : failure)
}

/** Whether a failed COMMIT surely did nothing. After an I/O error it may yet turn up, when the log is recovered. */
const isRefusal = (failure: EventStoreErrorReason | Locked): failure is Locked | StorageFull =>
  failure._tag === "Locked" || failure._tag === "StorageFull"

/**
 * Judges one request and inserts its events. One that was decided again in a transaction that was undone, and now would be committed
 * as it was submitted, is to be tried anew.
 */
const apply = (log: SqliteLog, source: ContextSource, prepared: PreparedRequest, occurredAt: number): Verdict => {
  const { batches, condition } = prepared.request
  prepared.judgedAt = log.recent.head
  const admitted = admit(source, prepared.request)
  const isAsSubmitted = Result.isSuccess(admitted) && admitted.success === batches
  if (isAsSubmitted && prepared.wasRevised) return Result.fail(new StoreBusy({ waitedMs: 0 }))
  prepared.wasRevised = !isAsSubmitted && condition?.revise !== undefined
  return Result.map(admitted, (it) => (it instanceof Repeated ? it.results : insert(log, prepared, it, occurredAt)))
}

/** The log as it is at the moment, what earlier requests of the group have inserted included. */
const contextSource = (log: SqliteLog): ContextSource => ({
  get head() {
    return log.recent.head
  },
  lastMatch: (query, span) => log.lastMatch(query, span),
  collect: (query, span) => log.collect(query, span),
  knownIds: (eventIds) => log.knownIds(eventIds),
  findKey: (key) => log.findKey(key)
})

const insert = (
  log: SqliteLog,
  { request, texts: prepared }: PreparedRequest,
  batches: AppendRequest["batches"],
  occurredAt: number
): ReadonlyArray<AppendResult> => {
  const texts = batches === request.batches ? prepared : batches.map((batch) => batch.map(toText))
  const results = batches.map((batch, index) => {
    const result = record(batch, log.recent.head, occurredAt)
    for (const [place, recorded] of result.eventRecords.entries()) {
      log.insert(recorded, texts[index]![place]!, result.lastSequenceNumber)
    }
    return result
  })
  if (request.idempotency !== undefined) log.insertKey(request.idempotency, results[0]!)
  return results
}

const afterFailure = (
  log: SqliteLog,
  group: ReadonlyArray<PreparedRequest>,
  occurredAt: number,
  failure: EventStoreErrorReason | Locked,
  head: number
): Locked | ReadonlyArray<Verdict> => {
  const rolledBack = attempt("roll back", () => log.rollback(head))
  if (Result.isFailure(rolledBack)) return group.map((prepared) => Result.fail(unknown(prepared)))
  if (failure instanceof Locked) return failure
  if (group.length === 1) return [Result.fail(failure)]
  const verdicts: Array<Verdict> = []
  for (const prepared of group) {
    const alone = commitGroup(log, [prepared], occurredAt)
    verdicts.push(alone instanceof Locked ? Result.fail(new StoreBusy({ waitedMs: 0 })) : alone[0]!)
  }
  return verdicts
}

const unknown = ({ request }: PreparedRequest): CommitUnknown =>
  new CommitUnknown({ commitId: request.batches[0]![0]!.eventId })
