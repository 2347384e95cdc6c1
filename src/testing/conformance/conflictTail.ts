/** What the caller has seen, and what a conflict tells about the rest: the known head and the conflict's tail (C1, C3). */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Query from "../../stores/EventQuery.ts"
import { onStore } from "./ConformanceCase.ts"
import { event, failsWith, logOf, numbersOf } from "./expectations.ts"

const sales = Query.ofTypes("Sold")
const sold = (buyer: string) => event("Sold", { buyer })

export const conflictTail = [
  onStore("C3", "a conflict carries no records when none were asked for", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann")])
      for (const options of [undefined, {}, { conflictTail: false }, { headSequenceNumber: 0 }]) {
        const conflict = yield* failsWith(
          "ConditionalAppendConflict",
          store.appendIf([sold("bob")], sales, null, options)
        )
        assert.equal(conflict.tail, undefined)
      }
    })
  ),
  onStore("C3", "a conflict carries the context's records after the expected version", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann"), event("Opened"), sold("bob"), event("Closed"), sold("eve"), event("Paid")])
      const log = yield* logOf(store)
      const tailOf = (expected: number | null) =>
        Effect.map(
          failsWith(
            "ConditionalAppendConflict",
            store.appendIf([sold("dan")], sales, expected, { conflictTail: true })
          ),
          (conflict) => {
            assert.deepStrictEqual([conflict.actual, conflict.headSequenceNumber], [5, 6])
            return conflict.tail
          }
        )
      assert.deepStrictEqual(yield* tailOf(1), [log[2], log[4]])
      assert.deepStrictEqual(yield* tailOf(3), [log[4]])
      assert.deepStrictEqual(yield* tailOf(null), [log[0], log[2], log[4]])
      assert.deepStrictEqual(yield* tailOf(0), [log[0], log[2], log[4]])
      assert.deepStrictEqual(yield* tailOf(9), [])
    })
  ),
  onStore("C3", "a conflict carries the context's records after the known head", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann"), event("Opened"), sold("bob")])
      yield* store.append([sold("eve"), event("Paid"), sold("dan")])
      const log = yield* logOf(store)
      const conflict = yield* failsWith(
        "ConditionalAppendConflict",
        store.appendIf([sold("fay")], sales, 3, { headSequenceNumber: 3, conflictTail: true })
      )
      assert.deepStrictEqual([conflict.expected, conflict.actual, conflict.headSequenceNumber], [3, 6, 6])
      assert.deepStrictEqual(conflict.tail, [log[3], log[5]])
      const other = yield* failsWith(
        "ConditionalAppendConflict",
        store.appendIf([sold("fay")], sales, 3, { headSequenceNumber: 4, conflictTail: true })
      )
      assert.deepStrictEqual(other.tail, [log[5]])
    })
  ),
  onStore("C3", "a retry on the tail of a conflict needs no second read", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann"), event("Opened")])
      const seen = yield* store.query(sales)
      yield* store.append([sold("bob"), event("Paid")])
      const conflict = yield* failsWith(
        "ConditionalAppendConflict",
        store.appendIf([sold("eve")], sales, seen.currentContextVersion, {
          headSequenceNumber: seen.headSequenceNumber,
          conflictTail: true
        })
      )
      assert.deepStrictEqual(numbersOf([...seen.eventRecords, ...conflict.tail!]), [1, 3])
      const result = yield* store.appendIf([sold("eve")], sales, conflict.actual, {
        headSequenceNumber: conflict.headSequenceNumber
      })
      assert.equal(result.firstSequenceNumber, 5)
    })
  ),
  onStore("C1", "with a known head only what was recorded after it can conflict", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann"), event("Opened")])
      yield* store.append([event("Paid")])
      const onUnrelated = yield* store.appendIf([sold("bob")], sales, 1, { headSequenceNumber: 2 })
      assert.equal(onUnrelated.firstSequenceNumber, 4)
      const conflict = yield* failsWith(
        "ConditionalAppendConflict",
        store.appendIf([sold("eve")], sales, 1, { headSequenceNumber: 3 })
      )
      assert.deepStrictEqual([conflict.expected, conflict.actual, conflict.headSequenceNumber], [1, 4, 4])
      const upToDate = yield* store.appendIf([sold("eve")], sales, 4, { headSequenceNumber: 4 })
      assert.equal(upToDate.firstSequenceNumber, 5)
    })
  ),
  onStore("C1", "a head that cannot have been seen says nothing, and the whole context is checked", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann"), event("Opened")])
      const seen = (expected: number | null, headSequenceNumber: number | null) =>
        store.appendIf([event("Paid")], sales, expected, { headSequenceNumber })
      const past = yield* failsWith("ConditionalAppendConflict", seen(null, 3), "a head past the log's end")
      assert.deepStrictEqual([past.expected, past.actual, past.headSequenceNumber], [null, 1, 2])
      const before = yield* failsWith("ConditionalAppendConflict", seen(2, 1), "a head before the expected version")
      assert.deepStrictEqual([before.expected, before.actual], [2, 1])
      assert.equal((yield* seen(1, null)).firstSequenceNumber, 3)
    })
  ),
  onStore("C1", "the known head of an empty log is null", (store) =>
    Effect.gen(function* () {
      const { headSequenceNumber } = yield* store.query(sales)
      assert.equal(headSequenceNumber, null)
      yield* store.appendIf([event("Opened")], sales, null, { headSequenceNumber })
      yield* store.appendIf([sold("ann")], sales, null, { headSequenceNumber })
      const conflict = yield* failsWith(
        "ConditionalAppendConflict",
        store.appendIf([sold("bob")], sales, null, { headSequenceNumber, conflictTail: true })
      )
      assert.deepStrictEqual([conflict.expected, conflict.actual, conflict.headSequenceNumber], [null, 2, 2])
      assert.deepStrictEqual(numbersOf(conflict.tail!), [2])
    })
  ),
  onStore("C3", "a logged conflict shows no payload, with or without its tail", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Sold", { secret: "a word that must not leak" })])
      const conflict = yield* failsWith(
        "ConditionalAppendConflict",
        store.appendIf([sold("bob")], sales, null, { conflictTail: true })
      )
      assert.equal(conflict.tail?.length, 1)
      for (const text of [conflict.message, String(conflict), JSON.stringify(conflict), conflict.stack ?? ""]) {
        assert.ok(!text.includes("must not leak"))
      }
    })
  )
]
