/** What errors say, and what they do not: flags, messages, and no word of a payload (the contract's "Errors"). */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Query from "../../stores/EventQuery.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import { onHarness, onStore } from "./ConformanceCase.ts"
import { closable, event, hostile } from "./expectations.ts"

const secret = "a word that must not leak"
const secretId = "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5"

const errorOf = (call: Effect.Effect<unknown, EventStoreError>): Effect.Effect<EventStoreError> =>
  Effect.map(Effect.result(call), (result) =>
    Result.isFailure(result) ? result.failure : assert.fail("the call succeeded")
  )

/** Calls that fail, each with an input that holds the secret somewhere in a payload, a predicate or metadata. */
const failures = (store: EventStore): ReadonlyArray<Effect.Effect<unknown, EventStoreError>> => {
  const deep = { secret, list: [secret, { [`key`]: secret }] }
  const throwing = Object.defineProperty({ secret }, "bad", {
    enumerable: true,
    get: () => {
      throw new Error(secret)
    }
  })
  return [
    store.append([event("Sold", { ...deep, bad: NaN })]),
    store.append([event("Sold", { ...deep, bad: `${secret}\0` })]),
    store.append([event("Sold", { ...deep, bad: new Error(secret) })]),
    store.append([event("Sold", { ...deep, bad: Symbol(secret) })]),
    store.append([event("Sold", { ...deep, bad: BigInt(5) })]),
    store.append([event("Sold", throwing)]),
    store.append([event("Sold", deep), event("")]),
    store.append([event("Sold", { deep, text: secret.repeat(60_000) })]),
    store.append([{ ...event("Sold", deep), metadata: { note: `${secret}\0` } }]),
    store.append([{ ...event("Sold", deep), metadata: { note: secret.repeat(1_000) } }]),
    store.append([{ ...event("Sold", deep), eventId: secretId }]),
    store.appendIf([event("Sold", deep)], Query.withPayload({ secret }), null),
    store.appendIf([event("Sold", deep)], Query.all, null, { conflictTail: true }),
    store.appendIf([event("Sold", deep)], Query.withPayload({ secret }), hostile(secret)),
    store.query(Query.withPayload(hostile({ secret, bad: undefined, worse: [undefined] }))),
    store.query(hostile({ filters: [{ payloadPredicates: secret }] })),
    store.append([event("Sold", deep)], { idempotencyKey: "taken" }),
    store.append([event("Sold", deep)], { idempotencyKey: hostile({ secret }) })
  ]
}

export const errors = [
  onStore("5", "errors show nothing of payloads, predicates and metadata", (store) =>
    Effect.gen(function* () {
      const sold = { ...event("Sold", { secret }), eventId: secretId, metadata: { note: secret } }
      yield* store.append([sold], { idempotencyKey: "taken" })
      for (const call of failures(store)) {
        const error = yield* errorOf(call)
        for (const text of [
          error.message,
          String(error),
          JSON.stringify(error),
          error.stack ?? "",
          error.reason.message
        ]) {
          assert.ok(!text.includes(secret), `${error.reason._tag} shows a payload`)
        }
        assert.equal(error.cause, undefined)
      }
    })
  ),
  onHarness("5", "errors say whether to try again and whether something may have been committed", (harness) =>
    Effect.gen(function* () {
      const { store, close } = yield* closable(harness.make)
      yield* store.append([event("Opened")], { idempotencyKey: "taken" })
      const table: ReadonlyArray<
        readonly [tag: string, retryable: boolean, call: Effect.Effect<unknown, EventStoreError>]
      > = [
        ["EmptyAppend", false, store.append([])],
        ["InvalidInput", false, store.append([event("")])],
        ["LimitExceeded", false, store.append([event("x".repeat(256))])],
        ["ConditionalAppendConflict", true, store.appendIf([event("Sold")], Query.all, null)],
        ["IdempotencyMismatch", false, store.append([event("Sold")], { idempotencyKey: "taken" })],
        ["StoreClosed", false, Effect.andThen(close, store.append([event("Sold")]))]
      ]
      for (const [tag, retryable, call] of table) {
        const error = yield* errorOf(call)
        assert.equal(error._tag, "EventStoreError")
        assert.equal(error.reason._tag, tag)
        assert.deepStrictEqual([error.retryable, error.reason.retryable], [retryable, retryable], tag)
        assert.deepStrictEqual([error.mayHaveCommitted, error.reason.mayHaveCommitted], [false, false], tag)
        assert.ok(error.message.startsWith(`${tag}: `) && error.message.length > tag.length + 12, tag)
      }
    })
  )
]
