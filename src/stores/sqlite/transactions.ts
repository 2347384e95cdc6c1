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
import { fromReason, StoreClosed, StoreUnavailable } from "../EventStoreError.ts"
import type { StoreBackend } from "../internal/StoreBackend.ts"
import { sqlTables } from "../internal/workspace/sqlTables.ts"
import type { SqlRow, SqlTransaction, SqlValue } from "../Transaction.ts"
import { SqlError } from "../Transaction.ts"
import type { Transaction } from "../Workspace.ts"
import { Checkpoints } from "./Checkpoints.ts"
import { openDatabase } from "./database.ts"
import { attempt } from "./driverErrors.ts"
import type { SqliteSettings } from "./options.ts"
import { dialect } from "./statements.ts"

/** Statements that are kept prepared. */
const preparedStatements = 256

/** Runs database work, again and again while another process holds the lock. */
export type Locking = <A>(operation: string, run: () => A) => Effect.Effect<A, EventStoreErrorReason>

/** Transactions on a connection that the first of them opens; it is closed with the scope, and whatever is under way is undone. */
export const sqliteTransactions = (
  settings: SqliteSettings,
  locking: Locking
): Effect.Effect<StoreBackend["transaction"], never, Scope.Scope> =>
  Effect.gen(function* () {
    const tables = sqlTables(dialect(settings.tablePrefix))
    const semaphore = Semaphore.makeUnsafe(1)
    let connection: Connection | undefined
    let isClosed = false
    yield* Effect.addFinalizer(() =>
      Effect.promise(async () => {
        isClosed = true
        connection?.database.close()
        await connection?.checkpoints.end()
      })
    )
    const connect = Effect.suspend(() => {
      if (isClosed) return Effect.fail(new StoreClosed())
      if (connection !== undefined) return Effect.succeed(connection)
      const open = () => new Connection(settings)
      return Effect.map(locking("open the database", open), (opened) => (connection = opened))
    })
    const run = Effect.fnUntraced(function* <A, E, R>(
      work: (transaction: Transaction) => Effect.Effect<A, E, R>,
      restore: Restore
    ) {
      const { checkpoints, database, statements } = yield* Effect.mapError(connect, fromReason)
      const course = new Course(database, statements)
      const exit = yield* Effect.mapError(
        locking("begin a transaction", () => begin(database)),
        fromReason
      ).pipe(Effect.andThen(Effect.suspend(() => work(course.transaction(tables)))), restore, Effect.exit)
      course.isOver = true
      const ended = Exit.isFailure(exit) ? exit : yield* Effect.exit(Effect.as(commit(database, locking), exit.value))
      if (database.open && database.inTransaction) database.exec("ROLLBACK")
      if (Exit.isSuccess(ended) && database.open) attempt("measure the write-ahead log", () => checkpoints.committed())
      return yield* ended
    })
    return (work) => semaphore.withPermit(Effect.uninterruptibleMask((restore) => run(work, restore)))
  })

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const begin = (database: Database.Database): void => {
  if (!database.open) throw new StoreClosed()
  database.exec("BEGIN IMMEDIATE")
}

const commit = (database: Database.Database, locking: Locking): Effect.Effect<void, EventStoreError> =>
  Effect.mapError(
    Effect.suspend(() => {
      const refused = refusal(database, "commit what has ended")
      return refused === undefined ? locking("commit", () => void database.exec("COMMIT")) : Effect.fail(refused)
    }),
    fromReason
  )

/** Why nothing can be done in the transaction any more. */
const refusal = (database: Database.Database, operation: string): EventStoreErrorReason | undefined => {
  if (!database.open) return new StoreClosed()
  return database.inTransaction ? undefined : hasEnded(operation)
}

const hasEnded = (operation: string) => new StoreUnavailable({ code: "NO_TRANSACTION", operation, retryable: false })

class Connection {
  readonly database: Database.Database
  readonly checkpoints: Checkpoints
  readonly statements = new Map<string, Database.Statement>()

  constructor(settings: SqliteSettings) {
    this.database = openDatabase({ ...settings, synchronous: "NORMAL" })
    this.checkpoints = new Checkpoints(this.database, settings.file)
  }
}

/**
 * A transaction under way. A statement outside of it, after the work's end or after the work has ended the transaction, would be
 * committed by itself, or be part of somebody else's: it is refused.
 */
class Course {
  isOver = false
  private readonly database: Database.Database
  private readonly statements: Map<string, Database.Statement>

  constructor(database: Database.Database, statements: Map<string, Database.Statement>) {
    this.database = database
    this.statements = statements
  }

  transaction(tables: ReturnType<typeof sqlTables>): Transaction {
    const sql: SqlTransaction = {
      dialect: "sqlite",
      native: this.database,
      execute: (text, parameters = []) =>
        this.within("run a statement", () =>
          Effect.try({
            try: () => this.run(text, parameters),
            catch: (error) => SqlError.caused(codeOf(error), error)
          })
        )
    }
    return {
      sql,
      ...tables((text, parameters) =>
        this.within("keep cursors", () =>
          Effect.mapError(Effect.fromResult(attempt("keep cursors", () => this.run(text, parameters))), (reason) =>
            fromReason(reason._tag === "Locked" ? hasEnded("keep cursors") : reason)
          )
        )
      )
    }
  }

  private within<A, E>(operation: string, run: () => Effect.Effect<A, E>): Effect.Effect<A, E | EventStoreError> {
    const check = () => (this.isOver ? hasEnded(operation) : refusal(this.database, operation))
    return Effect.suspend((): Effect.Effect<A, E | EventStoreError> => {
      const refused = check()
      if (refused !== undefined) return Effect.fail(fromReason(refused))
      return Effect.flatMapEager(run(), (value) => {
        const ended = check()
        return ended === undefined ? Effect.succeed(value) : Effect.fail(fromReason(ended))
      })
    })
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

const bindable = (value: SqlValue): unknown => (typeof value === "boolean" ? Number(value) : value)

/** Whole numbers that are safe become numbers. */
const readable = (row: Record<string, unknown>): SqlRow => {
  for (const column of Object.keys(row)) {
    const value = row[column]
    if (typeof value === "bigint" && Number.isSafeInteger(Number(value))) row[column] = Number(value)
  }
  return row
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "INVALID_STATEMENT"
