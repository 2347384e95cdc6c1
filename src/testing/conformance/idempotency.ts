/** Appends under an idempotency key can be repeated: one copy, one result (I1). */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { NewEvent } from "../../stores/Event.ts"
import * as Query from "../../stores/EventQuery.ts"
import { onLog, onStore } from "./ConformanceCase.ts"
import {
  closable,
  event,
  failsWith,
  hostile,
  logOf,
  numbersOf,
  range,
  recorder,
  refusesInput,
  times
} from "./expectations.ts"
import { idA, key, mismatches, ofBuyer, order, repeats, sold, underKey } from "./repeatExpectation.ts"

export const idempotency = [
  onStore("I1", "a repeated append gives the first result and records nothing", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Opened")])
      const first = yield* store.append(order, underKey)
      assert.deepStrictEqual([first.firstSequenceNumber, first.lastSequenceNumber, first.committedCount], [2, 3, 2])
      assert.deepStrictEqual(first.eventRecords, (yield* logOf(store)).slice(1))
      for (const what of ["at once", "again"]) yield* repeats(store, first, store.append(order, underKey), what)
      const next = yield* store.append([event("Closed")])
      assert.equal(next.firstSequenceNumber, 4)
      yield* repeats(store, first, store.append(order, underKey), "after other appends")
    })
  ),
  onStore("I1", "of ten appends made at once with one key one is recorded, and all get its result", (store) =>
    Effect.gen(function* () {
      const calls = times(10, () => store.append(order, underKey))
      const others = times(5, (index) => store.append([event("Other", { index })]))
      const results = yield* Effect.all([...calls.slice(0, 5), ...others, ...calls.slice(5)], {
        concurrency: "unbounded"
      })
      const same = [...results.slice(0, 5), ...results.slice(10)]
      for (const result of same) assert.deepStrictEqual(result, same[0])
      const log = yield* logOf(store)
      assert.deepStrictEqual(numbersOf(log), range(1, 7))
      assert.equal(log.filter((record) => record.eventId === idA).length, 1)
    })
  ),
  onStore("I1", "of two contents under one key made at once one is recorded and the other refused", (store) =>
    Effect.gen(function* () {
      const call = (buyer: string) =>
        Effect.match(store.append([sold(buyer)], underKey), {
          onFailure: ({ reason }) => reason._tag,
          onSuccess: ({ firstSequenceNumber }) => firstSequenceNumber
        })
      const verdicts = yield* Effect.all([call("ann"), call("bob"), call("ann"), call("bob")], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(verdicts.slice(2), verdicts.slice(0, 2))
      assert.deepStrictEqual(new Set<unknown>(verdicts), new Set<unknown>([1, "IdempotencyMismatch"]))
      assert.deepStrictEqual(numbersOf(yield* logOf(store)), [1])
    })
  ),
  onStore("I1", "a failed append does not use its key up", (store) =>
    Effect.gen(function* () {
      yield* store.append([{ ...event("Opened"), eventId: idA }])
      yield* failsWith("EmptyAppend", store.append([], underKey))
      yield* failsWith("InvalidInput", store.append([event("Sold"), event("")], underKey))
      yield* failsWith("LimitExceeded", store.append([event("x".repeat(256))], underKey))
      yield* failsWith("InvalidInput", store.append([{ ...event("Sold"), eventId: idA }], underKey))
      yield* failsWith("ConditionalAppendConflict", store.appendIf([sold("bob")], Query.all, null, underKey))
      yield* failsWith("InvalidInput", store.appendIf([sold("bob")], Query.all, hostile("1"), underKey))
      const first = yield* store.append([sold("ann")], underKey)
      assert.equal(first.firstSequenceNumber, 2)
      yield* repeats(store, first, store.append([sold("ann")], underKey))
    })
  ),
  onStore("I1", "a failed append does not use its key up for those made at the same time", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Opened")])
      const [, first, again] = yield* Effect.all(
        [
          failsWith("ConditionalAppendConflict", store.appendIf([sold("bob")], Query.all, null, underKey)),
          store.append([sold("ann")], underKey),
          store.append([sold("ann")], underKey)
        ],
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(again, first)
      assert.deepStrictEqual(numbersOf(yield* logOf(store)), [1, 2])
    })
  ),
  onStore("I1", "a repeated conditional append gives the first result, whatever became of the context", (store) =>
    Effect.gen(function* () {
      const call = (expected: number | null, more: object = {}) =>
        store.appendIf([sold("ann")], ofBuyer("ann"), expected, { ...underKey, ...more })
      const first = yield* call(null, { headSequenceNumber: null })
      yield* repeats(store, first, call(null), "the same call")
      yield* repeats(store, first, call(null, { headSequenceNumber: null, conflictTail: true }), "a head that was seen")
      yield* store.append([sold("ann"), sold("bob")])
      yield* repeats(store, first, call(null), "the same call after others")
      yield* repeats(store, first, call(2, { headSequenceNumber: 3 }), "after the context was read again")
      const otherQuery = store.appendIf([sold("ann")], Query.withTags("none"), 3, underKey)
      yield* repeats(store, first, otherQuery, "another context")
    })
  ),
  onStore("I1", "a conditional append that conflicted is recorded under its key when it is tried again", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann")])
      const call = (expected: number | null) => store.appendIf([sold("ann")], ofBuyer("ann"), expected, underKey)
      yield* failsWith("ConditionalAppendConflict", call(null))
      const first = yield* call(1)
      assert.equal(first.firstSequenceNumber, 2)
      yield* repeats(store, first, call(1))
      yield* repeats(store, first, call(null))
    })
  ),
  onStore("I1", "a key is one and the same for append and appendIf", (store) =>
    Effect.gen(function* () {
      const conditionally = (events: ReadonlyArray<NewEvent>, idempotencyKey: string) =>
        store.appendIf(events, ofBuyer("ann"), null, { idempotencyKey })
      const first = yield* store.append([event("Placed")], underKey)
      yield* repeats(store, first, conditionally([event("Placed")], key))
      yield* mismatches(store, conditionally([event("Paid")], key))
      const other = yield* conditionally([sold("ann")], "order 2")
      yield* repeats(store, other, store.append([sold("ann")], { idempotencyKey: "order 2" }))
    })
  ),
  onStore("I1", "the key is looked up before ids and context", (store) =>
    Effect.gen(function* () {
      const first = yield* store.append(order, underKey)
      yield* repeats(store, first, store.append(order, underKey), "ids that are in the log")
      yield* mismatches(store, store.append([{ ...sold("bob"), eventId: idA }], underKey), "an id that is taken")
      yield* mismatches(store, store.appendIf([sold("bob")], Query.all, null, underKey), "a condition that fails")
      yield* refusesInput(store, "events[0].eventId", store.append(order, { idempotencyKey: "order 2" }))
    })
  ),
  onStore("I1", "a repetition delivers nothing to streams", (store) =>
    Effect.gen(function* () {
      const everything = recorder()
      const filtered = recorder()
      const stream = yield* store.streamAll(everything.handler)
      yield* store.streamTo(ofBuyer("ann"), filtered.handler)
      const first = yield* store.append(order, underKey)
      yield* everything.received(1)
      yield* Effect.all(
        times(5, () => store.append(order, underKey)),
        { concurrency: "unbounded" }
      )
      yield* store.append([sold("ann")])
      yield* Effect.all([everything.received(2), filtered.received(2), stream.caughtUp])
      assert.deepStrictEqual(everything.batches[0], first.eventRecords)
      assert.deepStrictEqual(everything.numbers(), [[1, 2], [3]])
      assert.deepStrictEqual(filtered.numbers(), [[2], [3]])
    })
  ),
  onStore("I1", "an append of many events is repeated as a whole, long after", (store) =>
    Effect.gen(function* () {
      const many = times(1_500, (index) => event("Counted", { index }, [`index:${index}`]))
      const first = yield* store.append(many, underKey)
      yield* store.append(times(1_200, (index) => event("Other", { index })))
      yield* repeats(store, first, store.append(many, underKey))
      yield* mismatches(store, store.append([...many.slice(0, -1), event("Counted", { index: -1 })], underKey))
    })
  ),
  onLog("I1", "keys outlive the store", (open) =>
    Effect.gen(function* () {
      const opened = yield* closable(open)
      const first = yield* opened.store.append(order, underKey)
      const other = yield* opened.store.appendIf([sold("bob")], ofBuyer("bob"), null, { idempotencyKey: "order 2" })
      yield* opened.close
      const store = yield* open
      yield* repeats(store, first, store.append(order, underKey))
      yield* mismatches(store, store.append([sold("ann")], underKey))
      const again = store.appendIf([sold("bob")], ofBuyer("bob"), null, { idempotencyKey: "order 2" })
      yield* repeats(store, other, again)
      assert.equal((yield* store.append([event("Closed")])).firstSequenceNumber, 4)
    })
  ),
  onLog(
    "I1",
    "of appends made at once with one key through several stores one is recorded, and all get its result",
    (open) =>
      Effect.gen(function* () {
        const stores = [yield* open, yield* open, yield* open]
        for (const round of range(1, 5)) {
          const idempotencyKey = `round ${round}`
          const results = yield* Effect.all(
            times(12, (index) =>
              stores[index % 3]!.append([event("Sold", { round }), sold("ann")], { idempotencyKey })
            ),
            { concurrency: "unbounded" }
          )
          for (const result of results) assert.deepStrictEqual(result, results[0])
          assert.deepStrictEqual(numbersOf(yield* logOf(stores[1]!)), range(1, 2 * round))
        }
      })
  )
]
