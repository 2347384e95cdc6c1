/** Durable streams whose handlers fail, die or never settle (D3, S3). */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
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
  stateOf,
  times
} from "./expectations.ts"

const sold = (buyer: string) => event("Sold", { buyer })
const retrying = (retries: number) => ({ retry: Schedule.max([Schedule.spaced("1 millis"), Schedule.recurs(retries)]) })

class HandlerFailed extends Error {}

export const durableFailures = [
  onStore("D3", "a batch that failed is tried again before anything later, however much has come meanwhile", (store) =>
    Effect.gen(function* () {
      const attempts: Array<ReadonlyArray<number>> = []
      const release = yield* Deferred.make<void>()
      yield* store.append([sold("ann"), sold("bob")])
      yield* store.streamAllDurable(
        { name: "all" },
        (batch) =>
          Effect.gen(function* () {
            attempts.push(numbersOf(batch))
            if (attempts.length === 1) yield* Deferred.await(release)
            if (attempts.length <= 3) yield* Effect.fail(new HandlerFailed())
          }),
        retrying(5)
      )
      yield* eventually("the first delivery starts", () => attempts.length === 1)
      yield* Effect.forEach(range(3, 6), () => store.append([sold("eve")]))
      yield* Deferred.succeed(release, undefined)
      yield* eventually("everything arrives", () => attempts.length === 8)
      assert.deepStrictEqual(attempts, [...times(4, () => [1, 2]), [3], [4], [5], [6]])
    })
  ),
  onStore(
    "D3",
    "a durable stream stops after its last retry and says so, and a new one goes on with that batch",
    (store) =>
      Effect.gen(function* () {
        const attempts: Array<ReadonlyArray<number>> = []
        const failure = new HandlerFailed("for the status")
        for (const buyer of ["ann", "bob", "eve"]) yield* store.append([sold(buyer)])
        const stream = yield* store.streamAllDurable(
          { name: "all" },
          (batch) => {
            attempts.push(numbersOf(batch))
            return numbersOf(batch)[0] === 2 ? Effect.fail(failure) : Effect.void
          },
          retrying(2)
        )
        yield* eventuallyState(stream, "stopped")
        yield* store.append([sold("dan")])
        assert.deepStrictEqual(attempts, [[1], [2], [2], [2]])
        const status = yield* stream.status
        assert.deepStrictEqual([status.position, status.failures, status.lastError], [1, 3, failure])
        yield* failsWith("StoreClosed", stream.caughtUp, "caughtUp of a stopped stream")
        const recording = recorder()
        const again = yield* store.streamAllDurable({ name: "all" }, recording.handler, { lease: "1 hour" })
        yield* recording.received(3)
        assert.deepStrictEqual(recording.numbers(), [[2], [3], [4]])
        assert.equal(yield* stateOf(stream), "stopped")
        yield* inTime(again.caughtUp, "the new stream catches up")
      })
  ),
  onStore("D3", "a handler that dies or throws counts as one that failed", (store) =>
    Effect.gen(function* () {
      const defect = new HandlerFailed("a defect")
      const recording = recorder()
      let attempts = 0
      yield* store.append([sold("ann")])
      const dying = yield* store.streamAllDurable(
        { name: "dying" },
        (batch) => (++attempts < 3 ? Effect.die(defect) : recording.handler(batch)),
        retrying(5)
      )
      const throwing = yield* store.streamAllDurable(
        { name: "throwing" },
        (): Effect.Effect<void> => {
          throw defect
        },
        retrying(1)
      )
      const interrupted = yield* store.streamAllDurable({ name: "interrupted" }, () => Effect.interrupt, retrying(1))
      yield* recording.received(1)
      yield* eventuallyState(throwing, "stopped")
      yield* eventuallyState(interrupted, "stopped")
      const { failures, lastError } = yield* throwing.status
      assert.deepStrictEqual([failures, lastError], [2, defect])
      assert.equal(attempts, 3)
      yield* eventuallyState(dying, "running")
    })
  ),
  onStore("S3", "a failing durable stream undoes no append and disturbs no other stream", (store) =>
    Effect.gen(function* () {
      const [live, durable] = [recorder(), recorder()]
      const result = yield* store.append([sold("ann"), sold("bob")])
      const failing = yield* store.streamAllDurable(
        { name: "failing" },
        () => Effect.fail(new HandlerFailed()),
        retrying(3)
      )
      yield* store.streamAll(live.handler)
      yield* store.streamAllDurable({ name: "other" }, durable.handler)
      yield* eventuallyState(failing, "stopped")
      yield* store.append([sold("eve")])
      yield* Effect.all([live.received(1), durable.received(2)])
      assert.deepStrictEqual((yield* logOf(store)).slice(0, 2), result.eventRecords)
      assert.deepStrictEqual([live.numbers(), durable.numbers()], [[[3]], [[1, 2], [3]]])
    })
  ),
  onStore("S3", "a handler that never settles blocks neither appends nor queries nor other streams", (store) =>
    Effect.gen(function* () {
      const [live, durable] = [recorder(), recorder()]
      let started = 0
      const stuck = yield* store.streamAllDurable({ name: "stuck" }, () => {
        started++
        return Effect.never
      })
      yield* store.streamAll(live.handler)
      yield* store.streamAllDurable({ name: "other" }, durable.handler)
      yield* inTime(
        Effect.forEach(range(1, 40), (index) => store.append([event("Sold", { index })])),
        "the appends are not blocked"
      )
      assert.equal((yield* inTime(store.query(), "the query is not blocked")).headSequenceNumber, 40)
      yield* Effect.all([live.received(40), durable.received(40)])
      assert.deepStrictEqual([started, (yield* stuck.status).position], [1, 0])
    })
  ),
  onStore("S3", "a handler may give itself a time, after which its batch is tried again", (store) =>
    Effect.gen(function* () {
      const attempts: Array<ReadonlyArray<number>> = []
      let interrupted = 0
      yield* store.append([sold("ann")])
      yield* store.append([sold("bob")])
      yield* store.streamAllDurable(
        { name: "all" },
        (batch) =>
          Effect.suspend(() => {
            attempts.push(numbersOf(batch))
            return attempts.length <= 2 ? Effect.never : Effect.void
          }).pipe(
            Effect.onInterrupt(() => Effect.sync(() => interrupted++)),
            Effect.timeout("20 millis")
          ),
        retrying(5)
      )
      yield* eventually("everything arrives", () => attempts.length === 4)
      assert.deepStrictEqual([attempts, interrupted], [[[1], [1], [1], [2]], 2])
    })
  )
]
