/**
 * The one writer of a process: takes the appends that wait, judges what can be judged here, and commits the rest in one round
 * trip. Calls are answered in queue order as far as they can see each other.
 *
 * When the answer to a commit is lost, its events are looked for by their ids and, where they are not in the log, sent again
 * with the same ids: these are unique in the log, so a late commit of the first try and the second one exclude each other (I2).
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { ConditionalAppendConflict, EventStoreErrorReason, StoreUnavailable } from "../EventStoreError.ts"
import { LimitExceeded } from "../EventStoreError.ts"
import { CommitQueue } from "../internal/CommitQueue.ts"
import type { AppendRequest } from "../internal/StoreBackend.ts"
import type { Answer, Call, Judged, Open } from "./answering.ts"
import { answerAll, answerOrRevise, unknown, verdictAfter } from "./answering.ts"
import type { Database, Rows } from "./Database.ts"
import type { Failure } from "./driverErrors.ts"
import { readFailure } from "./driverErrors.ts"
import type { Verdict } from "./examine.ts"
import { examine } from "./examine.ts"
import type { GroupOutcome, PreparedRequest } from "./groupCommit.ts"
import { checkRecent, independent, prepareRequest, readOutcome, writing } from "./groupCommit.ts"
import type { PostgresSettings } from "./options.ts"
import type { PostgresLog } from "./PostgresLog.ts"
import { revise } from "./revising.ts"
import type { Statements } from "./statements.ts"

/** Events and kibibytes of one group. */
const groupWeight = 4_096

/** An append is one message to PostgreSQL, which takes no more than 1 GiB: 512 MiB of JSON leave room for the rest. */
const mostBytes = 536_870_912

/** The weight up to which nobody has to count them: tags and metadata, which it leaves out, are 40 KiB an event at the most. */
const certainlySmall = 8_192

const bytesOf = ({ events }: PreparedRequest): number => {
  let bytes = 0
  for (const { text } of events) for (const part of Object.values(text)) bytes += Buffer.byteLength(part as string)
  return bytes
}

/** Calls that come one by one are committed at once; after so many of them other work gets its turn. */
const callsBetweenYields = 8

/** Milliseconds of silence after which the log may have become much longer than is known. */
const longSilence = 1_000

/** Milliseconds between two attempts to find out what became of a commit. */
const resolveInterval = 100

export class Appender {
  /** The highest number that this process knows to be in the log. */
  private knownHead = 0
  private readonly queue = new CommitQueue<PreparedRequest, Answer>()
  private readonly database: Database
  private readonly statements: Statements
  private readonly log: PostgresLog
  private readonly settings: PostgresSettings
  /** Told after every commit. */
  private readonly committed: (outcome: GroupOutcome) => Effect.Effect<void>

  constructor(
    database: Database,
    statements: Statements,
    log: PostgresLog,
    settings: PostgresSettings,
    committed: (outcome: GroupOutcome) => Effect.Effect<void>
  ) {
    this.database = database
    this.statements = statements
    this.log = log
    this.settings = settings
    this.committed = committed
  }

  close(): void {
    this.queue.close()
  }

