/** The edge to better-sqlite3: what the driver throws becomes a reason, or stays a defect when it is a bug. */
import * as Result from "effect/Result"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import {
  CorruptLog,
  InvalidInput,
  SchemaMismatch,
  StorageFull,
  StoreClosed,
  StoreUnavailable
} from "../EventStoreError.ts"

/** The database is locked by somebody else at the moment. */
export class Locked {
  readonly _tag = "Locked"
}

/** Runs a synchronous piece of database work. Reasons may be thrown inside; other errors are the driver's. */
export const attempt = <A>(operation: string, run: () => A): Result.Result<A, EventStoreErrorReason | Locked> => {
  try {
    return Result.succeed(run())
  } catch (error) {
    if (isReason(error)) return Result.fail(error)
    return Result.fail(toReason(error, operation))
  }
}

const isReason = (error: unknown): error is EventStoreErrorReason =>
  [CorruptLog, SchemaMismatch, InvalidInput, StoreClosed].some((reason) => error instanceof reason)

/** Driver errors carry a code; anything else is a bug and is thrown on. Their messages may quote values and are dropped. */
export const toReason = (error: unknown, operation: string): EventStoreErrorReason | Locked => {
  const code = codeOf(error)
  if (code === undefined) throw error
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return new Locked()
  if (code === "SQLITE_FULL") return new StorageFull({ code })
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) {
    return new CorruptLog({ sequenceNumber: 0, problem: `the database file is damaged (${code})` })
  }
  return new StoreUnavailable({ code, operation, retryable: /^SQLITE_(IOERR|NOMEM|PROTOCOL|INTERRUPT)/.test(code) })
}

const codeOf = (error: unknown): string | undefined => {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined
  return error.code
}
