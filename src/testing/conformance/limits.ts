/** Every limit of the contract (rule 6), at its edge and one past it. */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { EventFilter } from "../../stores/EventQuery.ts"
import * as Query from "../../stores/EventQuery.ts"
import { onHarness, onStore } from "./ConformanceCase.ts"
import { event, exceeds, failsWith, hostile, logOf, numbersOf, range, times } from "./expectations.ts"
import { inArray, inObject, nested } from "./hostileEvents.ts"

/** Names of 255 and of 256 bytes, in characters of one, two and four bytes. */
const longest = ["x".repeat(255), `${"\u00e9".repeat(127)}x`, `${"\u{1F39F}".repeat(63)}xyz`]
const tooLong = ["x".repeat(256), "\u00e9".repeat(128), "\u{1F39F}".repeat(64)]

/** Text that makes a payload `{"text":"..."}` of so many bytes, partly in characters of two bytes. */
const payloadOf = (bytes: number) => ({ text: "\u00e9".repeat(1_000).padEnd(bytes - 11 - 1_000, "x") })

export const limits = [
  onStore("6", "event types and tags have up to 255 bytes", (store) =>
    Effect.gen(function* () {
      yield* store.append(longest.map((name) => event(name, null, [name])))
      for (const [index, name] of longest.entries()) {
        const result = yield* store.query(Query.make({ eventTypes: [name], tags: [name] }))
        assert.deepStrictEqual(numbersOf(result.eventRecords), [index + 1])
      }
      for (const name of tooLong) {
        const at = (path: string) => ({ path, limit: 255, actual: 256 })
        yield* exceeds(store, at("events[0].eventType"), store.append([event(name)]))
        yield* exceeds(store, at("events[0].tags[0]"), store.append([event("Sold", null, [name])]))
        yield* exceeds(store, at("query.filters[0].eventTypes[0]"), store.query(Query.ofTypes(name)))
        yield* exceeds(store, at("query.filters[0].tags[0]"), store.query(Query.withTags(name)))
      }
    })
  ),
  onStore("6", "payloads and predicates are up to 128 levels deep", (store) =>
    Effect.gen(function* () {
      for (const wrap of [inArray, inObject]) {
        const { eventRecords } = yield* store.append([event("Deep", nested(128, wrap))])
        const found = yield* store.query(Query.withPayload(hostile(nested(128, wrap))))
        assert.deepStrictEqual(found.eventRecords, eventRecords)
        const deeper = hostile(nested(129, wrap))
        yield* exceeds(
          store,
          { path: "events[0].payload", limit: 128, actual: 129 },
          store.append([event("Deep", deeper)])
        )
        const path = "query.filters[0].payloadPredicates[0]"
        yield* exceeds(store, { path, limit: 128, actual: 129 }, store.query(Query.withPayload(deeper)))
      }
    })
  ),
  onStore("6", "payloads have up to 1 MiB of JSON", (store) =>
    Effect.gen(function* () {
      const most = 1_048_576
      assert.equal(Buffer.byteLength(JSON.stringify(payloadOf(most))), most)
      const { eventRecords } = yield* store.append([event("Large", payloadOf(most))])
      const call = store.append([event("Sold"), event("Large", payloadOf(most + 1))])
      const reason = yield* failsWith("LimitExceeded", call)
      assert.deepStrictEqual([reason.limit, reason.actual], [most, most + 1])
      assert.ok(reason.path.startsWith("events[1].payload"))
      assert.deepStrictEqual(yield* logOf(store), eventRecords)
    })
  ),
  onHarness("6", "the limit of payloads can be set", (harness) =>
    Effect.gen(function* () {
      const small = yield* harness.makeWithMaxPayloadBytes(2_048)
      const { eventRecords } = yield* small.append([event("Sold", payloadOf(2_048))])
      const reason = yield* failsWith("LimitExceeded", small.append([event("Sold", payloadOf(2_049))]))
      assert.deepStrictEqual([reason.limit, reason.actual], [2_048, 2_049])
      assert.deepStrictEqual(yield* logOf(small), eventRecords)
      const large = yield* harness.makeWithMaxPayloadBytes(3_000_000)
      yield* large.append([event("Sold", payloadOf(3_000_000))])
      assert.deepStrictEqual((yield* logOf(large))[0]?.payload, payloadOf(3_000_000))
      yield* failsWith("LimitExceeded", large.append([event("Sold", payloadOf(3_000_001))]))
    })
  ),
  onHarness("6", "the limit of payloads goes up to 64 MiB", (harness) =>
    Effect.gen(function* () {
      yield* harness.makeWithMaxPayloadBytes(67_108_864)
      for (const bytes of [67_108_865, 0, -1, 1.5, NaN]) {
        yield* failsWith("InvalidInput", harness.makeWithMaxPayloadBytes(bytes), `a limit of ${bytes} bytes`)
      }
    })
  ),
  onStore("6", "metadata has up to 64 entries and 8 KiB", (store) =>
    Effect.gen(function* () {
      const entries = (count: number) => Object.fromEntries(times(count, (index) => [`key ${index}`, "v"]))
      const bytes = (count: number) => ({ note: "\u00e9".repeat(1_000).padEnd(count - 4 - 1_000, "x") })
      const withMetadata = (metadata: Record<string, string>) => [{ ...event("Sold"), metadata }]
      yield* store.append(withMetadata(entries(64)))
      yield* store.append(withMetadata(bytes(8_192)))
      assert.deepStrictEqual(
        (yield* logOf(store)).map((record) => record.metadata),
        [entries(64), bytes(8_192)]
      )
      const path = "events[0].metadata"
      yield* exceeds(store, { path, limit: 64, actual: 65 }, store.append(withMetadata(entries(65))))
      yield* exceeds(store, { path, limit: 8_192, actual: 8_193 }, store.append(withMetadata(bytes(8_193))))
    })
  ),
  onStore("6", "an event has up to 128 distinct tags", (store) =>
    Effect.gen(function* () {
      const tags = (count: number) => times(count, (index) => `tag ${1_000 + index}`)
      yield* store.append([event("Sold", null, [...tags(128), ...tags(20)])])
      assert.deepStrictEqual((yield* logOf(store))[0]?.tags, tags(128))
      const all = yield* store.query(Query.withTags(...tags(128)))
      assert.equal(all.currentContextVersion, 1)
      const call = store.append([event("Sold", null, tags(129))])
      yield* exceeds(store, { path: "events[0].tags", limit: 128, actual: 129 }, call)
    })
  ),
  onStore("6", "one append has up to 10,000 events, in one range", (store) =>
    Effect.gen(function* () {
      const events = times(10_001, (index) => event("Sold", { index }, [`seat:${index % 100}`]))
      yield* exceeds(store, { path: "events", limit: 10_000, actual: 10_001 }, store.append(events))
      const result = yield* store.append(events.slice(0, 10_000))
      assert.deepStrictEqual([result.firstSequenceNumber, result.lastSequenceNumber], [1, 10_000])
      assert.equal(result.committedCount, 10_000)
      const log = yield* logOf(store)
      assert.deepStrictEqual(numbersOf(log), range(1, 10_000))
      assert.deepStrictEqual(log[9_999]?.payload, { index: 9_999 })
      const huge = yield* failsWith("LimitExceeded", store.append(new Array(2 ** 32 - 1)))
      assert.equal(huge.actual, 2 ** 32 - 1)
    })
  ),
  onStore("6", "a query has up to 256 filters", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Type 0"), event("Type 255"), event("Type 256")])
      const filters = times(257, (index) => ({ eventTypes: [`Type ${index}`] }))
      const result = yield* store.query({ filters: filters.slice(0, 256) })
      assert.deepStrictEqual(numbersOf(result.eventRecords), [1, 2])
      yield* exceeds(store, { path: "query.filters", limit: 256, actual: 257 }, store.query({ filters }))
      const call = store.appendIf([event("Sold")], { filters }, null)
      yield* exceeds(store, { path: "contextQuery.filters", limit: 256, actual: 257 }, call)
    })
  ),
  onStore("6", "a query has up to 10,000 types, predicates and tags together", (store) =>
    Effect.gen(function* () {
      yield* store.append([
        event("Type 9999", { index: 9_999 }),
        event("Type 1", { index: 1 }),
        event("Other", null, ["tag 3"])
      ])
      const types = times(10_001, (index) => `Type ${index}`)
      const predicates = times(10_001, (index) => ({ index }))
      const tags = times(10_001, (index) => `tag ${index}`)
      const asks = (...filters: ReadonlyArray<EventFilter>) => store.query({ filters })
      const numbers = (...filters: ReadonlyArray<EventFilter>) =>
        Effect.map(asks(...filters), (result) => numbersOf(result.eventRecords))
      assert.deepStrictEqual(yield* numbers({ eventTypes: types.slice(0, 10_000) }), [1, 2])
      assert.deepStrictEqual(yield* numbers({ payloadPredicates: predicates.slice(0, 10_000) }), [1, 2])
      assert.deepStrictEqual(yield* numbers({ tags: tags.slice(0, 10_000) }), [])
      assert.deepStrictEqual(
        yield* numbers(
          { eventTypes: types.slice(0, 5_000), payloadPredicates: predicates.slice(0, 4_998), tags: [] },
          { tags: ["tag 3"], eventTypes: ["Other"] }
        ),
        [2, 3]
      )
      const exceeded = { path: "query.filters", limit: 10_000, actual: 10_001 }
      yield* exceeds(store, exceeded, asks({ eventTypes: types }))
      yield* exceeds(store, exceeded, asks({ payloadPredicates: predicates }))
      yield* exceeds(store, exceeded, asks({ tags }))
      yield* exceeds(
        store,
        exceeded,
        asks({ eventTypes: types.slice(0, 9_999) }, { tags: ["a"], payloadPredicates: [1] })
      )
    })
  )
]
