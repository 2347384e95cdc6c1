/** What is recorded of an event: defaults, ids, times, and the isolation of records from everybody (A5). */
import assert from "node:assert/strict"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { EventRecord, NewEvent } from "../../stores/Event.ts"
import * as EventQuery from "../../stores/EventQuery.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import { onStore } from "./ConformanceCase.ts"
import {
  assertDeeplyFrozen,
  event,
  failsWith,
  hostile,
  logOf,
  numbersOf,
  recorder,
  refusesInput,
  times
} from "./expectations.ts"

const idA = "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5"
const idB = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
const version7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** Runs the appends at once with what follows, so that a store that looks at its input late looks at changed input. */
const withMutation = (store: EventStore, events: ReadonlyArray<NewEvent>, mutate: () => void) =>
  Effect.map(
    Effect.all([store.append(events), Effect.sync(mutate)], { concurrency: "unbounded" }),
    ([result]) => result
  )

/** Frozen objects answer with a `TypeError`, others let it happen. */
const tryTo = (mutate: () => unknown): void => {
  const result = Result.try(mutate)
  assert.ok(Result.isSuccess(result) || result.failure instanceof TypeError)
}

const scribble = (records: ReadonlyArray<EventRecord>): void => {
  const record = hostile(records[0]) as { payload: { seats: Array<number> }; tags: Array<string>; metadata: object }
  tryTo(() => record.payload.seats.push(99))
  tryTo(() => Object.assign(record.payload, { buyer: "somebody else" }))
  tryTo(() => record.tags.push("scribble"))
  tryTo(() => Object.assign(record.metadata, { actor: "somebody else" }))
  tryTo(() => Object.assign(record, { eventType: "Forged" }))
  tryTo(() => (records as Array<unknown>).push("forged"))
}

