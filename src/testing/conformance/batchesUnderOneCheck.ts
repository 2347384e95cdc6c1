/** Several appends under one check: one verdict for all, each batch an append of its own (`appendBatchesIf`). */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { NewEvent } from "../../stores/Event.ts"
import * as Query from "../../stores/EventQuery.ts"
import type { ConditionalAppendConflict } from "../../stores/EventStoreError.ts"
import { onStore } from "./ConformanceCase.ts"
import {
  event,
  exceeds,
  failsWith,
  hostile,
  logOf,
  numbersOf,
  range,
  recorder,
  refusesInput,
  times
} from "./expectations.ts"

const sales = Query.ofTypes("Sold")
const sold = (buyer: string) => event("Sold", { buyer })
const idA = "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5"

export const batchesUnderOneCheck = [
  onStore("A2", "batches under one check are recorded in order, each with a result of its own", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Opened")])
      const results = yield* store.appendBatchesIf(
        [[sold("ann"), event("Paid")], [sold("bob")], [sold("eve")]],
        sales,
        null
      )
      assert.deepStrictEqual(
        results.map((it) => [it.firstSequenceNumber, it.lastSequenceNumber, it.committedCount]),
        [
          [2, 3, 2],
          [4, 4, 1],
          [5, 5, 1]
        ]
      )
      for (const result of results) assert.equal(result.commitId, result.eventRecords[0]?.eventId)
      const log = yield* logOf(store)
      assert.deepStrictEqual(
        results.flatMap((result) => result.eventRecords),
        log.slice(1)
      )
    })
  ),
  onStore("C1", "one check decides for all batches, and earlier batches do not fail later ones", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann")])
      yield* store.appendBatchesIf([[sold("bob")], [sold("bob")], [sold("bob")]], sales, 1)
      const conflict = yield* failsWith(
        "ConditionalAppendConflict",
        store.appendBatchesIf([[sold("eve")], [event("Paid")]], sales, 1, { headSequenceNumber: 1, conflictTail: true })
      )
      assert.deepStrictEqual([conflict.expected, conflict.actual, conflict.headSequenceNumber], [1, 4, 4])
      assert.deepStrictEqual(numbersOf(conflict.tail!), [2, 3, 4])
      assert.equal((yield* logOf(store)).length, 4)
    })
  ),
  onStore("A3", "batches whose check fails leave nothing behind", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann")])
      const before = yield* logOf(store)
      yield* failsWith(
        "ConditionalAppendConflict",
        store.appendBatchesIf([[event("Paid")], [sold("bob")]], sales, null)
      )
      yield* failsWith("ConditionalAppendConflict", store.appendBatchesIf([[event("Paid")], [sold("bob")]], sales, 2))
      assert.deepStrictEqual(yield* logOf(store), before)
      assert.equal((yield* store.append([sold("bob")])).firstSequenceNumber, 2)
    })
  ),
  onStore("A3", "one invalid event refuses all batches, at its own path", (store) =>
    Effect.gen(function* () {
      const append = (batches: unknown) => store.appendBatchesIf(hostile(batches), sales, null)
      yield* refusesInput(store, "batches[1][2].eventType", append([[sold("ann")], [sold("a"), sold("b"), event("")]]))
      yield* refusesInput(store, "batches[0][0].payload.at", append([[event("Sold", { at: NaN })], [sold("ann")]]))
      yield* refusesInput(store, "batches[1]", append([[sold("ann")], "batch"]))
      yield* refusesInput(store, "batches[1]", append([[sold("ann")], null]))
      yield* refusesInput(store, "batches", append("batches"))
      yield* refusesInput(store, "batches", append({ length: 1, 0: [sold("ann")] }))
      yield* failsWith("EmptyAppend", append([]))
      yield* failsWith("EmptyAppend", append([[sold("ann")], []]))
      yield* exceeds(
        store,
        { path: "batches[1]", limit: 10_000, actual: 10_001 },
        append([[sold("ann")], times(10_001, () => sold("bob"))])
      )
      assert.deepStrictEqual(yield* logOf(store), [])
    })
  ),
  onStore("A5", "event ids are unique over all batches and the log", (store) =>
    Effect.gen(function* () {
      const named = { ...sold("ann"), eventId: idA }
      const across = store.appendBatchesIf([[sold("bob")], [sold("bob"), named], [event("Paid"), named]], sales, null)
      yield* refusesInput(store, "batches[2][1].eventId", across)
      yield* store.append([named])
      const taken = (expected: number | null) =>
        store.appendBatchesIf(
          [
            [sold("bob"), sold("bob")],
            [sold("bob"), named]
          ],
          sales,
          expected
        )
      yield* refusesInput(store, "batches[1][1].eventId", taken(1))
      yield* refusesInput(store, "batches[1][1].eventId", taken(null))
      yield* refusesInput(store, "batches[0][0].eventId", store.appendBatchesIf([[named]], sales, null))
    })
  ),
  onStore("S1", "batches under one check reach streams as batches of their own", (store) =>
    Effect.gen(function* () {
      const everything = recorder()
      const filtered = recorder()
      yield* store.streamAll(everything.handler)
      yield* store.streamTo(sales, filtered.handler)
      const results = yield* store.appendBatchesIf(
        [[sold("ann"), event("Paid")], [event("Paid")], [sold("bob"), event("Paid"), sold("eve")]],
        sales,
        null
      )
      yield* Effect.all([everything.received(3), filtered.received(2)])
      assert.deepStrictEqual(
        everything.batches,
        results.map((result) => result.eventRecords)
      )
      assert.deepStrictEqual(filtered.numbers(), [[1], [4, 6]])
    })
  ),
  onStore("S1", "many batches keep their boundaries however they are read", (store) =>
    Effect.gen(function* () {
      const everything = recorder()
      const filtered = recorder()
      yield* store.streamAll(everything.handler)
      yield* store.streamTo(Query.withPayload({ position: 1 }), filtered.handler)
      const batches = times(700, (batch) => times(1 + (batch % 3), (position) => event("Sold", { batch, position })))
      const results = yield* store.appendBatchesIf(batches, Query.all, null)
      yield* Effect.all([everything.received(700), filtered.received(466)])
      assert.deepStrictEqual(
        everything.numbers(),
        results.map((result) => range(result.firstSequenceNumber, result.lastSequenceNumber))
      )
      assert.ok(filtered.batches.every((batch) => batch.length === 1))
      assert.equal(filtered.batches.length, 466)
    })
  ),
  onStore("C2", "nothing comes between batches under one check", (store) =>
    Effect.gen(function* () {
      const alone = times(20, (index) => Effect.asVoid(store.append([event("Alone", { index })])))
      const together = times(20, (lane) =>
        Effect.asVoid(
          store.appendBatchesIf(
            times(4, (batch) => [event("Together", { lane, batch }), event("Together", { lane, batch })]),
            Query.withPayload({ lane }),
            null
          )
        )
      )
      yield* Effect.all(
        alone.flatMap((effect, index) => [effect, together[index]!]),
        { concurrency: "unbounded" }
      )
      const log = yield* logOf(store)
      assert.deepStrictEqual(numbersOf(log), range(1, 180))
      for (const lane of range(0, 19)) {
        const { eventRecords } = yield* store.query(Query.withPayload({ lane }))
        assert.deepStrictEqual(
          numbersOf(eventRecords),
          range(eventRecords[0]!.sequenceNumber, eventRecords[0]!.sequenceNumber + 7)
        )
        assert.deepStrictEqual(
          eventRecords.map((record) => record.payload),
          range(0, 3).flatMap((batch) => [
            { lane, batch },
            { lane, batch }
          ])
        )
      }
    })
  ),
  onStore("C3", "a revision is called only for a conflict, with its tail, and decides what is recorded", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann")])
      const conflicts: Array<ConditionalAppendConflict> = []
      const revising = (batches: ReadonlyArray<ReadonlyArray<NewEvent>> | undefined) => ({
        headSequenceNumber: 1,
        revise: (conflict: ConditionalAppendConflict) => (conflicts.push(conflict), batches)
      })
      yield* store.appendBatchesIf([[sold("bob")], [event("Paid")]], sales, 1, revising([[event("Never")]]))
      assert.equal(conflicts.length, 0)

      const before = yield* logOf(store)
      const call = store.appendBatchesIf([[sold("eve")]], sales, 1, revising([[event("Refused")], [sold("dan")]]))
      const revised = yield* Effect.result(call)
      if (Result.isFailure(revised)) {
        assert.equal(revised.failure.reason._tag, "ConditionalAppendConflict")
        return assert.deepStrictEqual([conflicts, yield* logOf(store)], [[], before])
      }
      assert.deepStrictEqual([conflicts[0]?.expected, conflicts[0]?.actual, conflicts.length], [1, 2, 1])
      assert.deepStrictEqual(conflicts[0]?.tail, [before[1]])
      const log = yield* logOf(store)
      assert.deepStrictEqual(
        log.slice(3).map((record) => record.eventType),
        ["Refused", "Sold"]
      )
      assert.deepStrictEqual(
        revised.success.map((result) => result.eventRecords),
        log.slice(3).map((record) => [record])
      )
      assert.deepStrictEqual(yield* store.appendBatchesIf([[sold("eve")]], sales, 1, revising([])), [])
      yield* failsWith(
        "ConditionalAppendConflict",
        store.appendBatchesIf([[sold("eve")]], sales, 1, revising(undefined))
      )
      yield* failsWith("InvalidInput", store.appendBatchesIf([[sold("eve")]], sales, 1, revising([[event("")]])))
      const taken = [[{ ...event("Paid"), eventId: log[0]!.eventId }]]
      yield* failsWith("InvalidInput", store.appendBatchesIf([[sold("eve")]], sales, 1, revising(taken)))
      assert.deepStrictEqual(yield* logOf(store), log)
    })
  ),
  onStore("C3", "revisions made at once each see what the others have recorded", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann")])
      const attempts = times(12, () =>
        Effect.result(
          store.appendBatchesIf([[event("Sold", { seen: 0 })]], sales, 1, {
            headSequenceNumber: 1,
            revise: (conflict) => [[event("Sold", { seen: conflict.tail?.length })]]
          })
        )
      )
      const results = yield* Effect.all(attempts, { concurrency: "unbounded" })
      for (const result of results) {
        if (Result.isFailure(result)) assert.equal(result.failure.reason._tag, "ConditionalAppendConflict")
      }
      const recorded = (yield* logOf(store)).slice(1)
      assert.equal(recorded.length, results.filter(Result.isSuccess).length)
      assert.deepStrictEqual(
        recorded.map((record) => record.payload),
        times(recorded.length, (seen) => ({ seen }))
      )
    })
  )
]
