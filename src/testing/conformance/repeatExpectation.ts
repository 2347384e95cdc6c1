/** What the cases about idempotency keys are written with: events under a key, expected repetitions and mismatches. */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { NewEvent } from "../../stores/Event.ts"
import * as Query from "../../stores/EventQuery.ts"
import type { AppendResult, EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import { assertDeeplyFrozen, event, failsWith, logOf } from "./expectations.ts"

export const idA = "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5"
export const idB = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
export const sold = (buyer: string): NewEvent => event("Sold", { buyer, seats: [1, 2] }, [`buyer:${buyer}`, "sale:1"])
export const ofBuyer = (buyer: string) => Query.withPayload({ buyer })

export const key = "order 1"
export const underKey = { idempotencyKey: key }

/** Events with everything that content is made of. */
export const order: ReadonlyArray<NewEvent> = [
  {
    eventType: "Placed",
    payload: { id: 7, lines: [{ sku: "a", count: 0 }], note: null },
    tags: ["order:1", "customer:7"],
    eventId: idA,
    schemaVersion: 2,
    metadata: { actor: "ann", source: "web" }
  },
  sold("ann")
]

export type Call = Effect.Effect<AppendResult, EventStoreError>

/** Expects the call to give what the first one gave, and the log to stay what it is. */
export const repeats = Effect.fnUntraced(function* (store: EventStore, first: AppendResult, call: Call, what?: string) {
  const before = yield* logOf(store)
  const again = yield* call
  assert.deepStrictEqual(again, first, what)
  assertDeeplyFrozen(again.eventRecords, "the records of a repetition")
  assert.deepStrictEqual(yield* logOf(store), before, what)
})

/** Expects the call to be refused because its key stands for other events, and the log to stay what it is. */
export const mismatches = Effect.fnUntraced(function* (store: EventStore, call: Call, what?: string) {
  const before = yield* logOf(store)
  const { idempotencyKey } = yield* failsWith("IdempotencyMismatch", call, what)
  assert.equal(idempotencyKey, key)
  assert.deepStrictEqual(yield* logOf(store), before, what)
})
