/**
 * Idempotency keys (I1): the check of a key, and the fingerprint that tells whether two appends have the same content.
 * Stores keep fingerprints, so what goes into one is a format: changing it makes every repetition a mismatch.
 */
import { createHash } from "node:crypto"
import * as Result from "effect/Result"
import type { JsonValue } from "../Event.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import type { NormalisedEvent } from "./normaliseEvents.ts"
import { normaliseName } from "./normaliseEvents.ts"
import { attempt } from "./normaliseJson.ts"
import { canonicalJson } from "./normaliseQuery.ts"

/** The key of an append, and what it stands for. */
export interface Idempotency {
  readonly key: string
  /** SHA-256 of the events' content, 64 digits in lower case. */
  readonly fingerprint: string
}

/** Checks the key that a caller gave for these events; `undefined` where it gave none. */
export const checkIdempotency = (
  key: unknown,
  events: ReadonlyArray<NormalisedEvent>
): Result.Result<Idempotency | undefined, EventStoreErrorReason> =>
  key === undefined
    ? withoutKey
    : attempt("options", (trail) => ({
        key: normaliseName(key, trail, "idempotencyKey"),
        fingerprint: fingerprintOf(events)
      }))

const withoutKey = Result.succeed(undefined)

/** An id counts only where the caller gave it: one that is generated is another one in each repetition. */
const fingerprintOf = (events: ReadonlyArray<NormalisedEvent>): string => {
  const hash = createHash("sha256")
  for (const { eventId, eventType, idGiven, metadata, payload, schemaVersion, tags } of events) {
    const content: JsonValue = [eventType, payload, tags, schemaVersion, metadata, idGiven ? eventId : null]
    hash.update(canonicalJson(content)).update("\n")
  }
  return hash.digest("hex")
}

/** Whether the text can be a fingerprint. */
export const isFingerprint = (text: unknown): text is string => typeof text === "string" && /^[0-9a-f]{64}$/.test(text)
