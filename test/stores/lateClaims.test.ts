/** A claim of a cursor whose answer is old by the time that it is there. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { expect } from "vitest"
import { makeEventStore } from "../../src/stores/internal/makeEventStore.ts"
import { readingInSteps } from "../../src/stores/internal/reading.ts"
import { memoryTransactions } from "../../src/stores/internal/workspace/memoryTables.ts"
import { MemoryLog } from "../../src/stores/memory/MemoryLog.ts"
import { event, inTime } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"

/** A store in memory whose reads of the head may be held up. */
const storeWith = (beforeHead: Effect.Effect<void>) => {
  const log = new MemoryLog()
  const reading = readingInSteps({
    head: Effect.sync(() => log.head),
    up: (query, span, limit) => Effect.succeed(log.events.up(query, span, limit)),
    down: (query, span) => Effect.succeed({ match: log.events.lastMatch(query, span), position: span.after })
  })
  return makeEventStore(
    {
      maxPayloadBytes: 1_000,
      currentMillis: Date.now,
      reading: { ...reading, head: Effect.andThen(beforeHead, reading.head) },
      commit: (request) => Effect.fromResult(log.commit(request, Date.now())),
      transaction: memoryTransactions(Date.now)(() => log.closed),
      awaitChange: log.changes.await,
      isClosed: () => log.closed
    },
    "memory"
  )
}

itEffect("a position that was set back meanwhile is not taken for the new one", () =>
  Effect.gen(function* () {
    const [asked, answer] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
    let isHeldUp = false
    const store = yield* storeWith(
      Effect.suspend(() =>
        isHeldUp ? Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(answer)) : Effect.void
      )
    )
    const { transaction } = store.workspace
    yield* store.append([event("Sold"), event("Sold")])
    const { reached, status, unsubscribe, wake } = yield* store.workspace.follow({
      cursor: "of the test",
      name: "of the test",
      query: {},
      start: "beginning",
      leaseMs: 1_000,
      retry: undefined,
      together: false,
      deliver: (_, { move }) => move
    })
    yield* inTime(reached(2), "it is delivered")
    yield* transaction(({ cursors }) => cursors.setPaused("of the test", true))
    isHeldUp = true
    yield* wake
    yield* inTime(Deferred.await(asked), "a claim is under way")
    yield* transaction(({ cursors }) => cursors.reset("of the test", 0))
    yield* wake
    yield* Deferred.succeed(answer, undefined)
    yield* Effect.sleep("20 millis")
    expect(yield* status).toMatchObject({ state: "paused", position: 0 })
    yield* unsubscribe
  })
)
