/** Closing a store: what is under way, what comes after, and handlers that close their own store (rule 7). */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Query from "../../stores/EventQuery.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import { onHarness, onLog } from "./ConformanceCase.ts"
import {
  closable,
  event,
  eventually,
  eventuallyState,
  failsWith,
  inTime,
  logOf,
  range,
  recorder,
  times
} from "./expectations.ts"

const allClosed = Effect.fnUntraced(function* (store: EventStore) {
  const handler = () => Effect.void
  yield* failsWith("StoreClosed", store.append([event("Sold")]), "append")
  yield* failsWith("StoreClosed", store.query(), "query")
  yield* failsWith("StoreClosed", store.query(Query.ofTypes("Sold")), "a filtered query")
  yield* failsWith("StoreClosed", store.appendIf([event("Sold")], Query.all, null), "appendIf")
  yield* failsWith("StoreClosed", store.appendBatchesIf([[event("Sold")]], Query.all, null), "appendBatchesIf")
  yield* failsWith("StoreClosed", store.streamAll(handler), "streamAll")
  yield* failsWith("StoreClosed", store.streamTo(Query.ofTypes("Sold"), handler), "streamTo")
})

export const lifecycle = [
  onHarness("7", "after closing every call fails with StoreClosed", (harness) =>
    Effect.gen(function* () {
      const { store, close } = yield* closable(harness.make)
      yield* store.append([event("Opened")])
      yield* inTime(close, "the store closes")
      yield* allClosed(store)
    })
  ),
  onHarness("7", "closing twice is closing once", (harness) =>
    Effect.gen(function* () {
      const { store, close } = yield* closable(harness.make)
      yield* inTime(Effect.all([close, close], { concurrency: "unbounded" }), "the store closes")
      yield* inTime(close, "the store closes again")
      yield* allClosed(store)
    })
  ),
  onHarness("7", "stores do not share what they hold, and closing one leaves the other alone", (harness) =>
    Effect.gen(function* () {
      const one = yield* closable(harness.make)
      const other = yield* closable(harness.make)
      yield* one.store.append([event("Opened"), event("Sold")])
      assert.deepStrictEqual(yield* logOf(other.store), [])
      yield* one.close
      const recording = recorder()
      yield* other.store.streamAll(recording.handler)
      assert.equal((yield* other.store.append([event("Opened")])).firstSequenceNumber, 1)
      yield* recording.received(1)
    })
  ),
  onHarness("7", "a handler may close its own store without a deadlock", (harness) =>
    Effect.gen(function* () {
      const { store, close } = yield* closable(harness.make)
      const delivered = recorder()
      const closed = yield* Deferred.make<void>()
      const stream = yield* store.streamAll((batch) =>
        delivered.handler(batch).pipe(Effect.andThen(close), Effect.andThen(Deferred.succeed(closed, undefined)))
      )
      yield* Effect.result(store.append([event("Sold")]))
      yield* inTime(Deferred.await(closed), "the handler closes the store")
      yield* allClosed(store)
      assert.equal(delivered.batches.length, 1)
      yield* eventuallyState(stream, "unsubscribed")
    })
  ),
  onHarness("7", "closing ends streams, whether they wait or deliver", (harness) =>
    Effect.gen(function* () {
      const { store, close } = yield* closable(harness.make)
      let [started, finished] = [0, 0]
      const release = yield* Deferred.make<void>()
      const idle = yield* store.streamTo(Query.ofTypes("Never"), () => Effect.void)
      const busy = yield* store.streamAll(() =>
        Effect.gen(function* () {
          started++
          yield* Deferred.await(release)
          finished++
        })
      )
      yield* store.append([event("Sold")])
      yield* store.append([event("Sold")])
      yield* eventually("a delivery starts", () => started === 1)
      const waiting = yield* Effect.forkChild(failsWith("StoreClosed", busy.caughtUp, "caughtUp"))
      yield* Effect.yieldNow
      yield* inTime(close, "the store closes")
      yield* Fiber.join(waiting)
      yield* Deferred.succeed(release, undefined)
      yield* eventuallyState(idle, "unsubscribed")
      yield* eventuallyState(busy, "unsubscribed")
      yield* eventually("the delivery under way finishes", () => finished === 1)
      yield* Effect.forEach(range(1, 20), () => Effect.sleep("1 millis"))
      assert.equal(started, 1)
      yield* failsWith("StoreClosed", idle.caughtUp, "caughtUp of a stream of a closed store")
      yield* idle.unsubscribe
    })
  ),
  onHarness("7", "calls under way when the store closes are answered, one way or the other", (harness) =>
    Effect.gen(function* () {
      const { store, close } = yield* closable(harness.make)
      const appends = yield* Effect.forkChild(
        Effect.all(
          times(50, (index) => Effect.result(store.append([event("Sold", { index })]))),
          { concurrency: "unbounded" }
        )
      )
      const queries = yield* Effect.forkChild(
        Effect.all(
          times(20, () => Effect.result(store.query())),
          { concurrency: "unbounded" }
        )
      )
      yield* Effect.yieldNow
      yield* inTime(close, "the store closes")
      const answers: ReadonlyArray<Result.Result<unknown, EventStoreError>> = [
        ...(yield* inTime(Fiber.join(appends), "every append is answered")),
        ...(yield* inTime(Fiber.join(queries), "every query is answered"))
      ]
      for (const answer of answers) {
        if (Result.isFailure(answer)) assert.equal(answer.failure.reason._tag, "StoreClosed")
      }
    })
  ),
  onLog("7", "an append that was answered before the store closed is in the log, a refused one is not", (open) =>
    Effect.gen(function* () {
      const { store, close } = yield* closable(open)
      const appends = yield* Effect.forkChild(
        Effect.all(
          times(60, (index) => Effect.result(store.append([event("Sold", { index }), event("Paid", { index })]))),
          { concurrency: "unbounded" }
        )
      )
      yield* Effect.yieldNow
      yield* inTime(close, "the store closes")
      const results = yield* inTime(Fiber.join(appends), "every append is answered")
      const committed = results.filter(Result.isSuccess).flatMap((result) => result.success.eventRecords)
      const log = yield* logOf(yield* open)
      const inOrder = [...committed].sort((a, b) => a.sequenceNumber - b.sequenceNumber)
      assert.deepStrictEqual(log, inOrder)
    })
  )
]
