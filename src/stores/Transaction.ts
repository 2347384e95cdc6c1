/**
 * A transaction in the store's own database, for what has to be committed together with a cursor: query models, outboxes.
 *
 * The SQL is the application's. `execute` takes the same parameters on SQLite and on PostgreSQL, so that a slice may run on both;
 * `native` is the driver's own connection for those who prefer it.
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { EventStoreError } from "./EventStoreError.ts"

/** What a parameter may be. SQLite stores a boolean as 0 or 1. */
export type SqlValue = string | number | bigint | boolean | null | Uint8Array

/** A row by the names of its columns. Whole numbers are numbers where they are safe; PostgreSQL's `numeric`, `json` and times are texts. */
export type SqlRow = Readonly<Record<string, unknown>>

/** A statement that failed. The driver's own error, which may quote values, is its `cause` and is never printed. */
export class SqlError extends Schema.TaggedError<SqlError>("evolvent/SqlError")("SqlError", {
  /** The driver's code: an SQLSTATE, or for example `SQLITE_CONSTRAINT_UNIQUE`; `INVALID_STATEMENT` where SQLite's driver refuses it. */
  code: Schema.String
}) {
  override get message() {
    return `The database refused a statement (${this.code}): see the cause.`
  }

  static caused(code: string, cause: unknown): SqlError {
    return Object.defineProperty(new SqlError({ code }), "cause", { value: cause, enumerable: false })
  }
}

/** The SQL side of a transaction under way. It ends with the work that it was given to. */
export interface SqlTransaction {
  readonly dialect: "sqlite" | "postgres"
  /** Runs one statement with the parameters `$1`, `$2` ... and gives its rows, none where it returns none. */
  readonly execute: (
    sql: string,
    parameters?: ReadonlyArray<SqlValue>
  ) => Effect.Effect<ReadonlyArray<SqlRow>, SqlError | EventStoreError>
  /**
   * The connection that the transaction is on: a `better-sqlite3` database or a `pg` client, with their types from
   * `SqliteStore.databaseOf` and `PostgresStore.clientOf`. Leave BEGIN and COMMIT to the store, and the connection alone when the
   * work is over.
   */
  readonly native: unknown
}
