/**
 * The event store on PostgreSQL: for everyone who runs more than one process.
 *
 * Appends of a process are committed in groups, one round trip a group, under the log's advisory lock: numbers are taken from
 * the log itself, so they have no gaps and are committed in order. Context reads that come together share a round trip. Any
 * number of processes may write and read; `NOTIFY` tells them of each other's commits, and a timer where that fails.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as pg from "pg"
import { EventStore } from "../EventStore.ts"
import type { EventStoreError, EventStoreErrorReason } from "../EventStoreError.ts"
import { fromReason, StoreClosed } from "../EventStoreError.ts"
import { ChangeSignal } from "../internal/ChangeSignal.ts"
import { makeEventStore } from "../internal/makeEventStore.ts"
import type { LogReading } from "../internal/reading.ts"
import type { SqlTransaction } from "../Transaction.ts"
import { Appender } from "./Appender.ts"
import type { Database } from "./Database.ts"
import { Indexing } from "./indexing.ts"
import { checkSchema, checkServer, migrateSchema } from "./migrations.ts"
import { Notifications } from "./notifications.ts"
import { openDatabase } from "./opening.ts"
import type { DatabaseOptions, PostgresOptions, PostgresSettings } from "./options.ts"
import { checkDatabaseOptions, checkPostgresOptions } from "./options.ts"
import { PostgresLog } from "./PostgresLog.ts"
import { statements } from "./statements.ts"
import { postgresTransactions } from "./transactions.ts"

export type { DatabaseOptions, PostgresOptions }

/**
 * Opens the log in the database's schema, creating it when there is none, and closes it with the scope.
 *
 * Fails with `InvalidInput` for an option that is not allowed, `SchemaMismatch` where the schema holds something else, a newer
 * format, or is not up to date and may not be migrated, or where the server is not fit; `StoreUnavailable` where it cannot
 * be reached or the role lacks a right.
 */
export const make = (options: PostgresOptions): Effect.Effect<EventStore, EventStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const settings = yield* Effect.fromResult(checkPostgresOptions(options))
    const database = yield* openDatabase(settings)
    yield* checkServer(database)
    yield* prepareSchema(database, settings)
    return yield* open(database, settings)
  }).pipe(Effect.mapError(fromReason))

/** The event store on PostgreSQL as a layer. */
export const layer = (options: PostgresOptions): Layer.Layer<EventStore, EventStoreError> =>
  Layer.effect(EventStore, make(options))

/** Creates the schema or brings it up to date. For the owner role; the store itself may then run as a writer, a worker or a reader. */
export const migrate = (options: DatabaseOptions): Effect.Effect<void, EventStoreError> =>
  Effect.gen(function* () {
    const settings = yield* Effect.fromResult(checkDatabaseOptions(options))
    const database = yield* openDatabase(settings)
    yield* checkServer(database)
    yield* migrateSchema(database, settings.schema)
  }).pipe(Effect.scoped, Effect.mapError(fromReason))

/** A schema that is up to date needs no owner. */
const prepareSchema = (database: Database, { migrate: mayMigrate, schema }: PostgresSettings) =>
  Effect.catch(checkSchema(database, schema), (reason) =>
    mayMigrate && reason._tag === "SchemaMismatch" ? migrateSchema(database, schema) : Effect.fail(reason)
  )

const open = (
  database: Database,
  settings: PostgresSettings
): Effect.Effect<EventStore, EventStoreErrorReason, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const state = { closed: false }
    const changes = new ChangeSignal()
    const sql = statements(settings.schema)
    const log = new PostgresLog(database, sql, settings.indexEvery)
    const indexing = new Indexing(database, sql, log.newest, settings.indexEvery)
    const notifications = new Notifications(settings, () => changes.wake())
    const appender = new Appender(database, sql, log, settings, ({ head, headBefore, indexedThrough }) =>
      Effect.suspend(() => {
        log.newest.indexed(indexedThrough)
        if (head === headBefore) return Effect.void
        changes.advance(head)
        notifications.send()
        return indexing.committed(head)
      })
    )
    yield* Effect.forkScoped(log.answerLookups)
    yield* Effect.forkScoped(indexing.run)
    yield* Effect.forkScoped(wakeNowAndThen(changes, settings.pollInterval))
    if (settings.listen) yield* Effect.forkScoped(notifications.run)
    yield* Effect.forkScoped(appender.writeGroups)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        state.closed = true
        appender.close()
        log.close()
        changes.close()
      })
    )
    yield* log.head
    const ifOpen = <A>(run: () => Effect.Effect<A, EventStoreErrorReason>) =>
      Effect.suspend(() => (state.closed ? Effect.fail(new StoreClosed()) : run()))
    const reading: LogReading = {
      head: ifOpen(() => log.head),
      query: (query) => ifOpen(() => log.query(query)),
      page: (query, after, limit) => ifOpen(() => log.page(query, after, limit))
    }
    const transaction = postgresTransactions(database, settings.schema, () => state.closed)
    return yield* makeEventStore(
      {
        maxPayloadBytes: settings.maxPayloadBytes,
        currentMillis: () => clock.currentTimeMillisUnsafe(),
        reading,
        commit: appender.commit,
        transaction,
        awaitChange: changes.await,
        isClosed: () => state.closed
      },
      "postgres"
    )
  })

/** Lets waiting streams look for what other processes have committed. */
const wakeNowAndThen = (changes: ChangeSignal, pollInterval: number): Effect.Effect<never> =>
  Effect.gen(function* () {
    while (true) {
      yield* Effect.sleep(Duration.millis(pollInterval))
      if (changes.isAwaited) changes.wake()
    }
  })

/** The driver's own client of a transaction under way, with its type. Throws where the transaction is of another database. */
export const clientOf = (transaction: SqlTransaction): pg.ClientBase => {
  if (transaction.dialect === "postgres") return transaction.native as pg.ClientBase
  throw new Error(
    `This is a transaction of ${transaction.dialect}, not of postgres: use execute, which all databases have.`
  )
}
