/**
 * Transactions for the application's own work, on a connection beside the store's. SQLite has one writer at a time: transactions of a
 * process queue up, and while one is open nobody else writes to the file, so work that waits for something else belongs elsewhere.
 *
 * They are not flushed one by one: a power failure, not a crash of the process, may take the last ones back. What was derived from the
 * log goes back together with its cursor then, and is derived again.
 */
import type Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { EventStoreError, EventStoreErrorReason } from "../EventStoreError.ts"
import { fromReason, StoreUnavailable } from "../EventStoreError.ts"
import type { StoreBackend } from "../internal/StoreBackend.ts"
import { sqlTables } from "../internal/workspace/sqlTables.ts"
import type { SqlRow, SqlTransaction, SqlValue } from "../Transaction.ts"
import { SqlError } from "../Transaction.ts"
import type { Transaction } from "../Workspace.ts"
import { attempt } from "./driverErrors.ts"
import { dialect } from "./statements.ts"

/** Statements that are kept prepared. */
const preparedStatements = 256

/** Runs database work, again and again while another process holds the lock. */
export type Locking = <A>(operation: string, run: () => A) => Effect.Effect<A, EventStoreErrorReason>

/** Transactions on a connection that the first of them opens; it is closed with the scope. */
export const sqliteTransactions = (
  open: () => Database.Database,
  locking: Locking,
  prefix: string
): Effect.Effect<StoreBackend["transaction"], never, Scope.Scope> =>
  Effect.gen(function* () {
    const tables = sqlTables(dialect(prefix))
    const semaphore = Semaphore.makeUnsafe(1)
    let connection: Connection | undefined
    yield* Effect.addFinalizer(() => Effect.sync(() => connection?.database.close()))
    const connect = Effect.suspend(() =>
      connection === undefined
        ? Effect.map(locking("open the database", open), (database) => (connection = new Connection(database, tables)))
        : Effect.succeed(connection)
    )
    return (work) =>
      semaphore.withPermit(
        Effect.uninterruptibleMask((restore) =>
          Effect.gen(function* () {
            const { database, transaction } = yield* Effect.mapError(connect, fromReason)
            yield* Effect.mapError(restore(locking("begin a transaction", () => begin(database))), fromReason)
            const exit = yield* Effect.exit(restore(Effect.suspend(() => work(transaction))))
            const ended = Exit.isFailure(exit)
              ? exit
              : yield* Effect.exit(Effect.as(commit(database, locking), exit.value))
            if (database.open && database.inTransaction) database.exec("ROLLBACK")
            return yield* ended
          })
        )
      )
  })

/** What an interrupted wait may have begun is undone first. */
const begin = (database: Database.Database): void => {
  if (database.inTransaction) database.exec("ROLLBACK")
  database.exec("BEGIN IMMEDIATE")
}

const commit = (database: Database.Database, locking: Locking): Effect.Effect<void, EventStoreError> =>
  Effect.mapError(
    Effect.suspend(() =>
      database.inTransaction
        ? locking("commit", () => void database.exec("COMMIT"))
        : Effect.fail(
            new StoreUnavailable({ code: "NO_TRANSACTION", operation: "commit what has ended", retryable: false })
          )
    ),
    fromReason
  )

class Connection {
  readonly database: Database.Database
  readonly transaction: Transaction
  private readonly statements = new Map<string, Database.Statement>()

  constructor(database: Database.Database, tables: ReturnType<typeof sqlTables>) {
    this.database = database
    const sql: SqlTransaction = {
      dialect: "sqlite",
      native: database,
      execute: (text, parameters = []) =>
        Effect.try({
          try: () => this.run(text, parameters),
          catch: (error) => SqlError.caused(codeOf(error), error)
        })
    }
    const own = tables((text, parameters) =>
      Effect.suspend(() => Effect.fromResult(attempt("keep cursors", () => this.run(text, parameters)))).pipe(
        Effect.mapError((reason) => fromReason(reason._tag === "Locked" ? noLock : reason))
      )
    )
    this.transaction = { sql, ...own }
  }

  private run(text: string, parameters: ReadonlyArray<SqlValue>): ReadonlyArray<SqlRow> {
    const statement = this.prepare(text)
    const values = Object.fromEntries(parameters.map((value, index) => [index + 1, bindable(value)]))
    const bound = parameters.length === 0 ? [] : [values]
    if (statement.reader) return (statement.all(...bound) as Array<Record<string, unknown>>).map(readable)
    statement.run(...bound)
    return []
  }

  private prepare(text: string): Database.Statement {
    let statement = this.statements.get(text)
    if (statement === undefined) {
      statement = this.database.prepare(text)
      if (statement.reader) statement.safeIntegers(true)
      if (this.statements.size >= preparedStatements) this.statements.clear()
      this.statements.set(text, statement)
    }
    return statement
  }
}

/** Cannot happen within a transaction that holds the write lock, unless the work has ended it. */
const noLock = new StoreUnavailable({ code: "NO_TRANSACTION", operation: "keep cursors", retryable: false })

const bindable = (value: SqlValue): unknown => (typeof value === "boolean" ? Number(value) : value)

/** Whole numbers that are safe become numbers. */
const readable = (row: Record<string, unknown>): SqlRow => {
  for (const column of Object.keys(row)) {
    const value = row[column]
    if (typeof value === "bigint" && BigInt.asIntN(54, value) === value) row[column] = Number(value)
  }
  return row
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "INVALID_STATEMENT"
