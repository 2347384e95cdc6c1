/** Transactions for the application's own work, on a connection of the pool, read committed. */
import * as Effect from "effect/Effect"
import type { EventStoreError } from "../EventStoreError.ts"
import { fromReason } from "../EventStoreError.ts"
import type { StoreBackend } from "../internal/StoreBackend.ts"
import { sqlTables } from "../internal/workspace/sqlTables.ts"
import type { SqlRow, SqlTransaction, SqlValue } from "../Transaction.ts"
import { SqlError } from "../Transaction.ts"
import type { Database } from "./Database.ts"
import type { PoolClient } from "./driver.ts"
import { readFailure, toFailure } from "./driverErrors.ts"
import { dialect } from "./schema.ts"

const defaultIdleMs = 10_000

/** The transactions of a log's database. */
export const postgresTransactions = (database: Database, schema: string): StoreBackend["transaction"] => {
  const tables = sqlTables(dialect(schema))
  return (work, { idleMs = defaultIdleMs } = {}) =>
    database.work("run a transaction", idleMs, (client) => {
      const own = tables((text, parameters) =>
        Effect.mapError(query(client, text, parameters), (error) => toStoreError(error, "keep cursors"))
      )
      return work({ sql: sqlOf(client), ...own })
    })
}

const sqlOf = (client: PoolClient): SqlTransaction => ({
  dialect: "postgres",
  native: client,
  execute: (text, parameters = []) =>
    Effect.mapError(query(client, text, parameters), (error) => {
      const failure = toFailure(error, 0)
      return failure._tag === "Lost" ? toStoreError(error, "run a statement") : SqlError.caused(failure.code, error)
    })
})

const toStoreError = (error: unknown, operation: string): EventStoreError =>
  fromReason(readFailure(toFailure(error, 0), operation))

/** The driver's call that gives rows by the names of their columns. */
interface RowQueries {
  query(query: {
    readonly text: string
    readonly values: ReadonlyArray<SqlValue>
    readonly types: { readonly getTypeParser: (type: number) => (text: string) => unknown }
  }): Promise<{ readonly rows: ReadonlyArray<SqlRow> }>
}

/** Fails with what the driver rejects with. */
const query = (client: PoolClient, text: string, values: ReadonlyArray<SqlValue>) =>
  Effect.tryPromise({
    try: () => (client as unknown as RowQueries).query({ text, values, types }),
    catch: (error) => error
  }).pipe(Effect.map(({ rows }) => rows))

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
