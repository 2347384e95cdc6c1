/** The options of the SQLite store, and their check. */
import type * as Result from "effect/Result"
import { resolve } from "node:path"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import * as Limits from "../Limits.ts"
import { attempt, refuse, within } from "../internal/normaliseJson.ts"
import type { StoreOptions } from "../internal/options.ts"
import { checkWhole } from "../internal/options.ts"

export interface SqliteOptions extends StoreOptions {
  /** Path of the database file, on a local disk. Created with mode 0600 when it does not exist. */
  readonly file: string
  /** What the names of the tables begin with: `^[a-z_][a-z0-9_]{0,47}$`, not `sqlite_` or `pg_` in front. Default: `evolvent`. */
  readonly tablePrefix?: string | undefined
  /**
   * `FULL`: every answered append is on disk. `NORMAL`: a power failure, not a crash of the process, may lose the last
   * ones; the log stays consistent. Default: `FULL`.
   */
  readonly synchronous?: "FULL" | "NORMAL" | undefined
  /** Milliseconds to wait for another process's lock before `StoreBusy`. Default: 5,000. */
  readonly busyTimeout?: number | undefined
  /** Milliseconds between two looks for other processes' commits while a stream waits. Default: 20. */
  readonly pollInterval?: number | undefined
  /** Size of SQLite's page cache in KiB, at least 1,024. Default: 65,536. */
  readonly cacheKibibytes?: number | undefined
  /** Events that may wait in memory before they are written to the index, 1 to 65,536. Default: 512. */
  readonly indexEvery?: number | undefined
}

/** The options with defaults filled in. */
export interface SqliteSettings {
  readonly file: string
  readonly tablePrefix: string
  readonly synchronous: "FULL" | "NORMAL"
  readonly cacheKibibytes: number
  readonly maxPayloadBytes: number
  readonly busyTimeout: number
  readonly pollInterval: number
  readonly indexEvery: number
}

const day = 86_400_000

/** Checks the options and fills in the defaults. */
export const checkSqliteOptions = (options: SqliteOptions): Result.Result<SqliteSettings, EventStoreErrorReason> =>
  attempt("options", (trail) => {
    const { file, tablePrefix = "evolvent", synchronous = "FULL" } = options
    within(trail, "file", file, (_, at) =>
      typeof file === "string" && file.length > 0 && !file.startsWith(":") && !file.includes("\0")
        ? file
        : refuse(at, "expected the path of a file; for a log in memory use the memory store")
    )
    within(trail, "tablePrefix", tablePrefix, (_, at) =>
      typeof tablePrefix === "string" &&
      /^[a-z_][a-z0-9_]{0,47}$/.test(tablePrefix) &&
      !/^(sqlite|pg)_/.test(tablePrefix)
        ? tablePrefix
        : refuse(at, "expected lower-case letters, digits and underscores, at most 48, not sqlite_ or pg_")
    )
    within(trail, "synchronous", synchronous, (_, at) =>
      synchronous === "FULL" || synchronous === "NORMAL" ? synchronous : refuse(at, "expected FULL or NORMAL")
    )
    const whole = (key: keyof SqliteOptions, value: unknown, least: number, most: number) =>
      checkWhole(value, trail, key, least, most)
    return {
      file: resolve(file),
      tablePrefix,
      synchronous,
      maxPayloadBytes: whole(
        "maxPayloadBytes",
        options.maxPayloadBytes ?? Limits.defaultMaxPayloadBytes,
        1,
        Limits.largestMaxPayloadBytes
      ),
      busyTimeout: whole("busyTimeout", options.busyTimeout ?? 5_000, 0, day),
      pollInterval: whole("pollInterval", options.pollInterval ?? 20, 1, day),
      cacheKibibytes: whole("cacheKibibytes", options.cacheKibibytes ?? 65_536, 1_024, 2 ** 30),
      indexEvery: whole("indexEvery", options.indexEvery ?? 512, 1, 65_536)
    }
  })
