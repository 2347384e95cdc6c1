/** Durable streams: replay from the cursor on, in the original batches, and live delivery after it without a seam (D1). */
import assert from "node:assert/strict"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Query from "../../stores/EventQuery.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import { onLog, onStore } from "./ConformanceCase.ts"
import { event, eventually, failsWith, inTime, logOf, numbersOf, range, recorder, times } from "./expectations.ts"

const sold = (buyer: string) => event("Sold", { buyer }, [`buyer:${buyer}`])

/** A service that a handler of the suite needs. */
class Desk extends Context.Service<Desk, { readonly name: string }>()("evolvent/testing/conformance/DurableDesk") {}

/** Registers streams one after the other while appends go on; each gets every pair once, in order. */
const registerAmongAppends = (store: EventStore, appending: EventStore) =>
  Effect.gen(function* () {
    yield* appending.append(times(2, () => event("Old")))
    const streams = times(4, () => recorder())
    const append = (index: number) =>
      Effect.andThen(appending.append([event("Sold", { index }), event("Paid", { index })]), Effect.yieldNow)
    const registered = yield* Effect.forEach(streams, ({ handler }, index) =>
      Effect.gen(function* () {
        const registering = yield* Effect.forkChild(store.streamAllDurable({ name: `stream ${index}` }, handler))
        yield* Effect.forEach(range(1, 15), append)
        return registering
      })
    )
    yield* inTime(Fiber.joinAll(registered), "the streams are registered")
    for (const recording of streams) {
      yield* recording.received(61)
      assert.deepStrictEqual(
        recording.numbers(),
        range(0, 60).map((index) => [2 * index + 1, 2 * index + 2])
      )
    }
    assert.deepStrictEqual(streams[0]!.batches.flat(), yield* logOf(store))
  })

