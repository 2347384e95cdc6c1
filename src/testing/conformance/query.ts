/** Reading: order, the read cursor, and the three numbers that come with the records (Q1 to Q5). */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Query from "../../stores/EventQuery.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import { onStore } from "./ConformanceCase.ts"
import { event, failsWith, logOf, numbersOf, range, times } from "./expectations.ts"

const ofBuyer = (buyer: string) => Query.withPayload({ buyer })

/** `Sold` by ann at 1, 3 and 5, by bob at 2, `Closed` at 4 and 6. */
const sampleLog = (store: EventStore) =>
  Effect.gen(function* () {
    yield* store.append([event("Sold", { buyer: "ann" }), event("Sold", { buyer: "bob" })])
    yield* store.append([event("Sold", { buyer: "ann" })])
    yield* store.append([event("Closed"), event("Sold", { buyer: "ann" }), event("Closed")])
  })

export const query = [
  onStore("Q3", "a query of an empty log has no records, no versions and no head", (store) =>
    Effect.gen(function* () {
      const empty = {
        eventRecords: [],
        lastReturnedSequenceNumber: null,
        currentContextVersion: null,
        headSequenceNumber: null
      }
      for (const question of [undefined, Query.all, Query.ofTypes("Sold"), Query.after(Query.all, 3)]) {
        assert.deepStrictEqual(yield* store.query(question), empty)
      }
    })
  ),
  onStore("Q1", "records come in ascending order, filtered or not", (store) =>
    Effect.gen(function* () {
      yield* sampleLog(store)
      assert.deepStrictEqual(numbersOf(yield* logOf(store)), range(1, 6))
      const alternatives = Query.make({ eventTypes: ["Closed"] }, { payloadPredicates: [{ buyer: "ann" }] })
      assert.deepStrictEqual(numbersOf((yield* store.query(alternatives)).eventRecords), [1, 3, 4, 5, 6])
    })
  ),
  onStore("Q1", "a record that several alternatives match is returned once", (store) =>
    Effect.gen(function* () {
      yield* sampleLog(store)
      const alternatives = [{ eventTypes: ["Sold"] }, { payloadPredicates: [{ buyer: "ann" }, {}] }]
      const overlapping = yield* store.query(Query.make(...alternatives))
      assert.deepStrictEqual(numbersOf(overlapping.eventRecords), [1, 2, 3, 5])
      const everything = yield* store.query(Query.make(...alternatives, {}))
      assert.deepStrictEqual(numbersOf(everything.eventRecords), range(1, 6))
    })
  ),
  onStore("Q2", "a read cursor returns only what comes after it", (store) =>
    Effect.gen(function* () {
      yield* sampleLog(store)
      const after = (question: Query.EventQuery, cursor: number) =>
        Effect.map(store.query(Query.after(question, cursor)), (result) => numbersOf(result.eventRecords))
      assert.deepStrictEqual(yield* after(Query.all, 0), range(1, 6))
      assert.deepStrictEqual(yield* after(Query.all, 4), [5, 6])
      assert.deepStrictEqual(yield* after(Query.all, 6), [])
      assert.deepStrictEqual(yield* after(Query.all, Number.MAX_SAFE_INTEGER), [])
      assert.deepStrictEqual(yield* after(ofBuyer("ann"), 0), [1, 3, 5])
      assert.deepStrictEqual(yield* after(ofBuyer("ann"), 1), [3, 5])
      assert.deepStrictEqual(yield* after(ofBuyer("ann"), 2), [3, 5])
      assert.deepStrictEqual(yield* after(ofBuyer("ann"), 5), [])
    })
  ),
  onStore("Q2", "a read cursor does not narrow the context's version", (store) =>
    Effect.gen(function* () {
      yield* sampleLog(store)
      for (const cursor of [0, 1, 4, 5, 6, 100]) {
        const byPayload = yield* store.query(Query.after(ofBuyer("ann"), cursor))
        assert.equal(byPayload.currentContextVersion, 5)
        assert.equal(byPayload.headSequenceNumber, 6)
        const byType = yield* store.query(Query.after(Query.ofTypes("Sold"), cursor))
        assert.equal(byType.currentContextVersion, 5)
        const everything = yield* store.query(Query.after(Query.all, cursor))
        assert.equal(everything.currentContextVersion, 6)
      }
    })
  ),
  onStore("Q3", "the context's version is the last number of everything that matches", (store) =>
    Effect.gen(function* () {
      yield* sampleLog(store)
      const versionOf = (question: Query.EventQuery) =>
        Effect.map(store.query(question), (result) => result.currentContextVersion)
      assert.equal(yield* versionOf(ofBuyer("ann")), 5)
      assert.equal(yield* versionOf(ofBuyer("bob")), 2)
      assert.equal(yield* versionOf(ofBuyer("eve")), null)
      assert.equal(yield* versionOf(Query.make({ eventTypes: ["Closed"], payloadPredicates: [{}] })), null)
      assert.equal(yield* versionOf(Query.or(ofBuyer("bob"), ofBuyer("ann"))), 5)
    })
  ),
  onStore("Q3", "queries of everything and of a part report each their own version", (store) =>
    Effect.gen(function* () {
      yield* sampleLog(store)
      const everything = yield* store.query()
      const part = yield* store.query(ofBuyer("bob"))
      assert.deepStrictEqual([everything.currentContextVersion, part.currentContextVersion], [6, 2])
      assert.deepStrictEqual([everything.headSequenceNumber, part.headSequenceNumber], [6, 6])
    })
  ),
  onStore("Q4", "the last returned number describes the returned records only", (store) =>
    Effect.gen(function* () {
      yield* sampleLog(store)
      const lastOf = (question: Query.EventQuery) =>
        Effect.map(store.query(question), (result) => result.lastReturnedSequenceNumber)
      assert.equal(yield* lastOf(Query.all), 6)
      assert.equal(yield* lastOf(ofBuyer("ann")), 5)
      assert.equal(yield* lastOf(Query.after(ofBuyer("ann"), 3)), 5)
      assert.equal(yield* lastOf(Query.after(ofBuyer("ann"), 5)), null)
      assert.equal(yield* lastOf(Query.after(ofBuyer("bob"), 2)), null)
      assert.equal(yield* lastOf(ofBuyer("eve")), null)
    })
  ),
  onStore("Q5", "the head is the log's last number, whatever the query matches", (store) =>
    Effect.gen(function* () {
      yield* sampleLog(store)
      for (const question of [Query.all, ofBuyer("bob"), ofBuyer("eve"), Query.make({ eventTypes: [] })]) {
        assert.equal((yield* store.query(question)).headSequenceNumber, 6)
      }
    })
  ),
  onStore("Q5", "records and numbers come from one snapshot while others append", (store) =>
    Effect.gen(function* () {
      const writers = { busy: true }
      const write = Effect.forEach(
        range(1, 6),
        (writer) =>
          Effect.forEach(range(1, 15), () =>
            Effect.andThen(store.append([event("Sold", { writer }), event("Paid"), event("Sold")]), Effect.yieldNow)
          ),
        { concurrency: "unbounded" }
      ).pipe(Effect.ensuring(Effect.sync(() => (writers.busy = false))))
      const read = Effect.gen(function* () {
        while (writers.busy) {
          const everything = yield* store.query()
          const head = everything.headSequenceNumber ?? 0
          assert.deepStrictEqual(numbersOf(everything.eventRecords), range(1, head))
          assert.equal(everything.currentContextVersion, everything.headSequenceNumber)
          assert.equal(head % 3, 0, "a part of an append was visible")
          const part = yield* store.query(Query.ofTypes("Sold"))
          const partHead = part.headSequenceNumber ?? 0
          assert.equal(part.eventRecords.length, (partHead / 3) * 2)
          assert.equal(part.currentContextVersion, part.headSequenceNumber)
          assert.equal(part.lastReturnedSequenceNumber, part.headSequenceNumber)
          yield* Effect.yieldNow
        }
      })
      yield* Effect.all([write, read], { concurrency: "unbounded" })
      assert.equal((yield* store.query()).headSequenceNumber, 270)
    })
  ),
  onStore("Q5", "an append that has returned is visible to the next query", (store) =>
    Effect.gen(function* () {
      for (const number of range(1, 40)) {
        yield* store.append([event("Sold", { number })])
        const result = yield* store.query(Query.withPayload({ number }))
        assert.deepStrictEqual([result.currentContextVersion, result.headSequenceNumber], [number, number])
      }
    })
  ),
  onStore("Q1", "a long log comes back whole and in order", (store) =>
    Effect.gen(function* () {
      yield* Effect.forEach(range(0, 4), (part) =>
        store.append(times(1_000, (index) => event(index % 2 === 0 ? "Even" : "Odd", { part, index })))
      )
      assert.deepStrictEqual(numbersOf(yield* logOf(store)), range(1, 5_000))
      const even = yield* store.query(Query.after(Query.ofTypes("Even"), 2_500))
      assert.deepStrictEqual(
        numbersOf(even.eventRecords),
        range(2_501, 5_000).filter((number) => number % 2 === 1)
      )
      assert.equal(even.currentContextVersion, 4_999)
    })
  ),
  onStore("Q3", "many near misses hide no match, neither from a read nor from a check", (store) =>
    Effect.gen(function* () {
      const nearMiss = () => event("Ordered", { lines: [{ item: "tea" }, { count: 2 }] }, ["order:1"])
      const match = () => event("Ordered", { lines: [{ item: "tea", count: 2 }] }, ["order:1"])
      const context = Query.make({ tags: ["order:1"], payloadPredicates: [{ lines: [{ item: "tea", count: 2 }] }] })
      yield* store.append([match(), ...times(1_500, nearMiss), match(), ...times(1_500, nearMiss)])
      yield* Effect.forEach(range(1, 10), () => store.append([event("Other")]))
      const { eventRecords } = yield* store.query(context)
      assert.deepStrictEqual(numbersOf(eventRecords), [1, 1_502])
      for (const [cursor, version] of [
        [0, 1_502],
        [1, 1_502],
        [1_502, 1_502],
        [9_999, 1_502]
      ] as const) {
        assert.equal((yield* store.query(Query.after(context, cursor))).currentContextVersion, version)
      }
      const conflict = yield* failsWith("ConditionalAppendConflict", store.appendIf([match()], context, 1))
      assert.equal(conflict.actual, 1_502)
      yield* store.appendIf([match()], context, 1_502)
    })
  ),
  onStore("Q3", "an event with very many payload values is found by each of them", (store) =>
    Effect.gen(function* () {
      const values = Object.fromEntries(times(400, (index) => [`key ${index}`, { list: [index, `text ${index}`] }]))
      yield* store.append([event("Large", values), event("Small", { "key 399": { list: [399] } })])
      yield* Effect.forEach(range(1, 10), () => store.append([event("Other", { seat: 1 })]))
      for (const index of [0, 127, 128, 255, 399]) {
        const { eventRecords } = yield* store.query(
          Query.withPayload({ [`key ${index}`]: { list: [`text ${index}`] } })
        )
        assert.deepStrictEqual(numbersOf(eventRecords), [1], `key ${index}`)
      }
      const two = yield* store.query(Query.withPayload({ "key 399": { list: [399] } }))
      assert.deepStrictEqual(numbersOf(two.eventRecords), [1, 2])
      const together = yield* store.query(Query.withPayload({ "key 0": { list: [0] }, "key 399": { list: [399] } }))
      assert.deepStrictEqual(numbersOf(together.eventRecords), [1])
    })
  )
]
