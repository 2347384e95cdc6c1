/** Live streams: what is delivered, in which shape and order, and from where on (S1, S2). */
import assert from "node:assert/strict"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { EventBatch } from "../../stores/Event.ts"
import * as Query from "../../stores/EventQuery.ts"
import { onStore } from "./ConformanceCase.ts"
import {
  event,
  eventually,
  failsWith,
  inTime,
  logOf,
  numbersOf,
  range,
  recorder,
  refusesInput,
  times
} from "./expectations.ts"

const sold = (buyer: string) => event("Sold", { buyer }, [`buyer:${buyer}`])

/** A service that a handler of the suite needs. */
class Desk extends Context.Service<Desk, { readonly name: string }>()("evolvent/testing/conformance/Desk") {}

export const streams = [
  onStore("S1", "a stream of everything gets each append as one batch, just as it was recorded", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* store.streamAll(recording.handler)
      const first = yield* store.append([sold("ann"), event("Paid"), sold("bob")])
      const second = yield* store.append([event("Closed")])
      yield* recording.received(2)
      assert.deepStrictEqual(recording.batches, [first.eventRecords, second.eventRecords])
      assert.deepStrictEqual(recording.batches.flat(), yield* logOf(store))
    })
  ),
  onStore("S1", "batches arrive in the order of their commits", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* store.streamAll(recording.handler)
      const results = yield* Effect.forEach(range(1, 25), (index) =>
        store.append(times(1 + (index % 3), () => event("Sold", { index })))
      )
      yield* recording.received(25)
      assert.deepStrictEqual(
        recording.batches,
        results.map((result) => result.eventRecords)
      )
    })
  ),
  onStore("S1", "batches arrive in order and undivided when they are appended at once", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* store.streamAll(recording.handler)
      const results = yield* Effect.all(
        times(60, (index) => store.append(times(1 + (index % 4), () => event("Sold", { index })))),
        { concurrency: "unbounded" }
      )
      yield* recording.received(60)
      const inOrder = [...results].sort((a, b) => a.firstSequenceNumber - b.firstSequenceNumber)
      assert.deepStrictEqual(
        recording.batches,
        inOrder.map((result) => result.eventRecords)
      )
    })
  ),
  onStore("S1", "two streams receive the same batches", (store) =>
    Effect.gen(function* () {
      const one = recorder()
      const other = recorder()
      yield* store.streamAll(one.handler)
      yield* store.streamAll(other.handler)
      yield* store.append([sold("ann"), sold("bob")])
      yield* store.append([sold("eve")])
      yield* Effect.all([one.received(2), other.received(2)])
      assert.deepStrictEqual(one.numbers(), [[1, 2], [3]])
      assert.deepStrictEqual(one.batches, other.batches)
    })
  ),
  onStore("S1", "a stream of one type receives only events of that type", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* store.streamTo(Query.ofTypes("Paid"), recording.handler)
      yield* store.append([sold("ann")])
      yield* store.append([event("Paid"), sold("bob")])
      yield* store.append([sold("eve")])
      yield* store.append([event("Paid")])
      yield* recording.received(2)
      assert.deepStrictEqual(recording.numbers(), [[2], [5]])
    })
  ),
  onStore("S1", "a stream of a payload predicate or a tag receives only events that match", (store) =>
    Effect.gen(function* () {
      const byPayload = recorder()
      const byTag = recorder()
      yield* store.streamTo(Query.withPayload({ buyer: "ann" }), byPayload.handler)
      yield* store.streamTo(Query.withTags("buyer:ann"), byTag.handler)
      yield* store.append([sold("bob")])
      yield* store.append([sold("ann"), event("Paid", { buyer: "ann" })])
      yield* store.append([event("Paid", null, ["buyer:ann"])])
      yield* store.append([sold("ann")])
      yield* Effect.all([byPayload.received(2), byTag.received(3)])
      assert.deepStrictEqual(byPayload.numbers(), [[2, 3], [5]])
      assert.deepStrictEqual(byTag.numbers(), [[2], [4], [5]])
    })
  ),
  onStore("S1", "a filtered stream gets one filtered batch of a mixed append, in order", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* store.streamTo(Query.ofTypes("Sold", "Closed"), recording.handler)
      const { eventRecords } = yield* store.append([
        sold("eve"),
        event("Paid"),
        event("Closed"),
        sold("ann"),
        event("Paid"),
        sold("bob")
      ])
      yield* recording.received(1)
      assert.deepStrictEqual(recording.batches, [[eventRecords[0], eventRecords[2], eventRecords[3], eventRecords[5]]])
    })
  ),
  onStore("S1", "an append without a match delivers nothing to a filtered stream", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      const stream = yield* store.streamTo(Query.ofTypes("Sentinel"), recording.handler)
      yield* store.append([sold("ann"), event("Paid")])
      yield* inTime(stream.caughtUp, "the stream passes what does not match")
      assert.deepStrictEqual(recording.batches, [])
      yield* store.append([event("Sentinel")])
      yield* recording.received(1)
      assert.deepStrictEqual(recording.numbers(), [[3]])
    })
  ),
  onStore("S1", "streams with different queries see the same append each in their own way", (store) =>
    Effect.gen(function* () {
      const sales = recorder()
      const payments = recorder()
      const everything = recorder()
      const nothing = recorder()
      yield* store.streamTo(Query.ofTypes("Sold"), sales.handler)
      yield* store.streamTo(Query.ofTypes("Paid"), payments.handler)
      yield* store.streamTo(Query.all, everything.handler)
      const last = yield* store.streamTo(Query.make({ eventTypes: [] }), nothing.handler)
      yield* store.append([sold("ann"), event("Paid"), sold("bob")])
      yield* Effect.all([sales.received(1), payments.received(1), everything.received(1), inTime(last.caughtUp, "")])
      assert.deepStrictEqual(sales.numbers(), [[1, 3]])
      assert.deepStrictEqual(payments.numbers(), [[2]])
      assert.deepStrictEqual(everything.numbers(), [[1, 2, 3]])
      assert.deepStrictEqual(nothing.numbers(), [])
    })
  ),
  onStore("A3", "failed appends deliver nothing, filtered or not", (store) =>
    Effect.gen(function* () {
      const everything = recorder()
      const filtered = recorder()
      yield* store.append([event("Opened")])
      yield* store.streamAll(everything.handler)
      yield* store.streamTo(Query.ofTypes("Sold"), filtered.handler)
      yield* failsWith("ConditionalAppendConflict", store.appendIf([sold("ann")], Query.all, null))
      yield* failsWith("InvalidInput", store.append([sold("ann"), event("")]))
      yield* failsWith("EmptyAppend", store.append([]))
      const sentinel = yield* store.append([sold("sentinel")])
      yield* Effect.all([everything.received(1), filtered.received(1)])
      assert.deepStrictEqual(everything.batches, [sentinel.eventRecords])
      assert.deepStrictEqual(filtered.batches, [sentinel.eventRecords])
    })
  ),
  onStore("S1", "a large append arrives as one batch", (store) =>
    Effect.gen(function* () {
      const everything = recorder()
      const filtered = recorder()
      yield* store.streamAll(everything.handler)
      yield* store.streamTo(Query.ofTypes("Odd"), filtered.handler)
      yield* store.append([event("Odd")])
      yield* store.append(times(3_000, (index) => event(index % 2 === 0 ? "Even" : "Odd", { index })))
      yield* store.append([event("Odd")])
      yield* Effect.all([everything.received(3), filtered.received(3)])
      assert.deepStrictEqual(everything.numbers(), [[1], range(2, 3_001), [3_002]])
      assert.deepStrictEqual(
        filtered.numbers()[1],
        range(2, 3_001).filter((number) => number % 2 === 1)
      )
    })
  ),
  onStore("S2", "a stream does not replay what was committed before it", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann"), sold("bob")])
      const recording = recorder()
      yield* store.streamAll(recording.handler)
      yield* store.append([sold("eve")])
      yield* recording.received(1)
      assert.deepStrictEqual(recording.numbers(), [[3]])
    })
  ),
  onStore("S2", "a stream that is registered among appends misses nothing from then on", (store) =>
    Effect.gen(function* () {
      const streams = times(8, () => recorder())
      const bounds: Array<{ readonly before: number; readonly after: number }> = []
      const write = Effect.forEach(range(1, 50), (index) =>
        Effect.andThen(store.append([event("Sold", { index }), event("Paid")]), Effect.yieldNow)
      )
      const head = Effect.map(store.query(), (result) => result.headSequenceNumber ?? 0)
      const register = Effect.forEach(streams, (recording) =>
        Effect.gen(function* () {
          const before = yield* head
          yield* store.streamAll(recording.handler)
          bounds.push({ before, after: yield* head })
        })
      )
      yield* Effect.all([write, register], { concurrency: "unbounded" })
      yield* store.append([event("Sentinel")])
      yield* eventually("every stream reaches the end", () =>
        streams.every((recording) => recording.batches.at(-1)?.[0]?.eventType === "Sentinel")
      )
      for (const [index, recording] of streams.entries()) {
        const delivered = numbersOf(recording.batches.flat())
        const { before, after } = bounds[index]!
        assert.deepStrictEqual(delivered, range(delivered[0]!, 101))
        assert.ok(delivered[0]! > before && delivered[0]! <= after + 1)
        assert.ok(recording.batches.slice(0, -1).every((batch) => batch.length === 2))
      }
    })
  ),
  onStore("S2", "a read cursor in a live stream's query is refused", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      const query = Query.after(Query.ofTypes("Sold"), 3)
      yield* refusesInput(store, "query.minSequenceNumber", store.streamTo(query, recording.handler))
    })
  ),
  onStore("S2", "a stream has caught up when all that was there is delivered or does not match", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      const stream = yield* store.streamTo(Query.ofTypes("Sold"), recording.handler)
      yield* inTime(stream.caughtUp, "the stream of an empty log catches up")
      yield* Effect.forEach(range(1, 20), () => store.append([sold("ann"), event("Paid")]))
      yield* inTime(stream.caughtUp, "the stream catches up")
      assert.equal(recording.batches.length, 20)
      yield* store.append([event("Paid")])
      yield* inTime(stream.caughtUp, "the stream passes what does not match")
      const status = yield* stream.status
      assert.deepStrictEqual([status.state, status.position, status.failures], ["running", 41, 0])
    })
  ),
  onStore("S1", "a handler may append to the store and read from it", (store) =>
    Effect.gen(function* () {
      const replies: Array<EventBatch> = []
      yield* store.streamTo(Query.ofTypes("Sold"), (batch) =>
        Effect.gen(function* () {
          const { currentContextVersion } = yield* store.query(Query.ofTypes("Paid"))
          const paid = yield* store.appendIf(
            [event("Paid", { for: batch[0]!.sequenceNumber })],
            Query.ofTypes("Paid"),
            currentContextVersion
          )
          replies.push(paid.eventRecords)
        })
      )
      yield* store.append([sold("ann")])
      yield* store.append([sold("bob")])
      yield* eventually("both sales are paid", () => replies.length === 2)
      const payments = yield* store.query(Query.ofTypes("Paid"))
      assert.deepStrictEqual(payments.eventRecords, replies.flat())
    })
  ),
  onStore("S1", "a handler runs with the services of whoever registered it", (store) =>
    Effect.gen(function* () {
      const names: Array<string> = []
      const handler = () => Effect.map(Desk, (desk) => names.push(desk.name))
      yield* Effect.provideService(store.streamAll(handler), Desk, { name: "front" })
      yield* Effect.provideService(store.streamAll(handler), Desk, { name: "back" })
      yield* store.append([sold("ann")])
      yield* eventually("both handlers run", () => names.length === 2)
      assert.deepStrictEqual(names.sort(), ["back", "front"])
    })
  )
]
