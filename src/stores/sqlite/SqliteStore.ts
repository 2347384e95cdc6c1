/**
 * The event store in a SQLite file: the embedded default, for one machine and any number of its processes.
 *
 * WAL mode with `synchronous = FULL`: what was answered is on disk. Calls of a process are committed in groups. Another
 * process's write lock is waited for without blocking the event loop; its commits are noticed within `pollInterval`, and at
 * once by every query and append.
 */
import type Database from "better-sqlite3"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { AppendResult } from "../EventStore.ts"
import { EventStore } from "../EventStore.ts"
import type { EventStoreError, EventStoreErrorReason } from "../EventStoreError.ts"
import { fromReason, StoreBusy, StoreClosed } from "../EventStoreError.ts"
import { ChangeSignal } from "../internal/ChangeSignal.ts"
import { CommitQueue } from "../internal/CommitQueue.ts"
import { makeEventId } from "../internal/eventId.ts"
import { makeEventStore } from "../internal/makeEventStore.ts"
import type { LogReader } from "../internal/reading.ts"
import { readingInSteps } from "../internal/reading.ts"
import type { SqlTransaction } from "../Transaction.ts"
import { openDatabase, prepareSchema } from "./database.ts"
import { attempt, Locked } from "./driverErrors.ts"
import type { PreparedRequest } from "./groupCommit.ts"
import { commitGroup, prepareRequest } from "./groupCommit.ts"
import type { SqliteOptions, SqliteSettings } from "./options.ts"
import { checkSqliteOptions } from "./options.ts"
import { SqliteLog } from "./SqliteLog.ts"
import { sqliteTransactions } from "./transactions.ts"

export type { SqliteOptions }

/** Events and kibibytes of one group: bounds how long a commit holds the lock and the event loop. */
const groupWeight = 4_096

/**
 * Opens the log in the file, creating it when there is none, and closes it with the scope.
 *
 * Fails with `InvalidInput` for an option that is not allowed, `SchemaMismatch` where the file holds something else or a
 * newer format, `StoreBusy` or `StoreUnavailable` where it cannot be opened.
 */
export const make = (options: SqliteOptions): Effect.Effect<EventStore, EventStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const settings = yield* Effect.fromResult(checkSqliteOptions(options))
    const clock = yield* Clock.Clock
    const now = () => clock.currentTimeMillisUnsafe()
    const state = { closed: false }
    const locking = <A>(operation: string, run: () => A) => whenUnlocked(settings, now, operation, run)
    const database = yield* Effect.acquireRelease(
      locking("open the database", () => openDatabase(settings)),
      (opened) => Effect.sync(() => opened.close())
    )
    yield* locking("prepare the schema", () => prepareSchema(database, settings.tablePrefix, makeEventId(now())))
    const log = new SqliteLog(database, settings.tablePrefix, settings.indexEvery)
    const changes = new ChangeSignal()
    const queue = new CommitQueue<PreparedRequest, ReadonlyArray<AppendResult>>()
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        state.closed = true
        queue.close()
        changes.close()
      })
    )
    const step = <A>(operation: string, run: () => A): Effect.Effect<A, EventStoreErrorReason> =>
      Effect.suspend(() => (state.closed ? Effect.fail(new StoreClosed()) : locking(operation, run)))
    const reader: LogReader = {
      head: step("read the head", () => log.refresh()),
      up: (query, span, limit) => step("read events", () => log.up(query, span, limit)),
      scan: (query, span, rows) => step("read events", () => log.scanFor(query, span, rows)),
      down: (query, span) => step("read events", () => log.down(query, span))
    }
    yield* Effect.forkScoped(writeGroups(queue, log, changes, settings, now))
    yield* Effect.forkScoped(watch(reader, changes, settings))
    const transaction = yield* sqliteTransactions(settings, locking)
    return yield* makeEventStore(
      {
        maxPayloadBytes: settings.maxPayloadBytes,
        currentMillis: now,
        reading: readingInSteps(reader),
        commit: (request) =>
          Effect.suspend(() => {
            const prepared = prepareRequest(request)
            return queue.submit(prepared, prepared.weight)
          }),
        transaction,
        awaitChange: changes.await,
        isClosed: () => state.closed
      },
      "sqlite"
    )
  }).pipe(Effect.mapError(fromReason))