  readonly commit = (request: AppendRequest): Effect.Effect<Answer, EventStoreErrorReason> =>
    Effect.suspend(() => {
      const prepared = prepareRequest(request)
      const actual = prepared.weight < certainlySmall ? 0 : bytesOf(prepared)
      return actual > mostBytes
        ? Effect.fail(
            new LimitExceeded({
              path: request.pathOf(0, 0).replace(/\[.*/, ""),
              what: "bytes of JSON in one append",
              limit: mostBytes,
              actual
            })
          )
        : this.queue.submit(prepared, prepared.weight)
    })

  /**
   * Takes what waits, commits it, answers, for ever. Where calls come together it lets the event loop turn before it takes
   * them, so that all are there.
   */
  readonly writeGroups: Effect.Effect<never> = Effect.gen({ self: this }, function* () {
    for (let alone = 0; ;) {
      yield* this.queue.nonEmpty
      if (alone % callsBetweenYields === 0) yield* Effect.yieldNow
      const taken = this.queue.take(groupWeight).map((call): Open => ({ call, toExamine: false }))
      const count = this.independent(taken)
      this.queue.putBack(taken.slice(count).map(({ call }) => call))
      if (count === 0) continue
      alone = count === 1 ? alone + 1 : 0
      // A defect is told to those whom it hits; the writer goes on.
      yield* Effect.exit(this.settle(taken.slice(0, count)))
    }
  })

  /** How many of the calls, from the front, can go together. */
  private independent(open: ReadonlyArray<Open>): number {
    const requests = open.map(({ call }) => call.request)
    return independent(requests, Math.max(this.log.recent.head, this.knownHead))
  }

  /** Answers all of the calls. */
  private settle(group: ReadonlyArray<Open>): Effect.Effect<void> {
    let open = group
    /** What was sent may have been committed: an interruption waits until it is noted who is open now. */
    const takingOver = (
      sending: Effect.Effect<ReadonlyArray<Open>>,
      openNow: (left: ReadonlyArray<Open>) => typeof open
    ) => Effect.uninterruptible(Effect.map(sending, (left) => void (open = openNow(left))))
    return Effect.gen({ self: this }, function* () {
      while (open.length > 0) {
        if (open.some(({ call }) => call.request.isDoubtful && call.request.timesSent > 1)) {
          yield* Effect.sleep(resolveInterval)
        }
        const ready = open.filter(({ toRevise }) => toRevise === undefined)
        const toDecideAgain = open.filter(({ toRevise }) => toRevise !== undefined)
        // One that was decided again comes behind the others, with other events: they may not go together any more.
        const count = open === group ? group.length : this.independent(ready)
        const judged = yield* this.judge(ready.slice(0, count))
        const rest = [...ready.slice(count), ...toDecideAgain]
        yield* takingOver(this.send(judged), (left) => [...left, ...rest])
        for (const one of toDecideAgain) {
          yield* takingOver(this.revise(one.call, one.toRevise!), (left) => [
            ...open.filter((other) => other !== one),
            ...left
          ])
        }
      }
    }).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (Exit.isFailure(exit)) for (const { call } of open) call.answer(verdictAfter(exit, call.request))
        })
      )
    )
  }

  /** Looks up what has to be looked up, all at once. */
  private judge(open: ReadonlyArray<Open>): Effect.Effect<ReadonlyArray<Judged>> {
    return Effect.flatMap(this.hear(open), () => this.judgeNow(open))
  }

  /**
   * Reads what is new after a long silence: all of it would be looked through under the log's lock otherwise, which nobody else gets
   * meanwhile. Where that fails, the append will say why.
   */
  private hear(open: ReadonlyArray<Open>): Effect.Effect<void> {
    const isVouched = open.some(({ call }) => call.request.checkedThrough !== undefined)
    return isVouched && performance.now() - this.log.newest.heardAt > longSilence
      ? Effect.ignore(this.log.head)
      : Effect.void
  }

  private judgeNow(open: ReadonlyArray<Open>): Effect.Effect<ReadonlyArray<Judged>> {
    const needsExamination = open.map(
      ({ call, toExamine }) => checkRecent(call.request, this.log.recent, this.knownHead) || toExamine
    )
    if (!needsExamination.includes(true)) return Effect.succeed(open.map(({ call }) => ({ call, verdict: undefined })))
    return Effect.forEach(
      open,
      ({ call }, index) =>
        Effect.map(
          needsExamination[index] ? this.examineSurely(call.request) : Effect.succeed(undefined),
          (verdict) => ({ call, verdict })
        ),
      { concurrency: "unbounded" }
    )
  }

  /** What became of a doubtful request has to be found out, for as long as that may take. */
  private readonly examineSurely = Effect.fnUntraced(
    { self: this },
    function* (prepared: PreparedRequest): Effect.fn.Return<Verdict | undefined> {
      while (true) {
        const examined = yield* Effect.result(examine(this.log, this.database, this.statements, prepared))
        if (Result.isSuccess(examined)) return examined.success
        if (!prepared.isDoubtful) return Result.fail(examined.failure)
        if (!examined.failure.retryable || isLate(prepared)) return Result.fail(unknown(prepared))
        yield* Effect.sleep(resolveInterval)
      }
    }
  )

  /** Sends those of a group that nothing stands in the way of, and answers whom it can. Gives those whom it cannot. */
  private readonly send = Effect.fnUntraced({ self: this }, function* (judged: ReadonlyArray<Judged>): Effect.fn.Return<
    ReadonlyArray<Open>
  > {
    const calls = judged.flatMap(({ call, verdict }) => (verdict === undefined ? [call] : []))
    const group = calls.map(({ request }) => request)
    for (const prepared of group) prepared.timesSent++
    const sent = calls.length === 0 ? undefined : yield* Effect.result(this.write(group))
    if (sent === undefined || Result.isFailure(sent)) {
      const toRevise = judged.flatMap(({ call, verdict }) =>
        verdict === undefined ? [] : answerOrRevise(call, verdict)
      )
      return sent === undefined ? toRevise : [...toRevise, ...(yield* this.afterFailure(calls, sent.failure))]
    }
    const outcome = readOutcome(group, sent.success)
    yield* this.took(group, outcome)
    return answerAll(judged, outcome)
  })

  private write(group: ReadonlyArray<PreparedRequest>): Effect.Effect<Rows, Failure | StoreUnavailable> {
    const { statement, values } = writing(group, this.statements, this.settings.lockTimeout)
    return this.database.write("append", statement, values)
  }

  /** Decides a conflicting request again under the lock. */
  private readonly revise = Effect.fnUntraced(
    { self: this },
    function* (call: Call, toRevise: ConditionalAppendConflict): Effect.fn.Return<ReadonlyArray<Open>> {
      let sent: PreparedRequest | undefined
      const { database, log, settings, statements } = this
      const revised = yield* Effect.result(
        revise({ database, log, statements, lockTimeout: settings.lockTimeout }, call.request, toRevise, (prepared) => {
          sent = prepared
        })
      )
      if (Result.isFailure(revised)) {
        if (revised.failure._tag !== "CorruptLog") {
          return yield* this.afterFailure([sent === undefined ? call : { ...call, request: sent }], revised.failure)
        }
        call.answer(Effect.fail(revised.failure))
        return []
      }
      if (revised.success._tag === "Decided") {
        call.answer(Effect.fromResult(revised.success.verdict))
        return []
      }
      const { outcome, prepared } = revised.success
      yield* this.took([prepared], outcome)
      return answerAll([{ call: { ...call, request: prepared }, verdict: undefined }], outcome)
    }
  )

  /** Takes note of what was committed. */
  private took(group: ReadonlyArray<PreparedRequest>, outcome: GroupOutcome): Effect.Effect<void> {
    this.knownHead = Math.max(this.knownHead, outcome.head)
    this.log.newest.heardAt = performance.now()
    this.remember(group, outcome)
    return this.committed(outcome)
  }

  private remember(group: ReadonlyArray<PreparedRequest>, { results }: GroupOutcome): void {
    for (const [index, { events }] of group.entries()) {
      const recorded = (results[index] ?? []).flatMap(({ eventRecords }) => eventRecords)
      for (const [place, record] of recorded.entries()) {
        const { leftInBatch, text } = events[place]!
        this.log.add(record, record.sequenceNumber + leftInBatch, text.payload.length)
      }
    }
  }

  /** A group that was refused as a whole is tried one by one, so that no call pays for another's bad luck. */
  private readonly afterFailure = Effect.fnUntraced(
    { self: this },
    function* (calls: ReadonlyArray<Call>, failure: Failure | StoreUnavailable): Effect.fn.Return<ReadonlyArray<Open>> {
      if (failure._tag === "Refused" && calls.length > 1 && !hitsEveryone.test(failure.code)) {
        const open: Array<Open> = []
        for (const call of calls) open.push(...(yield* this.send([{ call, verdict: undefined }])))
        return open
      }
      if (failure._tag === "Lost") for (const { request } of calls) this.startDoubting(request)
      return calls.flatMap((call) => {
        if (isWorthAnotherTry(call.request, failure)) return [{ call, toExamine: true }]
        call.answer(Effect.fail(call.request.isDoubtful ? unknown(call.request) : toReason(failure)))
        return []
      })
    }
  )

  private startDoubting(prepared: PreparedRequest): void {
    if (prepared.isDoubtful) return
    prepared.isDoubtful = true
    prepared.resolveBy = performance.now() + this.settings.resolveTimeout
  }
}

/**
 * A doubtful request is tried until it is known what became of it: that a later try was refused says nothing about an earlier
 * one, which may still be under way.
 */
const isWorthAnotherTry = (prepared: PreparedRequest, failure: Failure | StoreUnavailable): boolean => {
  if (failure._tag === "Refused" && failure.code === uniqueViolation) return prepared.timesSent < mostCollisions
  if (!prepared.isDoubtful || isLate(prepared)) return false
  return failure._tag === "Lost" || toReason(failure).retryable
}

const isLate = ({ resolveBy }: PreparedRequest): boolean => performance.now() >= resolveBy

const toReason = (failure: Failure | StoreUnavailable): EventStoreErrorReason =>
  failure._tag === "StoreUnavailable" ? failure : readFailure(failure, "append")

/** Refusals that have nothing to do with what was sent: a lock that was not free, a connection that broke. */
const hitsEveryone = /^(08|55P03)/

/** An id or a key of the group is in the log: somebody else's, or from an earlier try. */
const uniqueViolation = "23505"

/** How often a request is sent that meets such an id, which a look should have found. */
const mostCollisions = 8
