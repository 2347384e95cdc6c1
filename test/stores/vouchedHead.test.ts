/** A head that is ahead of the log says nothing, unless a call before it in the queue has brought the log there. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { withTags } from "../../src/stores/EventQuery.ts"
import { event } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"

for (const { make, name } of stores) {
  describe(`a head that is vouched for, on ${name}`, () => {
    itEffect("counts once an append that was called before has reached it", () =>
      Effect.gen(function* () {
        const store = yield* make
        yield* store.append([event("A"), event("A")])
        const claim = store.appendIf([event("B")], withTags("context"), 2, { headSequenceNumber: 3 })
        expect(yield* Effect.flip(claim)).toMatchObject({ reason: { _tag: "ConditionalAppendConflict", actual: null } })
        const [before, after] = yield* Effect.all([store.append([event("A"), event("A")]), claim], {
          concurrency: "unbounded"
        })
        expect([before.lastSequenceNumber, after.firstSequenceNumber]).toEqual([4, 5])
      })
    )
  })
}
