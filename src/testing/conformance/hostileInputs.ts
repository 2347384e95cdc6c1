/** Every store gives the same answer to inputs that stores like to disagree on: events (rule 7). */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { NewEvent } from "../../stores/Event.ts"
import * as Query from "../../stores/EventQuery.ts"
import { onLog, onStore } from "./ConformanceCase.ts"
import { closable, event, exceeds, hostile, inTime, logOf, recorder, refusesInput } from "./expectations.ts"
import { acceptedPayloads, inArray, inObject, nested, refusedDepths, refusedPayloads } from "./hostileEvents.ts"
import { oddTexts } from "./matching.ts"

const payloadEvents = acceptedPayloads.map(({ payload }) => event("Noted", payload))
const recordedPayloads = acceptedPayloads.map((it) => ("recorded" in it ? it.recorded : it.payload))

const badNames: ReadonlyArray<readonly [what: string, name: unknown]> = [
  ["nothing", undefined],
  ["null", null],
  ["a number", 5],
  ["an object", {}],
  ["a boxed string", Object("Sold")],
  ["empty text", ""],
  ["NUL", "a\0b"],
  ["a lone surrogate", "a\ud83c"]
]

export const hostileInputs = [
  onStore("7", "every accepted payload is read back and delivered exactly as normalised", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* store.streamAll(recording.handler)
      const { eventRecords } = yield* store.append(payloadEvents)
      yield* recording.received(1)
      const log = yield* logOf(store)
      for (const [index, { what }] of acceptedPayloads.entries()) {
        for (const record of [eventRecords[index], log[index], recording.batches[0]![index]]) {
          assert.deepStrictEqual(record?.payload, recordedPayloads[index], what)
        }
      }
    })
  ),
  onStore("7", "every accepted payload is found by a predicate equal to it", (store) =>
    Effect.gen(function* () {
      const { eventRecords } = yield* store.append(payloadEvents)
      for (const [index, { what }] of acceptedPayloads.entries()) {
        const found = yield* store.query(Query.withPayload(hostile(payloadEvents[index]!.payload)))
        const numbers = found.eventRecords.map((record) => record.sequenceNumber)
        assert.ok(numbers.includes(eventRecords[index]!.sequenceNumber), what)
      }
    })
  ),
  onLog("7", "every accepted payload survives reopening exactly as normalised", (open) =>
    Effect.gen(function* () {
      const { store, close } = yield* closable(open)
      const { eventRecords } = yield* store.append(payloadEvents)
      yield* close
      const reopened = yield* open
      const log = yield* logOf(reopened)
      assert.deepStrictEqual(log, eventRecords)
      for (const [index, { what }] of acceptedPayloads.entries()) {
        assert.deepStrictEqual(log[index]?.payload, recordedPayloads[index], what)
      }
    })
  ),
  onStore("7", "every payload that is no JSON is refused at its path, and nothing is stored", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Opened")])
      for (const { what, payload, path } of refusedPayloads) {
        const events = [event("Sold"), { eventType: "Sold", payload: payload() }]
        const at = path === undefined ? undefined : `events[1].payload${path}`
        yield* refusesInput(store, at, store.append(events), what)
        yield* refusesInput(store, at, store.appendIf(events, Query.all, null), what)
      }
    })
  ),
  onStore("7", "payloads that are too deep are refused quickly, whatever they are made of", (store) =>
    Effect.gen(function* () {
      for (const depth of refusedDepths) {
        for (const wrap of [inArray, inObject, (inner: unknown) => [{ in: inner }]]) {
          const call = store.append([event("Sold", nested(depth, wrap))])
          yield* exceeds(store, { path: "events[0].payload", limit: 128 }, call, `depth ${depth}`)
        }
      }
    })
  ),
  onStore("7", "event types and tags that are no text, empty, too long or ill-formed are refused", (store) =>
    Effect.gen(function* () {
      for (const [what, name] of badNames) {
        yield* refusesInput(store, "events[0].eventType", store.append([event(hostile(name))]), what)
        yield* refusesInput(store, "events[0].tags[1]", store.append([event("Sold", null, ["a", hostile(name)])]), what)
      }
      for (const name of ["x".repeat(256), "\u00e9".repeat(128), "\u{1F39F}".repeat(64), "x".repeat(1_000_000)]) {
        yield* exceeds(store, { path: "events[0].eventType", limit: 255 }, store.append([event(name)]))
        yield* exceeds(store, { path: "events[0].tags[0]", limit: 255 }, store.append([event("Sold", null, [name])]))
      }
    })
  ),
  onStore("7", "odd event types and tags are stored, and each is matched exactly by a stream", (store) =>
    Effect.gen(function* () {
      for (const text of [
        "%",
        "_",
        "NULL",
        "{a,b}",
        "__proto__",
        "'; DROP TABLE events; --",
        "\u{1F39F}",
        "caf\u00e9"
      ]) {
        const recording = recorder()
        const stream = yield* store.streamTo(Query.make({ eventTypes: [text], tags: [text] }), recording.handler)
        const { eventRecords } = yield* store.append(oddTexts.map((odd) => event(odd, null, [odd, "tag"])))
        yield* inTime(stream.caughtUp, "the stream catches up")
        assert.deepStrictEqual(recording.batches, [[eventRecords[oddTexts.indexOf(text)]]])
        yield* stream.unsubscribe
      }
    })
  ),
  onStore("7", "events that are no array, sparse or not all events are refused as a whole", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Opened")])
      const sparse = [event("Sold"), event("Sold")]
      delete sparse[0]
      const third = [event("a"), event("b"), event(""), event("d"), event("e")]
      const table: ReadonlyArray<readonly [path: string, events: unknown]> = [
        ["events", undefined],
        ["events", null],
        ["events", "events"],
        ["events", event("Sold")],
        ["events", { length: 1, 0: event("Sold") }],
        ["events", new Set([event("Sold")])],
        ["events[0]", sparse],
        ["events[0]", new Array(1)],
        ["events[1]", [event("Sold"), null]],
        ["events[1]", [event("Sold"), undefined]],
        ["events[0]", ["Sold"]],
        ["events[0]", [[event("Sold")]]],
        ["events[0].eventType", [{}]],
        ["events[0].payload", [{ eventType: "Sold" }]],
        ["events[0].tag", [{ ...event("Sold"), tag: "sale:1" }]],
        ["events[2].eventType", third]
      ]
      for (const [path, events] of table) {
        yield* refusesInput(store, path, store.append(hostile(events)), path)
        yield* refusesInput(store, path, store.appendIf(hostile(events), Query.all, null), path)
      }
    })
  ),
  onStore("7", "tags, ids, versions and metadata of the wrong kind are refused at their path", (store) =>
    Effect.gen(function* () {
      const table: ReadonlyArray<readonly [path: string, fields: object]> = [
        ["tags", { tags: "sale:1" }],
        ["tags", { tags: null }],
        ["tags", { tags: new Set(["sale:1"]) }],
        ["tags[0]", { tags: new Array(1) }],
        ...[null, 5, "", "x", "0192f0c1-2a3b-7c4d-8e5f-60718293a4b", "{0192f0c1-2a3b-7c4d-8e5f-60718293a4b5}"].map(
          (eventId) => ["eventId", { eventId }] as const
        ),
        ...[0, -1, 1.5, NaN, Infinity, "1", null, 2 ** 53].map(
          (schemaVersion) => ["schemaVersion", { schemaVersion }] as const
        ),
        ...[null, "actor", [], ["actor"], new Map([["actor", "ann"]]), new Date(0)].map(
          (metadata) => ["metadata", { metadata }] as const
        ),
        ["metadata.actor", { metadata: { actor: 5 } }],
        ["metadata.actor", { metadata: { actor: null } }],
        ["metadata.actor", { metadata: { actor: { name: "ann" } } }],
        ["metadata.actor", { metadata: { actor: "a\0b" } }],
        ["metadata.actor", { metadata: { actor: "\ud83c" } }],
        ['metadata["\\ud83c"]', { metadata: { "\ud83c": "" } }]
      ]
      for (const [path, fields] of table) {
        const events = [event("Sold"), { ...event("Sold"), ...fields }]
        yield* refusesInput(store, `events[1].${path}`, store.append(hostile(events)), JSON.stringify(fields))
      }
    })
  ),
  onStore("7", "odd metadata is recorded exactly", (store) =>
    Effect.gen(function* () {
      const metadata = JSON.parse(
        '{"__proto__":"a","constructor":"b","":"","a.b":"c","10":"d","2":"","\u{1F39F}":"\\u0001"}'
      )
      const recording = recorder()
      yield* store.streamAll(recording.handler)
      yield* store.append([
        { ...event("Sold"), metadata },
        { ...event("Sold"), metadata: hostile({ gone: undefined }) }
      ])
      yield* recording.received(1)
      for (const records of [yield* logOf(store), recording.batches[0]!]) {
        assert.deepStrictEqual(
          records.map((record) => record.metadata),
          [metadata, {}]
        )
      }
    })
  ),
  onStore("7", "every property is read once, and what was read is what is stored", (store) =>
    Effect.gen(function* () {
      const reads = new Map<string, number>()
      const counting = (name: string, target: object): never =>
        hostile(
          new Proxy(target, {
            get: (object, key, receiver) => {
              if (typeof key === "string") reads.set(`${name}.${key}`, (reads.get(`${name}.${key}`) ?? 0) + 1)
              return Reflect.get(object, key, receiver)
            }
          })
        )
      let price = 0
      const payload = counting("payload", {
        get price() {
          return ++price
        },
        seats: counting("seats", [1, 2])
      })
      const metadata = counting("metadata", { actor: "ann" })
      const given: NewEvent = {
        eventType: "Sold",
        payload,
        tags: counting("tags", ["b", "a"]),
        metadata,
        schemaVersion: 2
      }
      yield* store.append(counting("events", [counting("event", given)]))
      const [record] = yield* logOf(store)
      assert.deepStrictEqual(record?.payload, { price: 1, seats: [1, 2] })
      assert.deepStrictEqual([record.tags, record.metadata, record.schemaVersion], [["a", "b"], { actor: "ann" }, 2])
      for (const [property, count] of reads) {
        if (!property.endsWith(".length")) assert.equal(count, 1, `${property} was read ${count} times`)
      }
    })
  ),
  onStore("7", "a hostile prototype is neither read from nor written to", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Sold", JSON.parse('{"__proto__":{"admin":true}}'))])
      assert.equal(({} as Record<string, unknown>).admin, undefined)
      const [record] = yield* logOf(store)
      const payload = record!.payload as object
      assert.equal(Object.getPrototypeOf(payload), Object.prototype)
      assert.ok(Object.hasOwn(payload, "__proto__"))
      assert.equal((payload as Record<string, unknown>).admin, undefined)
    })
  )
]
