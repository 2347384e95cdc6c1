/** `DurableStream`: the identity of one stored cursor. */
import * as Result from "effect/Result"
import type { EventStoreErrorReason } from "./EventStoreError.ts"
import { normaliseName } from "./internal/normaliseEvents.ts"
import { attempt } from "./internal/normaliseJson.ts"

/** A name that belongs to one query (D4) and is active once (D5). */
export interface DurableStream {
  readonly name: string
}

/** Checks the name: 1 to 255 UTF-8 bytes of well-formed text. */
export const make = (name: string): Result.Result<DurableStream, EventStoreErrorReason> =>
  Result.map(
    attempt("stream", (trail) => normaliseName(name, trail, "name")),
    (checked) => ({ name: checked })
  )
