/**
 * The key under which a command may be dispatched again. The events that the command leads to carry a tag made of it: whether
 * it was accepted before is a fact of the log, checked by the same conditional append as every other fact. Its fingerprint,
 * in their metadata, tells whether they came from the same command.
 */
import { createHash } from "node:crypto"
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { EventRecord, Metadata } from "../../stores/Event.ts"
import type { EventStoreErrorReason } from "../../stores/EventStoreError.ts"
import { InvalidInput } from "../../stores/EventStoreError.ts"
import * as Limits from "../../stores/Limits.ts"

/** What a key's tag begins with. It is stored: changing it makes every repetition a first time. */
const prefix = "idempotency:"

export class IdempotencyKey {
  /** What the events of the command carry. */
  readonly tag: string
  /** What their metadata say beside the command's own. */
  readonly metadata: Metadata
  /** Gives the answer of the first time again, from what it has recorded. */
  readonly repeat: (first: ReadonlyArray<EventRecord>, attempts: number) => Effect.Effect<unknown, unknown>

  constructor(
    key: string,
    decider: string,
    command: unknown,
    stream: string | undefined,
    repeat: (key: IdempotencyKey) => IdempotencyKey["repeat"]
  ) {
    this.tag = tagOf(key)
    this.metadata = { idempotencyKey: key, idempotencyFingerprint: fingerprintOf(decider, command, stream) }
    this.repeat = repeat(this)
  }

  /** Whether the record came from the same command of the same decider under the same key. */
  hasLedTo({ metadata }: EventRecord): boolean {
    return Object.entries(this.metadata).every(([name, value]) => metadata[name] === value)
  }
}

/** Checks a key: 1 to 255 bytes of well-formed UTF-8 without NUL. */
export const checkKey = (key: unknown): Result.Result<string, EventStoreErrorReason> =>
  typeof key === "string" && key !== "" && isText(key) && Buffer.byteLength(key) <= Limits.maxNameBytes
    ? Result.succeed(key)
    : Result.fail(
        new InvalidInput({
          path: "options.idempotencyKey",
          problem: `expected well-formed text of 1 to ${Limits.maxNameBytes} bytes, without NUL`
        })
      )

const isText = (key: string): boolean => key.isWellFormed() && !key.includes("\0")

/** A key that is too long to be part of a tag is hashed. */
const tagOf = (key: string): string => {
  const tag = prefix + key
  return Buffer.byteLength(tag) <= Limits.maxNameBytes ? tag : `${prefix}sha256:${sha256(key)}`
}

/** Of the decider's name and of what JSON shows of the command; of the name alone where that is nothing. */
const fingerprintOf = (decider: string, command: unknown, stream: string | undefined): string => {
  const text = Result.try({ try: () => JSON.stringify(command, inOrder), catch: () => undefined })
  const shown = Result.getOrElse(text, () => null) ?? null
  return sha256(JSON.stringify(stream === undefined ? [decider, shown] : [decider, shown, stream]))
}

/** Members in the order of their names, whole numbers of any size as texts. */
const inOrder = (_: string, value: unknown): unknown => {
  if (typeof value === "bigint") return `${value}n`
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")
