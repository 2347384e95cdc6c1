/** Options that every store has. */
import type * as Result from "effect/Result"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import * as Limits from "../Limits.ts"
import type { Trail } from "./normaliseJson.ts"
import { attempt, refuse, within } from "./normaliseJson.ts"

export interface StoreOptions {
  /** Bytes of a payload as UTF-8 JSON. Default: 1 MiB, at most 64 MiB. */
  readonly maxPayloadBytes?: number | undefined
}

/** Checks the options and fills in the defaults. */
export const checkStoreOptions = (
  options: StoreOptions
): Result.Result<{ readonly maxPayloadBytes: number }, EventStoreErrorReason> =>
  attempt("options", (trail) => ({
    maxPayloadBytes: checkWhole(
      options.maxPayloadBytes ?? Limits.defaultMaxPayloadBytes,
      trail,
      "maxPayloadBytes",
      1,
      Limits.largestMaxPayloadBytes
    )
  }))

/** A whole number within bounds; throws a reason. */
export const checkWhole = (value: unknown, trail: Trail, key: string, least: number, most: number): number =>
  within(trail, key, value, (_, at) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
      ? (value as number)
      : refuse(at, `expected a whole number from ${least} to ${most}`)
  )
