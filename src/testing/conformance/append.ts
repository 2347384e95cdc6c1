/** Appending: numbers, atomicity, and what a failed append leaves behind (A1 to A4). */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { EventRecord } from "../../stores/Event.ts"
import * as EventQuery from "../../stores/EventQuery.ts"
import { onStore } from "./ConformanceCase.ts"
import { event, failsWith, hostile, logOf, numbersOf, range, times } from "./expectations.ts"

export const append = [
  onStore("A1", "events are numbered 1, 2, 3 and so on across appends", (store) =>
    Effect.gen(function* () {
      const first = yield* store.append([event("Opened"), event("Sold")])
      const second = yield* store.append([event("Sold")])
      const third = yield* store.append([event("Sold"), event("Sold"), event("Closed")])
      assert.deepStrictEqual(numbersOf(first.eventRecords), [1, 2])
      assert.deepStrictEqual(numbersOf(second.eventRecords), [3])
      assert.deepStrictEqual(numbersOf(third.eventRecords), [4, 5, 6])
      assert.deepStrictEqual(numbersOf(yield* logOf(store)), range(1, 6))
    })
  ),
  onStore("A1", "appends made at once leave no gap in the numbers", (store) =>
    Effect.gen(function* () {
      yield* Effect.all(
        times(60, (index) => store.append(times(1 + (index % 3), () => event("Sold", { index })))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(numbersOf(yield* logOf(store)), range(1, 120))
    })
  ),
  onStore("A1", "a reader that has seen a number never sees a new record below it", (store) =>
    Effect.gen(function* () {
      const seen: Array<EventRecord> = []
      const writers = { busy: true }
      const write = Effect.forEach(
        range(1, 8),
        (writer) =>
          Effect.forEach(range(1, 12), (index) =>
            Effect.andThen(store.append([event("Sold", { writer, index })]), Effect.yieldNow)
          ),
        { concurrency: "unbounded" }
      ).pipe(Effect.ensuring(Effect.sync(() => (writers.busy = false))))
      const read = Effect.gen(function* () {
        let last = false
        while (!last) {
          last = !writers.busy
          const page = yield* store.query(EventQuery.after(EventQuery.all, seen.at(-1)?.sequenceNumber ?? 0))
          seen.push(...page.eventRecords)
          yield* Effect.yieldNow
        }
      })
      yield* Effect.all([write, read], { concurrency: "unbounded" })
      assert.deepStrictEqual(numbersOf(seen), range(1, 96))
      assert.deepStrictEqual(seen, yield* logOf(store))
    })
  ),
  onStore("A2", "an append occupies one consecutive range whatever is appended at the same time", (store) =>
    Effect.gen(function* () {
      const results = yield* Effect.all(
        times(30, (index) => store.append(times(5, (position) => event("Sold", { index, position })))),
        { concurrency: "unbounded" }
      )
      const log = yield* logOf(store)
      results.forEach((result, index) => {
        assert.deepStrictEqual(
          numbersOf(result.eventRecords),
          range(result.firstSequenceNumber, result.firstSequenceNumber + 4)
        )
        const recorded = log.slice(result.firstSequenceNumber - 1, result.lastSequenceNumber)
        assert.deepStrictEqual(
          recorded.map((record) => record.payload),
          times(5, (position) => ({ index, position }))
        )
      })
    })
  ),
  onStore("A2", "the result of an append names its range, its count, its commit and its records", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Opened")])
      const result = yield* store.append([event("Sold", { seat: 1 }), event("Sold", { seat: 2 }), event("Closed")])
      assert.equal(result.firstSequenceNumber, 2)
      assert.equal(result.lastSequenceNumber, 4)
      assert.equal(result.committedCount, 3)
      assert.equal(result.commitId, result.eventRecords[0]?.eventId)
      const { eventRecords } = yield* store.query({ minSequenceNumber: 1 })
      assert.deepStrictEqual(result.eventRecords, eventRecords)
    })
  ),
  onStore("A3", "a failed append stores nothing and consumes no number", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Opened")])
      const before = yield* logOf(store)
      yield* failsWith("EmptyAppend", store.append([]))
      yield* failsWith("InvalidInput", store.append([event("Sold"), event("")]))
      yield* failsWith("LimitExceeded", store.append([event("Sold"), event("x".repeat(256))]))
      yield* failsWith("ConditionalAppendConflict", store.appendIf([event("Sold")], EventQuery.all, null))
      yield* failsWith("InvalidInput", store.append([{ ...event("Sold"), eventId: before[0]!.eventId }]))
      assert.deepStrictEqual(yield* logOf(store), before)
      const next = yield* store.append([event("Sold")])
      assert.equal(next.firstSequenceNumber, 2)
    })
  ),
  onStore("A3", "failing appends among succeeding ones made at once cost the others nothing", (store) =>
    Effect.gen(function* () {
      const taken = "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5"
      yield* store.append([{ ...event("Opened"), eventId: taken }])
      yield* Effect.all(
        times(40, (index): Effect.Effect<unknown, unknown> => {
          if (index % 4 === 0) return failsWith("InvalidInput", store.append([event("Sold"), hostile(null)]))
          if (index % 4 === 1) {
            return failsWith("ConditionalAppendConflict", store.appendIf([event("Sold")], EventQuery.all, null))
          }
          if (index % 4 === 2) return failsWith("InvalidInput", store.append([{ ...event("Sold"), eventId: taken }]))
          return store.append([event("Sold", { index }), event("Paid", { index })])
        }),
        { concurrency: "unbounded" }
      )
      const log = yield* logOf(store)
      assert.deepStrictEqual(numbersOf(log), range(1, 21))
      assert.deepStrictEqual(
        log.slice(1).map((record) => record.eventType),
        times(20, (index) => (index % 2 === 0 ? "Sold" : "Paid"))
      )
    })
  ),
  onStore("A4", "an append without events is refused as empty before anything else is looked at", (store) =>
    Effect.gen(function* () {
      yield* failsWith("EmptyAppend", store.append([]))
      yield* failsWith("EmptyAppend", store.appendIf([], EventQuery.all, 7))
      yield* failsWith("EmptyAppend", store.appendIf([], hostile({ filters: "all" }), hostile("3")))
      yield* failsWith("EmptyAppend", store.appendBatchesIf([], hostile({ filters: "all" }), hostile(-1)))
      yield* failsWith("EmptyAppend", store.appendBatchesIf([[event("Sold")], []], EventQuery.all, 7))
      yield* failsWith("EmptyAppend", store.appendBatchesIf([[event("")], []], EventQuery.all, 7))
      assert.deepStrictEqual(yield* logOf(store), [])
    })
  ),
  onStore("A4", "input is validated before the context is compared", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Opened")])
      yield* failsWith("InvalidInput", store.appendIf([event("")], EventQuery.all, null))
      yield* failsWith("LimitExceeded", store.appendIf([event("x".repeat(256))], EventQuery.all, null))
      yield* failsWith("InvalidInput", store.appendIf([event("Sold")], hostile({ filters: "all" }), null))
      yield* failsWith("InvalidInput", store.appendBatchesIf([[event("Sold")], [event("")]], EventQuery.all, null))
      yield* failsWith("ConditionalAppendConflict", store.appendIf([event("Sold")], EventQuery.all, null))
    })
  ),
  onStore("A4", "events are validated before the context's query", (store) =>
    Effect.gen(function* () {
      const reason = yield* failsWith(
        "InvalidInput",
        store.appendIf([event("")], hostile({ filters: "all" }), hostile("3"))
      )
      assert.equal(reason.path, "events[0].eventType")
    })
  )
]
