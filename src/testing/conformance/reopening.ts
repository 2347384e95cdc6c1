/** Logs that outlive their store: opened again, and opened by several stores at once (A1, C2, S2). */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Query from "../../stores/EventQuery.ts"
import { onLog } from "./ConformanceCase.ts"
import {
  assertDeeplyFrozen,
  closable,
  event,
  failsWith,
  logOf,
  numbersOf,
  range,
  recorder,
  refusesInput,
  times
} from "./expectations.ts"

const idA = "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5"
const sold = (buyer: string) => event("Sold", { buyer, seats: [1, 2] }, [`buyer:${buyer}`, "sale:1"])
const ofBuyer = (buyer: string) => Query.withPayload({ buyer })

export const reopening = [
  onLog("A1", "a log that is opened again is the same log, and numbers go on", (open) =>
    Effect.gen(function* () {
      const first = yield* closable(open)
      yield* first.store.append([
        { ...sold("ann"), eventId: idA, schemaVersion: 4, metadata: { actor: "ann" } },
        event("Paid")
      ])
      yield* first.store.append([sold("bob")])
      const before = yield* logOf(first.store)
      yield* first.close
      const second = yield* closable(open)
      const after = yield* logOf(second.store)
      assert.deepStrictEqual(after, before)
      for (const record of after) assertDeeplyFrozen(record, "record")
      assert.equal((yield* second.store.append([sold("eve")])).firstSequenceNumber, 4)
      yield* second.close
      const third = yield* open
      assert.deepStrictEqual(numbersOf(yield* logOf(third)), range(1, 4))
    })
  ),
  onLog("Q3", "queries answer the same after reopening", (open) =>
    Effect.gen(function* () {
      const first = yield* closable(open)
      yield* first.store.append([sold("ann"), sold("bob"), event("Paid", null, ["sale:1"]), event("Noted", [["deep"]])])
      const queries = [
        Query.all,
        ofBuyer("ann"),
        Query.withPayload({ seats: [2] }),
        Query.withPayload([["deep"]], null),
        Query.withTags("sale:1"),
        Query.make({ eventTypes: ["Sold"], tags: ["buyer:bob"] }),
        Query.ofTypes("Refunded"),
        Query.after(Query.withTags("sale:1"), 2)
      ]
      const before = yield* Effect.forEach(queries, (query) => first.store.query(query))
      yield* first.close
      const second = yield* open
      assert.deepStrictEqual(yield* Effect.forEach(queries, (query) => second.query(query)), before)
    })
  ),
  onLog("C1", "contexts and event ids are checked against what was there before reopening", (open) =>
    Effect.gen(function* () {
      const first = yield* closable(open)
      yield* first.store.append([{ ...sold("ann"), eventId: idA }, sold("bob")])
      yield* first.close
      const second = yield* open
      const conflict = yield* failsWith(
        "ConditionalAppendConflict",
        second.appendIf([sold("ann")], ofBuyer("ann"), null)
      )
      assert.deepStrictEqual([conflict.actual, conflict.headSequenceNumber], [1, 2])
      yield* refusesInput(second, "events[0].eventId", second.append([{ ...sold("ann"), eventId: idA }]))
      yield* second.appendIf([sold("ann")], ofBuyer("ann"), 1)
    })
  ),
  onLog("S2", "a stream on a reopened log starts at its end", (open) =>
    Effect.gen(function* () {
      const first = yield* closable(open)
      yield* first.store.append([sold("ann"), sold("bob")])
      yield* first.close
      const second = yield* open
      const recording = recorder()
      yield* second.streamAll(recording.handler)
      yield* second.append([sold("eve")])
      yield* recording.received(1)
      assert.deepStrictEqual(recording.numbers(), [[3]])
    })
  ),
  onLog("Q5", "what one store has appended another one on the same log reads at once", (open) =>
    Effect.gen(function* () {
      const one = yield* open
      const other = yield* open
      for (const index of range(1, 10)) {
        const [writer, reader] = index % 2 === 0 ? [one, other] : [other, one]
        const { eventRecords } = yield* writer.append([event("Sold", { index }, [`index:${index}`])])
        for (const query of [
          Query.withPayload({ index }),
          Query.withTags(`index:${index}`),
          Query.after(Query.all, index - 1)
        ]) {
          const result = yield* reader.query(query)
          assert.deepStrictEqual(result.eventRecords, eventRecords)
          assert.deepStrictEqual([result.currentContextVersion, result.headSequenceNumber], [index, index])
        }
      }
    })
  ),
  onLog("C2", "a conditional append sees what another store on the same log has appended", (open) =>
    Effect.gen(function* () {
      const one = yield* open
      const other = yield* open
      const seen = yield* one.query(ofBuyer("ann"))
      yield* other.append([sold("bob"), { ...sold("ann"), eventId: idA }])
      const conflict = yield* failsWith(
        "ConditionalAppendConflict",
        one.appendIf([sold("ann")], ofBuyer("ann"), seen.currentContextVersion, {
          headSequenceNumber: seen.headSequenceNumber,
          conflictTail: true
        })
      )
      assert.deepStrictEqual([conflict.expected, conflict.actual, conflict.headSequenceNumber], [null, 2, 2])
      assert.deepStrictEqual(conflict.tail, [(yield* logOf(other))[1]])
      yield* refusesInput(one, "events[0].eventId", one.append([{ ...sold("eve"), eventId: idA }]))
      const result = yield* one.appendIf([sold("ann")], ofBuyer("ann"), 2, { headSequenceNumber: 2 })
      assert.equal(result.firstSequenceNumber, 3)
    })
  ),
  onLog("C2", "of conditional appends made at once through several stores exactly one commits", (open) =>
    Effect.gen(function* () {
      const stores = [yield* open, yield* open, yield* open]
      for (const round of range(1, 5)) {
        const { currentContextVersion, headSequenceNumber } = yield* stores[0]!.query(ofBuyer("ann"))
        const attempts = times(12, (index) =>
          Effect.result(
            stores[index % 3]!.appendIf(
              [sold("ann")],
              ofBuyer("ann"),
              currentContextVersion,
              index < 6 ? { headSequenceNumber } : {}
            )
          )
        )
        const results = yield* Effect.all(attempts, { concurrency: "unbounded" })
        assert.equal(results.filter(Result.isSuccess).length, 1)
        for (const result of results) {
          if (Result.isFailure(result)) assert.equal(result.failure.reason._tag, "ConditionalAppendConflict")
        }
        assert.equal((yield* logOf(stores[1]!)).length, round)
      }
    })
  ),
  onLog("A1", "several stores on one log number events without gaps, and all read the same log", (open) =>
    Effect.gen(function* () {
      const stores = [yield* open, yield* open, yield* open]
      const appends = times(60, (index) =>
        stores[index % 3]!.append(times(1 + (index % 2), () => event("Sold", { index })))
      )
      const results = yield* Effect.all(appends, { concurrency: "unbounded" })
      const logs = yield* Effect.forEach(stores, logOf)
      assert.deepStrictEqual(numbersOf(logs[0]!), range(1, 90))
      assert.deepStrictEqual(logs[1], logs[0])
      assert.deepStrictEqual(logs[2], logs[0])
      const recorded = results.flatMap((result) => result.eventRecords)
      assert.deepStrictEqual(
        [...recorded].sort((a, b) => a.sequenceNumber - b.sequenceNumber),
        logs[0]
      )
    })
  ),
  onLog("S2", "a stream delivers what another store on the same log commits, in undivided batches", (open) =>
    Effect.gen(function* () {
      const one = yield* open
      const other = yield* open
      yield* other.append([sold("nobody")])
      const everything = recorder()
      const filtered = recorder()
      yield* one.streamAll(everything.handler)
      yield* one.streamTo(ofBuyer("ann"), filtered.handler)
      const first = yield* other.append([sold("ann"), sold("bob"), sold("ann")])
      yield* everything.received(1)
      const second = yield* one.append([event("Paid"), sold("ann")])
      const third = yield* other.appendBatchesIf([[sold("eve")], [sold("ann"), event("Paid")]], ofBuyer("eve"), null)
      yield* Effect.all([everything.received(4), filtered.received(3)])
      assert.deepStrictEqual(everything.batches, [
        first.eventRecords,
        second.eventRecords,
        ...third.map((result) => result.eventRecords)
      ])
      assert.deepStrictEqual(filtered.numbers(), [[2, 4], [6], [8]])
    })
  ),
  onLog("S2", "a stream misses nothing and keeps the order when several stores write at once", (open) =>
    Effect.gen(function* () {
      const stores = [yield* open, yield* open, yield* open]
      const recordings = yield* Effect.forEach(stores, (store) => {
        const recording = recorder()
        return Effect.as(store.streamAll(recording.handler), recording)
      })
      const results = yield* Effect.all(
        times(60, (index) => stores[index % 3]!.append([event("Sold", { index }), event("Paid", { index })])),
        { concurrency: "unbounded" }
      )
      const inOrder = [...results].sort((a, b) => a.firstSequenceNumber - b.firstSequenceNumber)
      for (const recording of recordings) {
        yield* recording.received(60)
        assert.deepStrictEqual(
          recording.batches,
          inOrder.map((result) => result.eventRecords)
        )
      }
    })
  ),
  onLog("7", "closing one store on a log leaves the others working", (open) =>
    Effect.gen(function* () {
      const one = yield* closable(open)
      const other = yield* open
      const recording = recorder()
      yield* other.streamAll(recording.handler)
      yield* one.store.append([sold("ann")])
      yield* one.close
      yield* failsWith("StoreClosed", one.store.query())
      assert.equal((yield* other.append([sold("bob")])).firstSequenceNumber, 2)
      yield* recording.received(2)
      assert.deepStrictEqual(recording.numbers(), [[1], [2]])
    })
  )
]
