/** `evolvent/sqlite`: the event store in a SQLite file. Needs the package `better-sqlite3`. */
export * as SqliteStore from "./stores/sqlite/SqliteStore.ts"
export type { SqliteOptions } from "./stores/sqlite/options.ts"