/** The event store in a SQLite file as a layer. */
export const layer = (options: SqliteOptions): Layer.Layer<EventStore, EventStoreError> =>
  Layer.effect(EventStore, make(options))

/** Calls that come one by one are committed at once; after so many of them other work gets its turn. */
const callsBetweenYields = 8

/**
 * The one writer: takes what waits, commits it, answers, for ever. Where calls come together it lets the event loop turn
 * before it takes them, so that all are there.
 */
const writeGroups = (
  queue: CommitQueue<PreparedRequest, ReadonlyArray<AppendResult>>,
  log: SqliteLog,
  changes: ChangeSignal,
  settings: SqliteSettings,
  now: () => number
): Effect.Effect<never> =>
  Effect.gen(function* () {
    for (let alone = 0; ;) {
      yield* queue.nonEmpty
      if (alone % callsBetweenYields === 0) yield* Effect.yieldNow
      const group = queue.take(groupWeight)
      if (group.length === 0) continue
      alone = group.length === 1 ? alone + 1 : 0
      const prepared = group.map(({ request }) => request)
      const answerAll = (verdict: Effect.Effect<never, EventStoreErrorReason>) => {
        for (const { answer } of group) answer(verdict)
      }
      const verdicts = yield* Effect.exit(
        retryWhileLocked(settings, now, () => {
          const outcome = commitGroup(log, prepared, now())
          return outcome instanceof Locked ? Result.fail(outcome) : Result.succeed(outcome)
        }).pipe(Effect.onInterrupt(() => Effect.sync(() => answerAll(Effect.fail(new StoreClosed())))))
      )
      if (Exit.isFailure(verdicts)) {
        if (Cause.hasDies(verdicts.cause)) attempt("roll back", () => log.reset())
        answerAll(Effect.failCause(verdicts.cause))
        continue
      }
      changes.advance(log.recent.head)
      for (const [index, { answer }] of group.entries()) answer(Effect.fromResult(verdicts.value[index]!))
    }
  })

/** Notices what other processes commit while somebody waits for it. A failure shows in the waiting stream's own read. */
const watch = (reader: LogReader, changes: ChangeSignal, settings: SqliteSettings): Effect.Effect<never> =>
  Effect.gen(function* () {
    while (true) {
      yield* Effect.sleep(Duration.millis(settings.pollInterval))
      if (!changes.isAwaited) continue
      const head = yield* Effect.result(reader.head)
      if (Result.isSuccess(head)) changes.advance(head.success)
      else changes.wake()
    }
  })

/** Runs database work, again and again while another process holds the lock. */
const whenUnlocked = <A>(settings: SqliteSettings, now: () => number, operation: string, run: () => A) =>
  retryWhileLocked(settings, now, () => attempt(operation, run))

/** Waits a random time, up to twice as long after every try, 1 to 16 ms; at most `busyTimeout` in all. */
const retryWhileLocked = <A, E>(
  { busyTimeout }: SqliteSettings,
  now: () => number,
  run: () => Result.Result<A, E | Locked>
): Effect.Effect<A, E | StoreBusy> =>
  Effect.suspend(() => {
    const first = run()
    if (Result.isSuccess(first)) return Effect.succeed(first.success)
    if (!(first.failure instanceof Locked)) return Effect.fail(first.failure)
    return Effect.gen(function* () {
      const start = now()
      for (let tries = 0; ; tries++) {
        yield* Effect.sleep(Duration.millis((yield* Random.next) * 2 ** Math.min(tries, 4)))
        const next = run()
        if (Result.isSuccess(next)) return next.success
        if (!(next.failure instanceof Locked)) return yield* Effect.fail(next.failure)
        const waitedMs = now() - start
        if (waitedMs >= busyTimeout) return yield* new StoreBusy({ waitedMs })
      }
    })
  })

/** The driver's own connection of a transaction under way, with its type. Throws where the transaction is of another database. */
export const databaseOf = (transaction: SqlTransaction): Database.Database => {
  if (transaction.dialect === "sqlite") return transaction.native as Database.Database
  throw new Error(
    `This is a transaction of ${transaction.dialect}, not of sqlite: use execute, which all databases have.`
  )
}
