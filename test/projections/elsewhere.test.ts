/** Query models elsewhere: at least once, in order, with the numbers to tell what came before. */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { describe } from "vitest"
import * as Projection from "../../src/projections/Projection.ts"
import { range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { databases, Events, makeNotes, numbersOf, sharedLog, sold, startWorker, appendEach } from "./sales.ts"

for (const under of databases) {
  describe(under.name, () => {
    itEffect("a batch whose position could not be kept comes again, and none is left out", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const notes = makeNotes()
        const [started, mayFinish] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const held = Projection.elsewhere({
          name: "held",
          events: Events,
          handle: (events) =>
            Effect.gen(function* () {
              yield* notes.handle(events)
              if (!numbersOf(events).includes(2)) return
              yield* Deferred.succeed(started, undefined)
              yield* Deferred.await(mayFinish)
            })
        })
        yield* appendEach(one, [sold(), sold(), sold()])
        const first = yield* startWorker(one, [held])
        yield* Deferred.await(started)
        // As after a freeze: the lease is another's before the handler is done.
        const cursor = "projection held\u00011\u00010"
        yield* other.workspace.transaction(({ cursors }) => cursors.reset(cursor, 1))
        const elsewhere = makeNotes()
        const second = yield* startWorker(other, [
          Projection.elsewhere({ name: "held", events: Events, handle: elsewhere.handle })
        ])
        yield* second.waitFor("held", 3)
        yield* Deferred.succeed(mayFinish, undefined)
        yield* one.append([sold()])
        yield* first.waitFor(held, 4)
        assert.deepStrictEqual(elsewhere.calls.flat().slice(0, 2), [2, 3])
        assert.deepStrictEqual(notes.calls.slice(0, 2), [[1], [2]])
        const all = new Set([...notes.calls, ...elsewhere.calls].flat())
        assert.deepStrictEqual(
          [...all].sort((a, b) => a - b),
          range(1, 4)
        )
      })
    )
  })
}
