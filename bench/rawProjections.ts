/**
 * The raw drivers that projections are measured beside: one reads the log's rows in pages and parses their payloads, one writes a row
 * an event in transactions of as many as the projection's.
 */
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as pg from "pg"

/** Rows of a page and of a transaction. */
const chunk = 1_000

export interface RawProjections {
  /** The schema that the tables are in, where there is one. */
  readonly schema: string | undefined
  /** Reads and parses every event of the log. */
  readonly read: Effect.Effect<void>
  /** Writes a row for every event of the log, into an empty table. */
  readonly write: Effect.Effect<void>
}

/** The table that is written: who has which seat, by its natural key, as query models are read. */
export const seatRows = (table: string): string =>
  `CREATE TABLE IF NOT EXISTS ${table} (sale_id text NOT NULL, seat bigint NOT NULL, buyer text NOT NULL, PRIMARY KEY (sale_id, seat))`

/** `parameters` as the driver has them. */
export const insertRow = (table: string, parameters: string): string => `INSERT INTO ${table} VALUES (${parameters})`

/** Of SQLite, and of PostgreSQL. */
export const [marks, numbers] = ["?, ?, ?", "$1, $2, $3"]

interface Written {
  readonly saleId: string
  readonly seat: number
  readonly buyer: string
}

/** `log` is the file of the store, `own` another one with the same settings. */
export const rawSqlite = (log: string, own: string): Effect.Effect<RawProjections, never, Scope.Scope> =>
  Effect.gen(function* () {
    const [reader, writer] = [yield* opened(log), yield* opened(own)]
    const select = reader
      .prepare("SELECT * FROM evolvent_events WHERE sequence_number > ? ORDER BY sequence_number LIMIT ?")
      .raw(true)
    const read = () => {
      const all: Array<Written> = []
      for (let page; (page = select.all(all.length, chunk) as Array<Array<unknown>>).length > 0;) {
        for (const row of page) all.push(parsed(row[4] as string))
      }
      return all
    }
    const rows = read()
    const write = () => {
      writer.exec(`DROP TABLE IF EXISTS seats; ${seatRows("seats")}`)
      const insert = writer.prepare(insertRow("seats", marks))
      const insertAll = writer.transaction((some: ReadonlyArray<Written>) => {
        for (const { buyer, saleId, seat } of some) insert.run(saleId, seat, buyer)
      })
      for (let start = 0; start < rows.length; start += chunk) insertAll.immediate(rows.slice(start, start + chunk))
    }
    return { schema: undefined, read: Effect.sync(() => void read()), write: Effect.sync(write) }
  })

const opened = (file: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const database = new Database(file)
      database.pragma("journal_mode = WAL")
      // Like the transactions of projections.
      database.pragma("synchronous = NORMAL")
      database.pragma("cache_size = -65536")
      return database
    }),
    (database) => Effect.sync(() => database.close())
  )

const parsed = (payload: string): Written => {
  const { buyer, saleId, seat } = JSON.parse(payload) as Written
  return { saleId, seat, buyer }
}

export const rawPostgres = (url: string, schema: string): Effect.Effect<RawProjections, never, Scope.Scope> =>
  Effect.gen(function* () {
    const client = yield* connected(url)
    const read = async () => {
      const all: Array<Written> = []
      const text = `SELECT * FROM "${schema}".events WHERE sequence_number > $1 ORDER BY sequence_number LIMIT $2`
      for (;;) {
        const { rows } = await client.query<Array<unknown>>({
          name: "read",
          text,
          values: [all.length, chunk],
          rowMode: "array"
        })
        if (rows.length === 0) return all
        for (const row of rows) all.push(parsed(row[4] as string))
      }
    }
    const rows = yield* Effect.promise(read)
    const table = `"${schema}".raw_seats`
    const write = async () => {
      await client.query(`DROP TABLE IF EXISTS ${table}`)
      await client.query(seatRows(table))
      for (let start = 0; start < rows.length; start += chunk) {
        await client.query("BEGIN")
        for (const { buyer, saleId, seat } of rows.slice(start, start + chunk)) {
          await client.query({ name: "write", text: insertRow(table, numbers), values: [saleId, seat, buyer] })
        }
        await client.query("COMMIT")
      }
    }
    return { schema, read: Effect.promise(() => read().then(() => undefined)), write: Effect.promise(write) }
  })

const connected = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )
