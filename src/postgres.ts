/** `evolvent/postgres`: the event store on PostgreSQL. Needs the package `pg`. */
export * as PostgresStore from "./stores/postgres/PostgresStore.ts"
export type { DatabaseOptions, PostgresOptions } from "./stores/postgres/options.ts"
export type { ClientPool } from "./stores/postgres/driver.ts"
