/** The raw driver that the SQLite store is measured beside: the same rows, connection settings and file system. */
import Database from "better-sqlite3"
import type { NewEvent } from "evolvent"
import * as Effect from "effect/Effect"

export interface RawSqlite {
  /** One prepared INSERT of one row, in a transaction of its own. */
  readonly insert: (event: NewEvent) => void
  /** The rows of one order by an index on just that field, parsed. */
  readonly readOrder: (orderId: string) => ReadonlyArray<unknown>
  /** Rows in transactions of many, to make the table as long as the log. */
  readonly fill: (events: ReadonlyArray<NewEvent>) => void
}

/** `:memory:`: beside the memory store. */
export const inMemory = ":memory:"

/** Opens two tables in one file: one without an index to insert into, one with an index to read from. */
export const openRawSqlite = (file: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new Database(file)),
    (database) => Effect.sync(() => database.close())
  ).pipe(Effect.map(prepare))

const prepare = (database: Database.Database): RawSqlite => {
  database.pragma("journal_mode = WAL")
  database.pragma("synchronous = FULL")
  database.pragma("cache_size = -65536")
  const columns = "event_type TEXT NOT NULL, payload TEXT NOT NULL, tags TEXT NOT NULL"
  database.exec(`CREATE TABLE plain (number INTEGER PRIMARY KEY, ${columns}) STRICT`)
  database.exec(`CREATE TABLE indexed (number INTEGER PRIMARY KEY, ${columns}) STRICT`)
  database.exec("CREATE INDEX by_order ON indexed (payload ->> 'orderId')")
  const insertInto = (table: string) =>
    database.prepare(`INSERT INTO ${table} (event_type, payload, tags) VALUES (?, ?, ?)`)
  const insertPlain = insertInto("plain")
  const insertIndexed = insertInto("indexed")
  const select = database.prepare("SELECT * FROM indexed WHERE payload ->> 'orderId' = ? ORDER BY number").raw(true)
  const values = (event: NewEvent) => [event.eventType, JSON.stringify(event.payload), JSON.stringify(event.tags)]
  return {
    insert: (event) => void insertPlain.run(values(event)),
    readOrder: (orderId) =>
      (select.all(orderId) as Array<[number, string, string, string]>).map(([number, eventType, payload, tags]) => ({
        number,
        eventType,
        payload: JSON.parse(payload) as unknown,
        tags: JSON.parse(tags) as unknown
      })),
    fill: database.transaction((events: ReadonlyArray<NewEvent>) => {
      for (const event of events) insertIndexed.run(values(event))
    })
  }
}