export const durableStreams = [
  onStore("D1", "a durable stream replays the log in its original batches and goes on with what comes", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      const append = (index: number) => store.append(times(1 + (index % 3), () => event("Sold", { index })))
      const old = yield* Effect.forEach(range(1, 7), append)
      const stream = yield* store.streamAllDurable({ name: "sales" }, recording.handler)
      yield* inTime(stream.caughtUp, "the stream catches up")
      assert.equal(recording.batches.length, 7)
      const later = yield* Effect.forEach(range(8, 12), append)
      yield* recording.received(12)
      assert.deepStrictEqual(
        recording.batches,
        [...old, ...later].map(({ eventRecords }) => eventRecords)
      )
    })
  ),
  onStore("D1", "durable replay meets live delivery without duplicates or gaps while appends go on", (store) =>
    registerAmongAppends(store, store)
  ),
  onLog("D1", "durable replay meets live delivery while another store appends as fast as it can", (open) =>
    Effect.gen(function* () {
      yield* registerAmongAppends(yield* open, yield* open)
    })
  ),
  onStore("D1", "a filtered durable stream gets one filtered batch of a mixed append, old or new", (store) =>
    Effect.gen(function* () {
      const byType = recorder()
      const byPayload = recorder()
      const byTag = recorder()
      const append = Effect.gen(function* () {
        yield* store.append([event("Paid"), sold("ann"), event("Paid"), sold("bob")])
        yield* store.append([event("Paid", { buyer: "ann" }), event("Closed")])
        yield* store.append([event("Paid")])
      })
      yield* append
      yield* store.streamToDurable({ name: "by type" }, Query.ofTypes("Sold", "Closed"), byType.handler)
      yield* store.streamToDurable({ name: "by payload" }, Query.withPayload({ buyer: "ann" }), byPayload.handler)
      yield* store.streamToDurable({ name: "by tag" }, Query.withTags("buyer:bob"), byTag.handler)
      yield* Effect.all([byType.received(2), byPayload.received(2), byTag.received(1)])
      yield* append
      yield* Effect.all([byType.received(4), byPayload.received(4), byTag.received(2)])
      assert.deepStrictEqual(byType.numbers(), [[2, 4], [6], [9, 11], [13]])
      assert.deepStrictEqual(byPayload.numbers(), [[2], [5], [9], [12]])
      assert.deepStrictEqual(byTag.numbers(), [[4], [11]])
    })
  ),
  onStore("D1", "a replay of more than a page keeps every batch whole and in order", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      const filtered = recorder()
      const results = yield* Effect.forEach(range(1, 24), (index) =>
        store.append(times(index === 12 ? 2_500 : 97, () => event(index % 2 === 0 ? "Even" : "Odd", { index })))
      )
      const expected = results.map(({ firstSequenceNumber, lastSequenceNumber }) =>
        range(firstSequenceNumber, lastSequenceNumber)
      )
      yield* store.streamAllDurable({ name: "all" }, recording.handler)
      yield* store.streamToDurable({ name: "even" }, Query.ofTypes("Even"), filtered.handler)
      yield* Effect.all([recording.received(24), filtered.received(12)])
      assert.deepStrictEqual(recording.numbers(), expected)
      assert.deepStrictEqual(
        filtered.numbers(),
        expected.filter((_, index) => index % 2 === 1)
      )
    })
  ),
  onStore("D1", "durable streams of different names have cursors of their own", (store) =>
    Effect.gen(function* () {
      const [one, other, late] = [recorder(), recorder(), recorder()]
      yield* store.append([sold("ann")])
      yield* store.streamAllDurable({ name: "one" }, one.handler)
      const stream = yield* store.streamAllDurable({ name: "other" }, other.handler)
      yield* other.received(1)
      yield* stream.unsubscribe
      yield* store.append([sold("bob")])
      yield* one.received(2)
      yield* store.streamAllDurable({ name: "late" }, late.handler)
      yield* late.received(2)
      assert.deepStrictEqual(one.numbers(), [[1], [2]])
      assert.deepStrictEqual(other.numbers(), [[1]])
      assert.deepStrictEqual(late.numbers(), [[1], [2]])
    })
  ),
  onStore("D1", "failed appends reach no durable stream", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* store.append([sold("ann")])
      yield* store.streamAllDurable({ name: "all" }, recording.handler)
      yield* failsWith("ConditionalAppendConflict", store.appendIf([sold("bob")], Query.all, null))
      yield* failsWith("InvalidInput", store.append([sold("bob"), event("")]))
      yield* store.append([sold("eve")])
      yield* recording.received(2)
      assert.deepStrictEqual(recording.numbers(), [[1], [2]])
    })
  ),
  onStore("D1", "batches under one check reach a durable stream one by one", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* store.streamAllDurable({ name: "all" }, recording.handler)
      yield* store.appendBatchesIf([[sold("ann"), event("Paid")], [sold("bob")], [event("Closed")]], Query.all, null)
      yield* recording.received(3)
      assert.deepStrictEqual(recording.numbers(), [[1, 2], [3], [4]])
    })
  ),
  onStore("D1", "a durable stream that starts at the head replays nothing, and is otherwise like any other", (store) =>
    Effect.gen(function* () {
      const [first, second] = [recorder(), recorder()]
      yield* store.append([sold("ann"), sold("bob")])
      const stream = yield* store.streamAllDurable({ name: "new" }, first.handler, { start: "head" })
      yield* inTime(stream.caughtUp, "there is nothing to catch up with")
      yield* store.append([sold("eve")])
      yield* first.received(1)
      yield* inTime(stream.caughtUp, "the stream catches up")
      yield* stream.unsubscribe
      yield* store.append([sold("dan")])
      // The name is known by now: it goes on where it was.
      yield* store.streamAllDurable({ name: "new" }, second.handler, { start: "head" })
      yield* second.received(1)
      assert.deepStrictEqual([first.numbers(), second.numbers()], [[[3]], [[4]]])
    })
  ),
  onStore("D1", "a durable stream of an empty log waits for its first event", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      const stream = yield* store.streamToDurable({ name: "sales" }, Query.ofTypes("Sold"), recording.handler)
      yield* inTime(stream.caughtUp, "there is nothing to catch up with")
      yield* store.append([event("Paid")])
      yield* store.append([sold("ann")])
      yield* recording.received(1)
      assert.deepStrictEqual(recording.numbers(), [[2]])
    })
  ),
  onStore("D1", "the handler of a durable stream runs with the services of its caller, one batch at a time", (store) =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      let [running, most] = [0, 0]
      yield* Effect.forEach(range(1, 10), () => store.append([sold("ann")]))
      const register = store.streamAllDurable({ name: "desk" }, (batch) =>
        Effect.gen(function* () {
          most = Math.max(most, ++running)
          yield* Effect.yieldNow
          const desk = yield* Desk
          for (const number of numbersOf(batch)) seen.push(`${desk.name} ${number}`)
          running--
        })
      )
      yield* Effect.provideService(register, Desk, { name: "desk" })
      yield* eventually("all batches arrive", () => seen.length === 10)
      assert.deepStrictEqual(
        seen,
        range(1, 10).map((number) => `desk ${number}`)
      )
      assert.equal(most, 1)
    })
  ),
  onLog("D1", "a process that only listens receives what another one appended, before what it appends itself", (open) =>
    Effect.gen(function* () {
      const [listening, other] = [yield* open, yield* open]
      const recording = recorder()
      yield* listening.streamAllDurable({ name: "all" }, recording.handler)
      yield* other.append([sold("ann")])
      yield* other.append([sold("bob"), event("Paid")])
      yield* recording.received(2)
      yield* other.append([sold("eve")])
      const own = yield* listening.append([sold("dan")])
      yield* recording.received(4)
      assert.deepStrictEqual(recording.numbers(), [[1], [2, 3], [4], [5]])
      assert.deepStrictEqual(recording.batches[3], own.eventRecords)
    })
  )
]
