/** Streams whose handlers are slow or fail, and streams that end (S3, S4). */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type { EventBatch } from "../../stores/Event.ts"
import * as Query from "../../stores/EventQuery.ts"
import type { EventStream } from "../../stores/EventStream.ts"
import { onStore } from "./ConformanceCase.ts"
import {
  event,
  eventually,
  eventuallyState,
  failsWith,
  inTime,
  logOf,
  numbersOf,
  range,
  recorder,
  stateOf
} from "./expectations.ts"

const sold = (buyer: string) => event("Sold", { buyer })
const retrying = (retries: number) => ({ retry: Schedule.max([Schedule.spaced("1 millis"), Schedule.recurs(retries)]) })

class HandlerFailed extends Error {}

export const streamFailures = [
  onStore("S3", "a failing handler does not undo the append", (store) =>
    Effect.gen(function* () {
      const stream = yield* store.streamAll(() => Effect.fail(new HandlerFailed()), retrying(0))
      const result = yield* store.append([sold("ann"), sold("bob")])
      yield* eventuallyState(stream, "stopped")
      assert.deepStrictEqual(yield* logOf(store), result.eventRecords)
      assert.equal((yield* store.append([sold("eve")])).firstSequenceNumber, 3)
    })
  ),
  onStore("S3", "a failed batch is tried again, and nothing later is delivered before it succeeds", (store) =>
    Effect.gen(function* () {
      const attempts: Array<ReadonlyArray<number>> = []
      const stream = yield* store.streamAll(
        (batch) =>
          Effect.suspend(() => {
            attempts.push(numbersOf(batch))
            return attempts.length <= 3 ? Effect.fail(new HandlerFailed()) : Effect.void
          }),
        retrying(5)
      )
      yield* store.append([sold("ann"), sold("bob")])
      yield* store.append([sold("eve")])
      yield* eventually("the later batch arrives", () => attempts.length >= 5)
      assert.deepStrictEqual(attempts, [[1, 2], [1, 2], [1, 2], [1, 2], [3]])
      yield* inTime(stream.caughtUp, "the stream catches up")
      const status = yield* stream.status
      assert.deepStrictEqual([status.state, status.position, status.failures], ["running", 3, 0])
    })
  ),
  onStore("S3", "a handler that keeps failing stops its stream, and the status says so", (store) =>
    Effect.gen(function* () {
      const attempts: Array<ReadonlyArray<number>> = []
      const failure = new HandlerFailed("for the status")
      const stream = yield* store.streamAll((batch) => {
        attempts.push(numbersOf(batch))
        return numbersOf(batch)[0] === 1 ? Effect.void : Effect.fail(failure)
      }, retrying(2))
      yield* store.append([sold("ann")])
      yield* store.append([sold("bob")])
      yield* store.append([sold("eve")])
      yield* eventuallyState(stream, "stopped")
      assert.deepStrictEqual(attempts, [[1], [2], [2], [2]])
      const status = yield* stream.status
      assert.deepStrictEqual([status.position, status.failures], [1, 3])
      assert.equal(status.lastError, failure)
      yield* failsWith("StoreClosed", stream.caughtUp, "caughtUp of a stopped stream")
    })
  ),
  onStore("S3", "a stopped stream delivers nothing more, and the others go on", (store) =>
    Effect.gen(function* () {
      let attempts = 0
      const recording = recorder()
      const stream = yield* store.streamAll(
        () => Effect.suspend(() => Effect.fail(new HandlerFailed(`${++attempts}`))),
        retrying(1)
      )
      yield* store.streamAll(recording.handler)
      yield* store.append([sold("ann")])
      yield* eventuallyState(stream, "stopped")
      yield* store.append([sold("bob")])
      yield* store.append([sold("eve")])
      yield* recording.received(3)
      assert.deepStrictEqual(recording.numbers(), [[1], [2], [3]])
      assert.equal(attempts, 2)
      assert.equal(yield* stateOf(stream), "stopped")
    })
  ),
  onStore("S3", "a handler that dies counts as one that failed", (store) =>
    Effect.gen(function* () {
      let attempts = 0
      const recording = recorder()
      const defect = new HandlerFailed("a defect")
      const dying = yield* store.streamAll(
        (batch) => (++attempts < 3 ? Effect.die(defect) : recording.handler(batch)),
        retrying(5)
      )
      const throwing = yield* store.streamAll((): Effect.Effect<void> => {
        throw defect
      }, retrying(0))
      yield* store.append([sold("ann")])
      yield* recording.received(1)
      assert.equal(attempts, 3)
      yield* eventuallyState(throwing, "stopped")
      assert.equal((yield* throwing.status).lastError, defect)
      assert.equal(yield* stateOf(dying), "running")
    })
  ),
  onStore("S3", "a slow handler blocks neither appends nor queries nor other streams", (store) =>
    Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      const slow = recorder()
      const quick = recorder()
      yield* store.streamAll((batch) => Effect.andThen(Deferred.await(release), slow.handler(batch)))
      yield* store.streamAll(quick.handler)
      yield* inTime(
        Effect.forEach(range(1, 40), (index) => store.append([event("Sold", { index })])),
        "the appends are not blocked"
      )
      assert.equal((yield* inTime(store.query(), "the query is not blocked")).headSequenceNumber, 40)
      yield* quick.received(40)
      assert.deepStrictEqual(slow.batches, [])
      yield* Deferred.succeed(release, undefined)
      yield* slow.received(40)
      assert.deepStrictEqual(slow.batches, quick.batches)
    })
  ),
  onStore("S3", "a handler gets one batch at a time", (store) =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      const recording = recorder()
      yield* store.streamAll((batch) =>
        Effect.gen(function* () {
          most = Math.max(most, ++running)
          yield* Effect.repeat(Effect.yieldNow, { times: 10 })
          running--
          yield* recording.handler(batch)
        })
      )
      yield* Effect.all(
        range(1, 20).map((index) => store.append([event("Sold", { index })])),
        { concurrency: "unbounded" }
      )
      yield* recording.received(20)
      assert.equal(most, 1)
    })
  ),
  onStore("S4", "after unsubscribing nothing is delivered, and the other streams go on", (store) =>
    Effect.gen(function* () {
      const left = recorder()
      const other = recorder()
      const stream = yield* store.streamAll(left.handler)
      yield* store.streamAll(other.handler)
      yield* store.append([sold("ann")])
      yield* Effect.all([left.received(1), other.received(1)])
      yield* stream.unsubscribe
      yield* Effect.forEach(range(2, 10), (index) => store.append([event("Sold", { index })]))
      yield* other.received(10)
      assert.deepStrictEqual(left.numbers(), [[1]])
      assert.equal(yield* stateOf(stream), "unsubscribed")
    })
  ),
  onStore("S4", "unsubscribing twice is unsubscribing once", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      const stream = yield* store.streamAll(recording.handler)
      yield* stream.unsubscribe
      yield* stream.unsubscribe
      yield* Effect.all([stream.unsubscribe, stream.unsubscribe], { concurrency: "unbounded" })
      assert.equal(yield* stateOf(stream), "unsubscribed")
      const other = recorder()
      yield* store.streamAll(other.handler)
      yield* store.append([sold("ann")])
      yield* other.received(1)
      assert.deepStrictEqual(recording.batches, [])
    })
  ),
  onStore("S4", "a handler may unsubscribe its own stream", (store) =>
    Effect.gen(function* () {
      const delivered: Array<EventBatch> = []
      const other = recorder()
      const own = yield* Deferred.make<EventStream>()
      const stream = yield* store.streamAll((batch) =>
        Effect.gen(function* () {
          delivered.push(batch)
          yield* (yield* Deferred.await(own)).unsubscribe
        })
      )
      yield* Deferred.succeed(own, stream)
      yield* store.streamAll(other.handler)
      yield* store.append([sold("ann")])
      yield* eventuallyState(stream, "unsubscribed")
      yield* store.append([sold("bob")])
      yield* store.append([sold("eve")])
      yield* other.received(3)
      assert.deepStrictEqual(delivered.map(numbersOf), [[1]])
    })
  ),
  onStore("S4", "unsubscribing does not wait for a delivery under way, which is not started again", (store) =>
    Effect.gen(function* () {
      let started = 0
      const release = yield* Deferred.make<void>()
      const other = recorder()
      const stream = yield* store.streamAll(() => Effect.suspend(() => (started++, Deferred.await(release))))
      yield* store.streamAll(other.handler)
      yield* store.append([sold("ann")])
      yield* store.append([sold("bob")])
      yield* eventually("the delivery starts", () => started === 1)
      yield* inTime(stream.unsubscribe, "unsubscribe returns")
      yield* Deferred.succeed(release, undefined)
      yield* store.append([sold("eve")])
      yield* other.received(3)
      assert.equal(started, 1)
      assert.equal(yield* stateOf(stream), "unsubscribed")
    })
  ),
  onStore("S4", "unsubscribing ends the retries of a failed batch", (store) =>
    Effect.gen(function* () {
      let attempts = 0
      const other = recorder()
      const stream = yield* store.streamAll(
        () => Effect.suspend(() => (attempts++, Effect.fail(new HandlerFailed()))),
        {
          retry: Schedule.spaced("5 millis")
        }
      )
      yield* store.streamAll(other.handler)
      yield* store.append([sold("ann")])
      yield* eventually("the batch is tried again", () => attempts >= 2)
      assert.equal(yield* stateOf(stream), "retrying")
      yield* stream.unsubscribe
      const atMost = attempts + 1
      yield* Effect.forEach(range(2, 20), (index) => store.append([event("Sold", { index })]))
      yield* other.received(20)
      assert.ok(attempts <= atMost)
      assert.equal(yield* stateOf(stream), "unsubscribed")
    })
  ),
  onStore("S4", "waiting for a stream that ends fails instead of waiting on", (store) =>
    Effect.gen(function* () {
      let started = false
      const stream = yield* store.streamTo(Query.all, () => Effect.suspend(() => ((started = true), Effect.never)))
      yield* store.append([sold("ann")])
      yield* eventually("the delivery starts", () => started)
      const waiting = yield* Effect.forkChild(failsWith("StoreClosed", stream.caughtUp, "caughtUp"))
      yield* Effect.yieldNow
      yield* stream.unsubscribe
      yield* Fiber.join(waiting)
      yield* failsWith("StoreClosed", stream.caughtUp, "caughtUp after the end")
    })
  )
]
