/**
 * The edge to pg: what the driver rejects with becomes one of three failures, by what is known of the statement. The driver's
 * messages may quote values and are dropped; codes are kept.
 */
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { CorruptLog, SequenceLimit, StorageFull, StoreBusy, StoreUnavailable } from "../EventStoreError.ts"
import { raised } from "./functions.ts"

/** Why a statement did not succeed. */
export type Failure =
  /** It did nothing: it never reached the server, or the server refused it and rolled back. */
  | { readonly _tag: "Refused"; readonly code: string; readonly detail: string | undefined; readonly waitedMs: number }
  /** It may have been carried out: the connection broke, or no answer came in time. */
  | { readonly _tag: "Lost"; readonly code: string }

interface ServerError {
  readonly code: string
  readonly severity: string | undefined
  readonly detail: string | undefined
}

/**
 * Errors that PostgreSQL sends while it ends a connection; the statement may have been committed before. And one that says that
 * the connection is within somebody else's transaction that failed.
 */
const isOver = /^(57P0[1-5]|08|58|25P02)/

/** Classifies what a statement that was sent was rejected with. */
export const toFailure = (error: unknown, waitedMs: number): Failure => {
  const server = serverError(error)
  if (server === undefined || isOver.test(server.code) || /^(FATAL|PANIC)$/.test(server.severity ?? "")) {
    return { _tag: "Lost", code: codeOf(error) }
  }
  return { _tag: "Refused", code: server.code, detail: server.detail, waitedMs }
}

/** Why no connection could be had: nothing was sent. */
export const toUnavailable = (error: unknown, operation: string): StoreUnavailable => {
  const code = codeOf(error)
  return new StoreUnavailable({ code, operation, retryable: !/^(28|3D|42|0A)/.test(code) })
}

/** The reason for a statement that did nothing. */
export const refusal = (failure: Failure & { _tag: "Refused" }, operation: string): EventStoreErrorReason => {
  const { code, detail, waitedMs } = failure
  if (code === "55P03") return new StoreBusy({ waitedMs })
  if (code === "53100") return new StorageFull({ code })
  if (code === raised.sequenceLimit) return new SequenceLimit({ headSequenceNumber: Number(detail) })
  if (code === raised.logEndsEarly) {
    return new CorruptLog({ sequenceNumber: Number(detail), problem: "the log ends before it" })
  }
  if (code === raised.eventMissing) {
    return new CorruptLog({ sequenceNumber: Number(detail), problem: "the event is missing" })
  }
  if (/^XX00[12]$/.test(code))
    return new CorruptLog({ sequenceNumber: 0, problem: `the database is damaged (${code})` })
  return new StoreUnavailable({ code, operation, retryable: /^(08|40|53|55|57)/.test(code) })
}

/** The reason for a read that failed, however it did. */
export const readFailure = (failure: Failure, operation: string): EventStoreErrorReason =>
  failure._tag === "Lost"
    ? new StoreUnavailable({ code: failure.code, operation, retryable: true })
    : refusal(failure, operation)

const serverError = (error: unknown): ServerError | undefined => {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined
  if (!/^[0-9A-Z]{5}$/.test(error.code)) return undefined
  const { detail, severity } = error as { readonly detail?: string; readonly severity?: string }
  return { code: error.code, detail, severity }
}

/** A code of the server's or of the operating system's, else what kind of failure it was. */
const codeOf = (error: unknown): string => {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code
  return "CONNECTION_FAILED"
}
