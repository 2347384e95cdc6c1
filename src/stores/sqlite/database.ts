/**
 * Opens the database: file mode, connection settings that are read back, and the schema, created under a lock or compared
 * with what this version knows (L3) and brought to its format.
 */
import Database from "better-sqlite3"
import { closeSync, openSync } from "node:fs"
import { InvalidInput, SchemaMismatch } from "../EventStoreError.ts"
import type { SqliteSettings } from "./options.ts"
import { format, schema, statements } from "./statements.ts"

/** Below this, SQLite can lose committed data when a WAL is reset while a checkpoint runs. */
const oldestLibrary = [3, 51, 3] as const

/** Milliseconds that the driver itself may wait for a lock; beyond that the wait is asynchronous. */
const blockingWait = 2

/** How much of the file is read through a memory map rather than copied into the page cache: 1 GiB. */
const mappedBytes = 1_073_741_824

/** Opens the file and sets up the connection. Throws what the driver throws, `InvalidInput` or `SchemaMismatch`. */
export const openDatabase = (settings: SqliteSettings): Database.Database => {
  createFile(settings.file)
  const database = new Database(settings.file, { timeout: blockingWait })
  try {
    checkLibrary(database)
    database.pragma(`cache_size = -${settings.cacheKibibytes}`)
    database.pragma(`mmap_size = ${mappedBytes}`)
    setPragma(database, "journal_mode", "WAL", "wal")
    setPragma(database, "synchronous", settings.synchronous, settings.synchronous === "FULL" ? 2 : 1)
    setPragma(database, "trusted_schema", "OFF", 0)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

const createFile = (file: string): void => {
  try {
    closeSync(openSync(file, "a", 0o600))
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown"
    const problem = `the file cannot be opened for writing (${code}): check that its folder exists and is writable`
    throw new InvalidInput({ path: "options.file", problem })
  }
}

const setPragma = (database: Database.Database, name: string, value: string, expected: string | number): void => {
  database.pragma(`${name} = ${value}`)
  const actual: unknown = database.pragma(name, { simple: true })
  if (actual !== expected) {
    mismatch(`The database does not accept ${name} = ${value}: use a file on a local disk, or the memory store.`)
  }
}

const checkLibrary = (database: Database.Database): void => {
  const version = database.prepare("SELECT sqlite_version()").pluck().get() as string
  const parts = version.split(".").map(Number)
  for (const [index, least] of oldestLibrary.entries()) {
    const part = parts[index] ?? 0
    if (part > least) return
    if (part < least) mismatch(`SQLite ${version} is too old: use better-sqlite3 with SQLite 3.51.3 or later.`)
  }
}

/**
 * Creates the schema in a database that has none of it, or checks the one that is there and adds what came after its
 * format. Runs under the write lock, so that any number of processes may open a database at once. Changes nothing where it
 * refuses.
 */
export const prepareSchema = (database: Database.Database, prefix: string, logId: string): void => {
  const run = database.transaction(() => {
    const wanted = schema(prefix)
    const find = database.prepare("SELECT sql FROM sqlite_schema WHERE name = ? COLLATE NOCASE").pluck()
    const found = wanted.map(({ name }) => find.get(name) as string | undefined)
    if (found.every((sql) => sql === undefined)) {
      for (const { sql } of wanted) database.exec(sql)
      database.exec(statements(prefix).mergeEarly)
      database.prepare(statements(prefix).createLog).run(format, logId)
      return
    }
    const has = checkFormat(database, prefix, found[0])
    for (const [index, { name, since, sql }] of wanted.entries()) {
      if (found[index] === (since <= has ? sql : undefined)) continue
      mismatch(
        `${name} is missing, or not as evolvent made it: restore it, or a backup; another tablePrefix is another, empty log.`
      )
    }
    if (has === format) return
    for (const { since, sql } of wanted) if (since > has) database.exec(sql)
    database.prepare(statements(prefix).setFormat).run(format)
  })
  run.immediate()
}

/** The format of the log in the database. */
const checkFormat = (database: Database.Database, prefix: string, logTable: string | undefined): number => {
  const foreign = `The tables named ${prefix}_... do not belong to evolvent: choose another tablePrefix.`
  if (logTable === undefined || !/\bformat INTEGER\b/.test(logTable)) return mismatch(foreign)
  const found = database.prepare(statements(prefix).formatOf).pluck().get()
  if (typeof found !== "number") return mismatch(foreign)
  if (found > format) {
    mismatch(`The log has format ${found}, this version of evolvent reads up to ${format}: use a newer version.`)
  }
  return found
}

const mismatch = (problem: string): never => {
  throw new SchemaMismatch({ problem })
}
