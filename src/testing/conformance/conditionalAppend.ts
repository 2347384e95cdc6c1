/** Appending on a condition: when the context's version is the expected one, and only then (C1, C2). */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { EventQuery } from "../../stores/EventQuery.ts"
import * as Query from "../../stores/EventQuery.ts"
import { onStore } from "./ConformanceCase.ts"
import { event, failsWith, logOf, numbersOf, range, times } from "./expectations.ts"

const ofBuyer = (buyer: string): EventQuery => Query.make({ eventTypes: ["Sold"], payloadPredicates: [{ buyer }] })
const sold = (buyer: string) => event("Sold", { buyer, seat: 1 }, [`buyer:${buyer}`])

export const conditionalAppend = [
  onStore("C1", "an append on an empty context commits when nothing is expected", (store) =>
    Effect.gen(function* () {
      const onEmptyLog = yield* store.appendIf([sold("ann")], Query.all, null)
      const onEmptyContext = yield* store.appendIf([sold("bob"), event("Paid")], ofBuyer("bob"), null)
      assert.equal(onEmptyLog.firstSequenceNumber, 1)
      assert.deepStrictEqual([onEmptyContext.firstSequenceNumber, onEmptyContext.lastSequenceNumber], [2, 3])
      assert.equal(onEmptyContext.committedCount, 2)
      assert.equal(onEmptyContext.commitId, onEmptyContext.eventRecords[0]?.eventId)
      assert.deepStrictEqual([...onEmptyLog.eventRecords, ...onEmptyContext.eventRecords], yield* logOf(store))
    })
  ),
  onStore("C1", "an append that expects nothing conflicts with a context that has events", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann"), sold("bob"), sold("ann"), event("Paid")])
      const conflict = yield* failsWith(
        "ConditionalAppendConflict",
        store.appendIf([sold("ann")], ofBuyer("ann"), null)
      )
      assert.deepStrictEqual([conflict.expected, conflict.actual, conflict.headSequenceNumber], [null, 3, 4])
    })
  ),
  onStore("C1", "0 is a number and not an empty context", (store) =>
    Effect.gen(function* () {
      const onEmptyLog = yield* failsWith("ConditionalAppendConflict", store.appendIf([sold("ann")], Query.all, 0))
      assert.deepStrictEqual([onEmptyLog.expected, onEmptyLog.actual, onEmptyLog.headSequenceNumber], [0, null, 0])
      yield* store.append([event("Opened")])
      const onEmptyContext = yield* failsWith(
        "ConditionalAppendConflict",
        store.appendIf([sold("ann")], ofBuyer("ann"), 0)
      )
      assert.deepStrictEqual([onEmptyContext.expected, onEmptyContext.actual], [0, null])
      assert.equal(onEmptyContext.headSequenceNumber, 1)
    })
  ),
  onStore("C1", "an append on the current version of a payload-filtered context commits", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann"), sold("bob")])
      const result = yield* store.appendIf([sold("ann")], ofBuyer("ann"), 1)
      assert.equal(result.firstSequenceNumber, 3)
      assert.equal((yield* store.query(ofBuyer("ann"))).currentContextVersion, 3)
    })
  ),
  onStore("C1", "an append on a stale version of a payload-filtered context conflicts", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann")])
      yield* store.append([sold("bob")])
      yield* store.append([sold("ann")])
      const conflict = yield* failsWith("ConditionalAppendConflict", store.appendIf([sold("ann")], ofBuyer("ann"), 1))
      assert.deepStrictEqual([conflict.expected, conflict.actual, conflict.headSequenceNumber], [1, 3, 3])
    })
  ),
  onStore("C1", "versions past the context's and past the head conflict", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann"), sold("bob")])
      for (const expected of [2, 3, 1_000, Number.MAX_SAFE_INTEGER]) {
        const conflict = yield* failsWith(
          "ConditionalAppendConflict",
          store.appendIf([sold("ann")], ofBuyer("ann"), expected)
        )
        assert.deepStrictEqual([conflict.expected, conflict.actual], [expected, 1])
      }
      assert.equal((yield* logOf(store)).length, 2)
    })
  ),
  onStore("C1", "what does not match the context does not move its version", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann")])
      yield* store.append([sold("bob"), event("Paid", { buyer: "ann" }), event("Sold", { buyer: ["ann"] })])
      const result = yield* store.appendIf([sold("ann")], ofBuyer("ann"), 1)
      assert.equal(result.firstSequenceNumber, 5)
    })
  ),
  onStore("C1", "the context is defined by tags and by alternatives as well", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann"), sold("bob"), event("Opened")])
      const context = Query.make({ tags: ["buyer:ann"] }, { eventTypes: ["Opened", "Closed"] })
      const stale = yield* failsWith("ConditionalAppendConflict", store.appendIf([event("Closed")], context, 1))
      assert.equal(stale.actual, 3)
      yield* store.appendIf([event("Closed")], context, 3)
      const moved = yield* failsWith("ConditionalAppendConflict", store.appendIf([event("Closed")], context, 3))
      assert.equal(moved.actual, 4)
    })
  ),
  onStore("C1", "a context that can match nothing stays empty", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann")])
      for (const context of [Query.make({ eventTypes: [] }), Query.make({ payloadPredicates: [] })]) {
        yield* store.appendIf([sold("ann")], context, null)
        const conflict = yield* failsWith("ConditionalAppendConflict", store.appendIf([sold("ann")], context, 1))
        assert.deepStrictEqual([conflict.expected, conflict.actual], [1, null])
      }
      assert.equal((yield* logOf(store)).length, 3)
    })
  ),
  onStore("Q2", "the read cursor of a context's query takes no part in the check", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann"), sold("bob")])
      for (const cursor of [0, 1, 2, 50]) {
        const conflict = yield* failsWith(
          "ConditionalAppendConflict",
          store.appendIf([sold("ann")], Query.after(ofBuyer("ann"), cursor), null)
        )
        assert.equal(conflict.actual, 1)
      }
      yield* store.appendIf([sold("ann")], Query.after(ofBuyer("ann"), 50), 1)
    })
  ),
  onStore("A3", "a failed conditional append stores no part of its batch", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann")])
      const before = yield* logOf(store)
      yield* failsWith(
        "ConditionalAppendConflict",
        store.appendIf([event("Paid"), sold("ann"), event("Closed")], ofBuyer("ann"), null)
      )
      assert.deepStrictEqual(yield* logOf(store), before)
    })
  ),
  onStore("A3", "a failed conditional append consumes no numbers", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann")])
      yield* failsWith("ConditionalAppendConflict", store.appendIf([sold("bob"), sold("bob")], Query.all, null))
      assert.equal((yield* store.append([sold("bob")])).firstSequenceNumber, 2)
      yield* failsWith("ConditionalAppendConflict", store.appendIf([sold("bob"), sold("bob")], Query.all, 1))
      assert.equal((yield* store.appendIf([sold("bob")], Query.all, 2)).firstSequenceNumber, 3)
    })
  ),
  onStore("C2", "of conditional appends made at once on the same version exactly one commits", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann")])
      const results = yield* Effect.all(
        times(30, () => Effect.result(store.appendIf([sold("ann")], ofBuyer("ann"), 1))),
        { concurrency: "unbounded" }
      )
      assert.equal(results.filter(Result.isSuccess).length, 1)
      for (const result of results) {
        if (Result.isSuccess(result)) continue
        const reason = result.failure.reason
        assert.equal(reason._tag, "ConditionalAppendConflict")
        assert.deepStrictEqual(reason._tag === "ConditionalAppendConflict" && [reason.expected, reason.actual], [1, 2])
      }
      assert.deepStrictEqual(numbersOf(yield* logOf(store)), [1, 2])
    })
  ),
  onStore("C2", "conditional appends on contexts that do not touch each other all commit at once", (store) =>
    Effect.gen(function* () {
      yield* Effect.all(
        times(30, (index) => store.appendIf([sold(`buyer ${index}`)], ofBuyer(`buyer ${index}`), null)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(numbersOf(yield* logOf(store)), range(1, 30))
    })
  ),
  onStore("C2", "no interleaving with plain appends lets a conditional append pass unseen events", (store) =>
    Effect.gen(function* () {
      const conditional = Effect.gen(function* () {
        const committed: Array<{ readonly expected: number | null; readonly first: number }> = []
        for (const _ of range(1, 8)) {
          const expected = (yield* store.query(ofBuyer("ann"))).currentContextVersion
          const result = yield* Effect.result(store.appendIf([sold("ann")], ofBuyer("ann"), expected))
          if (Result.isSuccess(result)) committed.push({ expected, first: result.success.firstSequenceNumber })
        }
        return committed
      })
      const plain = Effect.forEach(range(1, 8), (index) => store.append([sold(index % 2 === 0 ? "ann" : "bob")]))
      const [...attempts] = yield* Effect.all([...times(6, () => conditional), Effect.as(plain, [])], {
        concurrency: "unbounded"
      })
      const context = numbersOf((yield* store.query(ofBuyer("ann"))).eventRecords)
      const committed = attempts.flat()
      assert.ok(committed.length > 0)
      for (const { expected, first } of committed) {
        assert.equal(context[context.indexOf(first) - 1] ?? null, expected)
      }
      assert.equal(context.length, committed.length + 4)
    })
  )
]
