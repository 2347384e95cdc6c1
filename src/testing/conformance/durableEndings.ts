/** How durable streams end: unsubscribed, also by their own handlers, and with their store, whatever is under way (S4, 7). */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type { EventStream } from "../../stores/EventStream.ts"
import { onHarness, onLog, onStore } from "./ConformanceCase.ts"
import {
  closable,
  event,
  eventually,
  eventuallyState,
  failsWith,
  inTime,
  numbersOf,
  range,
  recorder,
  stateOf
} from "./expectations.ts"

const sold = (buyer: string) => event("Sold", { buyer })

export const durableEndings = [
  onStore("S4", "after unsubscribing a durable stream gets nothing, and the others go on", (store) =>
    Effect.gen(function* () {
      const [left, other] = [recorder(), recorder()]
      const stream = yield* store.streamAllDurable({ name: "left" }, left.handler)
      yield* store.streamAllDurable({ name: "other" }, other.handler)
      yield* store.append([sold("ann")])
      yield* Effect.all([left.received(1), other.received(1)])
      yield* Effect.all([stream.unsubscribe, stream.unsubscribe], { concurrency: "unbounded" })
      yield* Effect.forEach(range(2, 8), () => store.append([sold("bob")]))
      yield* other.received(8)
      yield* stream.unsubscribe
      assert.deepStrictEqual(left.numbers(), [[1]])
      assert.equal(yield* stateOf(stream), "unsubscribed")
      yield* failsWith("StoreClosed", stream.caughtUp, "caughtUp after the end")
    })
  ),
  onStore("S4", "a durable delivery that is under way when its stream is unsubscribed finishes, and counts", (store) =>
    Effect.gen(function* () {
      let started = 0
      const release = yield* Deferred.make<void>()
      const second = recorder()
      const stream = yield* store.streamAllDurable({ name: "all" }, () =>
        Effect.suspend(() => (started++, Deferred.await(release)))
      )
      yield* store.append([sold("ann")])
      yield* store.append([sold("bob")])
      yield* eventually("the delivery starts", () => started === 1)
      const waiting = yield* Effect.forkChild(failsWith("StoreClosed", stream.caughtUp, "caughtUp"))
      yield* Effect.yieldNow
      yield* inTime(stream.unsubscribe, "unsubscribe returns")
      yield* Fiber.join(waiting)
      yield* Deferred.succeed(release, undefined)
      yield* store.streamAllDurable({ name: "all" }, second.handler)
      yield* second.received(1)
      assert.deepStrictEqual([started, second.numbers()], [1, [[2]]])
      const { position, state } = yield* stream.status
      assert.deepStrictEqual([position, state], [1, "unsubscribed"])
    })
  ),
  onStore("S4", "a handler may unsubscribe its own durable stream, and its batch counts as delivered", (store) =>
    Effect.gen(function* () {
      const [first, second] = [recorder(), recorder()]
      const own = yield* Deferred.make<EventStream>()
      for (const buyer of ["ann", "bob", "eve"]) yield* store.append([sold(buyer)])
      const stream = yield* store.streamAllDurable({ name: "all" }, (batch) =>
        Effect.gen(function* () {
          yield* first.handler(batch)
          if (first.batches.length === 2) yield* (yield* Deferred.await(own)).unsubscribe
        })
      )
      yield* Deferred.succeed(own, stream)
      yield* eventuallyState(stream, "unsubscribed")
      yield* store.streamAllDurable({ name: "all" }, second.handler, { lease: "1 hour" })
      yield* second.received(1)
      assert.deepStrictEqual([first.numbers(), second.numbers()], [[[1], [2]], [[3]]])
    })
  ),
  onStore("S4", "unsubscribing ends the retries of a durable stream", (store) =>
    Effect.gen(function* () {
      let attempts = 0
      const second = recorder()
      yield* store.append([sold("ann")])
      const stream = yield* store.streamAllDurable(
        { name: "all" },
        () => Effect.suspend(() => (attempts++, Effect.fail("no"))),
        { retry: Schedule.spaced("5 millis") }
      )
      yield* eventually("the batch is tried again", () => attempts >= 2)
      yield* stream.unsubscribe
      const atMost = attempts + 1
      yield* store.streamAllDurable({ name: "all" }, second.handler, { lease: "1 hour" })
      yield* second.received(1)
      assert.ok(attempts <= atMost)
    })
  ),
  onHarness("7", "a handler may close the store of its own durable stream without a deadlock", (harness) =>
    Effect.gen(function* () {
      const { close, store } = yield* closable(harness.make)
      const closed = yield* Deferred.make<void>()
      const idle = yield* store.streamAllDurable({ name: "idle" }, () => Effect.never)
      yield* idle.unsubscribe
      yield* store.streamAllDurable({ name: "other" }, () => Effect.void)
      const stream = yield* store.streamAllDurable({ name: "all" }, () =>
        Effect.andThen(close, Deferred.succeed(closed, undefined))
      )
      yield* Effect.result(store.append([sold("ann")]))
      yield* inTime(Deferred.await(closed), "the handler closes the store")
      yield* eventuallyState(stream, "unsubscribed")
      const handler = () => Effect.void
      yield* failsWith("StoreClosed", store.streamAllDurable({ name: "all" }, handler), "streamAllDurable")
      yield* failsWith("StoreClosed", store.streamToDurable({ name: "new" }, {}, handler), "streamToDurable")
      yield* failsWith(
        "StoreClosed",
        store.workspace.transaction(() => Effect.void),
        "a transaction"
      )
    })
  ),
  onLog("7", "a transaction may close its store without a deadlock, and is undone", (open) =>
    Effect.gen(function* () {
      const { close, store } = yield* closable(open)
      const claim = { cursor: "mine", query: "all", start: 0, owner: "me", leaseMs: 60_000 }
      yield* store.streamAllDurable({ name: "idle" }, () => Effect.void)
      const transaction = store.workspace.transaction(({ cursors }) =>
        Effect.gen(function* () {
          yield* cursors.claim(claim)
          yield* close
          yield* cursors.claim(claim)
        })
      )
      yield* failsWith("StoreClosed", transaction, "the transaction")
      const rows = (yield* open).workspace.transaction(({ cursors }) => cursors.read(["mine", "stream idle"]))
      assert.deepStrictEqual(
        (yield* rows).map(({ cursor }) => cursor),
        ["stream idle"]
      )
    })
  ),
  onHarness("7", "closing ends durable streams, whether they wait, deliver or never settle", (harness) =>
    Effect.gen(function* () {
      const { close, store } = yield* closable(harness.make)
      let started = 0
      const idle = yield* store.streamAllDurable({ name: "idle" }, () => Effect.void)
      const stuck = yield* store.streamAllDurable({ name: "stuck" }, () =>
        Effect.suspend(() => (started++, Effect.never))
      )
      yield* store.append([sold("ann")])
      yield* eventually("a delivery starts", () => started === 1)
      const waiting = yield* Effect.forkChild(failsWith("StoreClosed", stuck.caughtUp, "caughtUp"))
      yield* Effect.yieldNow
      yield* inTime(close, "the store closes")
      yield* Fiber.join(waiting)
      for (const stream of [idle, stuck]) {
        assert.equal(yield* stateOf(stream), "unsubscribed")
        yield* failsWith("StoreClosed", stream.caughtUp, "caughtUp of a stream of a closed store")
        yield* stream.unsubscribe
      }
      assert.equal(started, 1)
    })
  ),
  onLog("7", "a durable delivery that is under way when the store closes finishes, and counts", (open) =>
    Effect.gen(function* () {
      const { close, store } = yield* closable(open)
      const second = recorder()
      let started = 0
      yield* store.append([sold("ann")])
      yield* store.append([sold("bob")])
      yield* store.streamAllDurable(
        { name: "all" },
        () => Effect.suspend(() => (started++, Effect.sleep("30 millis"))),
        { lease: "1 hour" }
      )
      yield* eventually("a delivery starts", () => started === 1)
      yield* inTime(close, "the store closes")
      yield* (yield* open).streamAllDurable({ name: "all" }, second.handler, { lease: "1 hour" })
      yield* second.received(1)
      assert.deepStrictEqual([started, second.batches.map(numbersOf)], [1, [[2]]])
    })
  )
]
