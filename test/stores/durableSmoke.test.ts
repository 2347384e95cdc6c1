import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import { describe } from "vitest"
import { event, recorder, eventuallyState, times } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"

for (const under of stores) {
  describe(under.name, () => {
    itEffect("delivers from the cursor on and takes over", () =>
      Effect.gen(function* () {
        const open = under.reopen === undefined ? undefined : yield* under.reopen
        const store = yield* open ?? under.make
        for (let n = 0; n < 5; n++) yield* store.append(times(2, () => event("A")))
        const first = recorder()
        const stream = yield* store.streamAllDurable({ name: "one" }, first.handler)
        yield* stream.caughtUp
        assert.equal(first.batches.length, 5)
        yield* store.append([event("B")])
        yield* first.received(6)
        const again = yield* Effect.flip(store.streamAllDurable({ name: "one" }, first.handler))
        assert.equal(again.reason._tag, "DurableStreamActive")
        yield* stream.unsubscribe
        const other = yield* Effect.flip(
          store.streamToDurable({ name: "one" }, { filters: [{ tags: ["x"] }] }, first.handler)
        )
        assert.equal(other.reason._tag, "DurableStreamMismatch")
        yield* store.append([event("C")])
        const second = recorder()
        const next = yield* store.streamAllDurable({ name: "one" }, second.handler)
        yield* second.received(1)
        assert.deepStrictEqual(second.numbers(), [[12]])
        if (open !== undefined) {
          const other = yield* open
          const third = recorder()
          const waiting = yield* other.streamAllDurable({ name: "one" }, third.handler)
          yield* eventuallyState(waiting, "waiting")
          yield* next.unsubscribe
          yield* other.append([event("D")])
          yield* third.received(1)
          assert.deepStrictEqual(third.numbers(), [[13]])
        }
      })
    )
  })
}
