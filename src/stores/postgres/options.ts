/** The options of the PostgreSQL store, and their check. */
import type * as Result from "effect/Result"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import * as Limits from "../Limits.ts"
import type { Trail } from "../internal/normaliseJson.ts"
import { attempt, refuse, within } from "../internal/normaliseJson.ts"
import type { StoreOptions } from "../internal/options.ts"
import { checkWhole } from "../internal/options.ts"
import type { ClientPool } from "./driver.ts"

/** Where the database is: a connection string, or the application's own pool. */
export interface DatabaseOptions {
  /**
   * For example `postgres://writer:secret@db.example.com/app?sslmode=verify-full`. The store makes a pool of its own and ends it
   * with the scope. Either this or `pool`.
   */
  readonly url?: string | undefined
  /** A `pg.Pool` of the application's; one connection is enough. The store never ends it. */
  readonly pool?: ClientPool | undefined
  /** The database schema that holds the log: `^[a-z_][a-z0-9_]{0,47}$`, not `pg_...`. Default: `evolvent`. */
  readonly schema?: string | undefined
  /** Connections of the store's own pool, 1 to 1,000. Default: 5. */
  readonly maxConnections?: number | undefined
  /** Milliseconds to wait for a connection before `StoreUnavailable`. Default: 5,000. */
  readonly connectTimeout?: number | undefined
  /** Milliseconds to wait for an answer before the connection is given up. Default: 30,000. */
  readonly answerTimeout?: number | undefined
}

export interface PostgresOptions extends StoreOptions, DatabaseOptions {
  /**
   * Whether to create the tables, or bring them up to date, when the store is opened; needs the owner role. Otherwise a
   * database that is not up to date is refused with `SchemaMismatch`. Default: true.
   */
  readonly migrate?: boolean | undefined
  /** Milliseconds to wait for the log's lock before `StoreBusy`. Default: 5,000. */
  readonly lockTimeout?: number | undefined
  /** Milliseconds to find out whether an append happened whose answer was lost, before `CommitUnknown`. Default: 30,000. */
  readonly resolveTimeout?: number | undefined
  /** Milliseconds between two looks for other processes' commits while a stream waits, 1 to 1,000. Default: 500. */
  readonly pollInterval?: number | undefined
  /**
   * Whether to listen for other processes' commits, on a connection of its own beside the pool. Without it, and behind a
   * pooler that hands connections around, streams notice them by `pollInterval`. Default: true.
   */
  readonly listen?: boolean | undefined
  /** Events that may wait before they are written to the index, 1 to 65,536. Default: 4,096. */
  readonly indexEvery?: number | undefined
}

/** The database options with defaults filled in. */
export interface DatabaseSettings {
  readonly url: string | undefined
  readonly pool: ClientPool | undefined
  readonly schema: string
  readonly maxConnections: number
  readonly connectTimeout: number
  readonly answerTimeout: number
}

/** The options with defaults filled in. */
export interface PostgresSettings extends DatabaseSettings {
  readonly maxPayloadBytes: number
  readonly migrate: boolean
  readonly lockTimeout: number
  readonly resolveTimeout: number
  readonly pollInterval: number
  readonly listen: boolean
  readonly indexEvery: number
}

const day = 86_400_000

/** Checks the options and fills in the defaults. */
export const checkPostgresOptions = (
  options: PostgresOptions
): Result.Result<PostgresSettings, EventStoreErrorReason> =>
  attempt("options", (trail) => {
    const whole = wholeOf(trail)
    return {
      ...databaseSettings(options, trail),
      maxPayloadBytes: whole(
        "maxPayloadBytes",
        options.maxPayloadBytes ?? Limits.defaultMaxPayloadBytes,
        1,
        Limits.largestMaxPayloadBytes
      ),
      migrate: options.migrate ?? true,
      lockTimeout: whole("lockTimeout", options.lockTimeout ?? 5_000, 1, day),
      resolveTimeout: whole("resolveTimeout", options.resolveTimeout ?? 30_000, 1, day),
      pollInterval: whole("pollInterval", options.pollInterval ?? 500, 1, 1_000),
      listen: options.listen ?? true,
      indexEvery: whole("indexEvery", options.indexEvery ?? 4_096, 1, 65_536)
    }
  })

/** Checks the options that say where the database is. */
export const checkDatabaseOptions = (
  options: DatabaseOptions
): Result.Result<DatabaseSettings, EventStoreErrorReason> =>
  attempt("options", (trail) => databaseSettings(options, trail))

const databaseSettings = (options: DatabaseOptions, trail: Trail): DatabaseSettings => {
  const whole = wholeOf(trail)
  const { pool, schema = "evolvent", url } = options
  if ((url === undefined) === (pool === undefined)) refuse(trail, "expected either url or pool")
  within(trail, "url", url, (_, at) =>
    url === undefined || (typeof url === "string" && /^postgres(ql)?:\/\//.test(url))
      ? url
      : refuse(at, "expected a connection string that begins with postgres://")
  )
  within(trail, "pool", pool, (_, at) =>
    pool === undefined || typeof pool?.connect === "function" ? pool : refuse(at, "expected a pg.Pool")
  )
  within(trail, "schema", schema, (_, at) =>
    typeof schema === "string" && /^[a-z_][a-z0-9_]{0,47}$/.test(schema) && !schema.startsWith("pg_")
      ? schema
      : refuse(at, "expected lower-case letters, digits and underscores, at most 48, not pg_")
  )
  return {
    url,
    pool,
    schema,
    maxConnections: whole("maxConnections", options.maxConnections ?? 5, 1, 1_000),
    connectTimeout: whole("connectTimeout", options.connectTimeout ?? 5_000, 1, day),
    answerTimeout: whole("answerTimeout", options.answerTimeout ?? 30_000, 1, day)
  }
}

const wholeOf =
  (trail: Trail) =>
  (key: keyof PostgresOptions, value: unknown, least: number, most: number): number =>
    checkWhole(value, trail, key, least, most)
