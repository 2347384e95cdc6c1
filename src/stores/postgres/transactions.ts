/** Transactions for the application's own work, on a connection of the pool, read committed. */
import * as Effect from "effect/Effect"
import type { EventStoreError } from "../EventStoreError.ts"
import { fromReason, StoreClosed, StoreUnavailable } from "../EventStoreError.ts"
import type { StoreBackend } from "../internal/StoreBackend.ts"
import { sqlTables } from "../internal/workspace/sqlTables.ts"
import type { SqlRow, SqlTransaction, SqlValue } from "../Transaction.ts"
import { SqlError } from "../Transaction.ts"
import type { Transaction } from "../Workspace.ts"
import type { Database } from "./Database.ts"
import { answerTimeout } from "./Database.ts"
import type { PoolClient } from "./driver.ts"
import type { Failure } from "./driverErrors.ts"
import { readFailure, toFailure } from "./driverErrors.ts"
import { dialect } from "./schema.ts"

const defaultIdleMs = 10_000

/** The transactions of a log's database. */
export const postgresTransactions = (
  database: Database,
  schema: string,
  isClosed: () => boolean
): StoreBackend["transaction"] => {
  const tables = sqlTables(dialect(schema))
  const closed = Effect.suspend(() => (isClosed() ? Effect.fail(fromReason(new StoreClosed())) : Effect.void))
  return (work, { idleMs = defaultIdleMs } = {}) =>
    Effect.andThen(
      closed,
      database.work("run a transaction", idleMs, (client) => {
        const course = new Course(client, database.answerTimeout)
        return Effect.suspend(() => work(course.transaction(tables))).pipe(
          Effect.tap(() => Effect.andThen(closed, course.end)),
          Effect.ensuring(Effect.sync(() => (course.isOver = true)))
        )
      })
    )
}

/**
 * A transaction under way. A statement after the work's end, or after the work has ended the transaction, would be committed by itself
 * or be part of somebody else's: it is refused.
 */
class Course {
  isOver = false
  private readonly client: PoolClient
  private readonly answerTimeout: number

  constructor(client: PoolClient, answerTimeout: number) {
    this.client = client
    this.answerTimeout = answerTimeout
  }

  transaction(tables: ReturnType<typeof sqlTables>): Transaction {
    const sql: SqlTransaction = {
      dialect: "postgres",
      native: this.client,
      execute: (text, parameters = []) =>
        this.within(this.query(text, parameters), "run a statement", (error, failure) =>
          failure._tag === "Refused"
            ? SqlError.caused(failure.code, error)
            : // A statement that takes too long will take as long the next time: no outage to be waited for.
              fromReason(unavailable(failure.code, "run a statement", failure.code !== answerTimeout))
        )
    }
    return {
      sql,
      ...tables((text, parameters) =>
        this.within(this.query(text, parameters), "keep cursors", (_, failure) =>
          fromReason(readFailure(failure, "keep cursors"))
        )
      )
    }
  }

  /** Fails where the work has ended the transaction by itself. */
  readonly end: Effect.Effect<void, EventStoreError> = Effect.suspend(() => this.check("commit what has ended"))

  private check(operation: string): Effect.Effect<void, EventStoreError> {
    return this.isOver || this.client.getTransactionStatus?.() === "I"
      ? Effect.fail(fromReason(unavailable("NO_TRANSACTION", operation, false)))
      : Effect.void
  }

  private within<E>(
    query: Effect.Effect<ReadonlyArray<SqlRow>, unknown>,
    operation: string,
    toError: (error: unknown, failure: Failure) => E
  ): Effect.Effect<ReadonlyArray<SqlRow>, E | EventStoreError> {
    return Effect.suspend(() => this.check(operation)).pipe(
      Effect.andThen(Effect.mapError(query, (error) => toError(error, failureOf(error)))),
      Effect.tap(() => this.check(operation))
    )
  }

  /** Fails with what the driver rejects with, or where no answer comes in time. */
  private query(text: string, values: ReadonlyArray<SqlValue>): Effect.Effect<ReadonlyArray<SqlRow>, unknown> {
    return Effect.callback((resume) => {
      const timer = setTimeout(() => resume(Effect.fail(noAnswer)), this.answerTimeout)
      const client = this.client as unknown as RowQueries
      client.query({ text, values, types }).then(
        ({ rows }) => {
          clearTimeout(timer)
          resume(Effect.succeed(rows))
        },
        (error: unknown) => {
          clearTimeout(timer)
          resume(Effect.fail(error))
        }
      )
      return Effect.sync(() => clearTimeout(timer))
    })
  }
}

const noAnswer = Symbol("no answer in time")

const unavailable = (code: string, operation: string, retryable: boolean) =>
  new StoreUnavailable({ code, operation, retryable })

/** A statement in a transaction that has failed already did nothing: who goes on after a failure meets it again the next time. */
const failureOf = (error: unknown): Failure => {
  if (error === noAnswer) return { _tag: "Lost", code: answerTimeout }
  const failure = toFailure(error, 0)
  return failure.code === failedTransaction
    ? { _tag: "Refused", code: failure.code, detail: undefined, waitedMs: 0 }
    : failure
}

/** The SQLSTATE of a statement after one that failed. */
const failedTransaction = "25P02"

/** The driver's call that gives rows by the names of their columns. */
interface RowQueries {
  query(query: {
    readonly text: string
    readonly values: ReadonlyArray<SqlValue>
    readonly types: { readonly getTypeParser: (type: number) => (text: string) => unknown }
  }): Promise<{ readonly rows: ReadonlyArray<SqlRow> }>
}

const asText = (text: string): unknown => text
const asNumber = (text: string): unknown => Number(text)

/** By the number of the type: bool, bytea, int8, int2, int4, oid, float4, float8. */
const parsers = new Map<number, (text: string) => unknown>([
  [16, (text) => text === "t"],
  [17, (text) => Buffer.from(text.slice(2), "hex")],
  [20, (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text))],
  [21, asNumber],
  [23, asNumber],
  [26, asNumber],
  [700, asNumber],
  [701, asNumber]
])

const types = { getTypeParser: (type: number) => parsers.get(type) ?? asText }