export const records = [
  onStore("A5", "what is stored is what was validated, whatever the caller changes afterwards", (store) =>
    Effect.gen(function* () {
      const payload = { buyer: "ann", seats: [1, 2], nested: { open: true } }
      const tags = ["sale:1"]
      const metadata = { actor: "ann" }
      const events = [{ eventType: "Sold", payload, tags, metadata }]
      const result = yield* store.append(events)
      payload.buyer = "bob"
      payload.seats.push(3)
      payload.nested.open = false
      tags.push("sale:2")
      metadata.actor = "bob"
      events.push({ eventType: "Closed", payload, tags, metadata })
      const [record, ...others] = yield* logOf(store)
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(record?.payload, { buyer: "ann", seats: [1, 2], nested: { open: true } })
      assert.deepStrictEqual(record.tags, ["sale:1"])
      assert.deepStrictEqual(record.metadata, { actor: "ann" })
      assert.deepStrictEqual(result.eventRecords, [record])
    })
  ),
  onStore("A5", "input that changes while it is being appended is stored as it was at one moment", (store) =>
    Effect.gen(function* () {
      const payload: Record<string, unknown> = { step: 1 }
      const tags = ["step:1"]
      const result = yield* withMutation(store, [{ eventType: "Step1", payload, tags }], () => {
        payload.step = 2
        payload.circle = payload
        tags[0] = "step:2"
      })
      const log = yield* logOf(store)
      assert.deepStrictEqual(result.eventRecords, log)
      assert.deepStrictEqual(log[0]?.payload, { step: 1 })
      assert.deepStrictEqual(log[0].tags, ["step:1"])
    })
  ),
  onStore("A5", "a query that is changed after the call does not change what the call asked", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Sold", { seat: 1 }), event("Paid", { seat: 1 })])
      const recording = recorder()
      const eventTypes = ["Sold"]
      const query = { filters: [{ eventTypes }] }
      yield* store.streamTo(query, recording.handler)
      const [result] = yield* Effect.all([store.query(query), Effect.sync(() => eventTypes.splice(0, 1, "Paid"))], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(
        result.eventRecords.map((record) => record.eventType),
        ["Sold"]
      )
      yield* store.append([event("Paid"), event("Sold")])
      yield* recording.received(1)
      assert.deepStrictEqual(recording.numbers(), [[4]])
    })
  ),
  onStore("A5", "records are deeply frozen, whoever hands them out", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* store.streamAll(recording.handler)
      const result = yield* store.append([
        { eventType: "Sold", payload: { seats: [{ row: 1 }] }, tags: ["sale:1"], metadata: { actor: "ann" } },
        { eventType: "Paid", payload: [[]] }
      ])
      yield* recording.received(1)
      const conflict = yield* failsWith(
        "ConditionalAppendConflict",
        store.appendIf([event("Sold")], EventQuery.all, null, { conflictTail: true })
      )
      for (const [source, handedOut] of Object.entries({
        append: result.eventRecords,
        query: yield* logOf(store),
        stream: recording.batches[0]!,
        conflict: conflict.tail!
      })) {
        assert.equal(handedOut.length, 2, source)
        for (const record of handedOut) assertDeeplyFrozen(record, source)
      }
    })
  ),
  onStore("A5", "scribbling on what was handed out changes nothing for anyone else", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      const scribbled = recorder()
      yield* store.streamAll((batch) => Effect.tap(scribbled.handler(batch), () => Effect.sync(() => scribble(batch))))
      yield* store.streamAll(recording.handler)
      const result = yield* store.append([
        { eventType: "Sold", payload: { buyer: "ann", seats: [1] }, tags: ["sale:1"], metadata: { actor: "ann" } }
      ])
      scribble(result.eventRecords)
      scribble((yield* store.query()).eventRecords)
      yield* Effect.all([recording.received(1), scribbled.received(1)])
      const [record] = yield* logOf(store)
      assert.deepStrictEqual(
        [record?.eventType, record?.payload, record?.tags, record?.metadata],
        ["Sold", { buyer: "ann", seats: [1] }, ["sale:1"], { actor: "ann" }]
      )
      assert.deepStrictEqual(recording.batches, [[record]])
      assert.deepStrictEqual(numbersOf(yield* logOf(store)), [1])
    })
  ),
  onStore("A5", "what is left out of an event gets its default", (store) =>
    Effect.gen(function* () {
      yield* store.append([{ eventType: "Opened", payload: 1 }])
      const [record] = yield* logOf(store)
      assert.deepStrictEqual(Object.keys(record!).sort(), [
        "eventId",
        "eventType",
        "metadata",
        "occurredAt",
        "payload",
        "schemaVersion",
        "sequenceNumber",
        "tags"
      ])
      assert.deepStrictEqual([record?.schemaVersion, record?.tags, record?.metadata], [1, [], {}])
    })
  ),
  onStore("A5", "what is given of an event is recorded, tags distinct and sorted", (store) =>
    Effect.gen(function* () {
      const given = { eventType: "Sold", payload: { seat: 1 }, schemaVersion: 3, metadata: { actor: "ann", "": "" } }
      yield* store.append([{ ...given, eventId: idA.toUpperCase(), tags: ["b", "a", "b", "\u{1F39F}", "\uFF21", "B"] }])
      const [{ occurredAt, ...record }] = (yield* logOf(store)) as [EventRecord]
      assert.ok(Number.isInteger(occurredAt))
      assert.deepStrictEqual(record, {
        ...given,
        eventId: idA,
        sequenceNumber: 1,
        tags: ["B", "a", "b", "\u{1F39F}", "\uFF21"]
      })
    })
  ),
  onStore("A5", "records carry the time of recording in whole milliseconds", (store) =>
    Effect.gen(function* () {
      const slack = 1_000
      const before = yield* Clock.currentTimeMillis
      const result = yield* store.append([event("Opened"), event("Sold")])
      const after = yield* Clock.currentTimeMillis
      for (const record of yield* logOf(store)) {
        assert.ok(Number.isInteger(record.occurredAt))
        assert.ok(record.occurredAt >= before - slack && record.occurredAt <= after + slack)
      }
      assert.deepStrictEqual(result.eventRecords, yield* logOf(store))
    })
  ),
  onStore("A5", "generated ids are distinct UUIDs of version 7", (store) =>
    Effect.gen(function* () {
      yield* Effect.all(
        times(20, () => store.append(times(10, () => event("Sold")))),
        { concurrency: "unbounded" }
      )
      const ids = (yield* logOf(store)).map((record) => record.eventId)
      for (const id of ids) assert.match(id, version7)
      assert.equal(new Set(ids).size, 200)
    })
  ),
  onStore("A5", "an event id that is in the log already is refused at its own path", (store) =>
    Effect.gen(function* () {
      yield* store.append([{ ...event("Opened"), eventId: idA }, event("Sold")])
      const twice = { ...event("Opened"), eventId: idA }
      yield* refusesInput(store, "events[0].eventId", store.append([twice]))
      yield* refusesInput(store, "events[2].eventId", store.append([event("Sold"), event("Sold"), twice]))
      yield* refusesInput(store, "events[0].eventId", store.append([{ ...twice, eventId: idA.toUpperCase() }]))
      const generated = (yield* logOf(store))[1]!.eventId
      yield* refusesInput(store, "events[0].eventId", store.append([{ ...event("Sold"), eventId: generated }]))
      yield* store.append([{ ...event("Sold"), eventId: idB }])
    })
  ),
  onStore("A5", "an event id used twice in one append is refused at the path of the second use", (store) =>
    Effect.gen(function* () {
      const events = [
        event("Sold"),
        { ...event("Sold"), eventId: idA },
        { ...event("Paid"), eventId: idA.toUpperCase() }
      ]
      yield* refusesInput(store, "events[2].eventId", store.append(events))
      yield* refusesInput(store, "events[2].eventId", store.appendIf(events, EventQuery.all, null))
    })
  ),
  onStore("A4", "an event id that is taken is found before the context is compared", (store) =>
    Effect.gen(function* () {
      yield* store.append([{ ...event("Opened"), eventId: idA }])
      const twice = [event("Sold"), { ...event("Sold"), eventId: idA }]
      for (const expected of [null, 0, 1, 2]) {
        yield* refusesInput(store, "events[1].eventId", store.appendIf(twice, EventQuery.all, expected))
        yield* refusesInput(
          store,
          "events[1].eventId",
          store.appendIf(twice, EventQuery.all, expected, { headSequenceNumber: 1 })
        )
      }
    })
  ),
  onStore("A5", "of several appends made at once with the same event id exactly one is recorded", (store) =>
    Effect.gen(function* () {
      const results = yield* Effect.all(
        times(10, (index) => Effect.result(store.append([{ ...event("Sold", { index }), eventId: idA }]))),
        { concurrency: "unbounded" }
      )
      assert.equal(results.filter((result) => result._tag === "Success").length, 1)
      for (const result of results) {
        if (result._tag === "Success") continue
        assert.equal(result.failure.reason._tag, "InvalidInput")
      }
      assert.equal((yield* logOf(store)).length, 1)
    })
  )
]
