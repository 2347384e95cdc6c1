/** Which keys there are, and which events are the same content under a key (I1). */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { NewEvent } from "../../stores/Event.ts"
import * as Query from "../../stores/EventQuery.ts"
import { onStore } from "./ConformanceCase.ts"
import { event, exceeds, failsWith, hostile, logOf, numbersOf, range, refusesInput } from "./expectations.ts"
import { idA, idB, mismatches, order, repeats, sold, underKey } from "./repeatExpectation.ts"
import type { Call } from "./repeatExpectation.ts"

const [placed, second] = order as [NewEvent, NewEvent]

/** The same content in other words: see the contract's "Input" for what is normalised. */
const sameContent: ReadonlyArray<readonly [what: string, events: ReadonlyArray<NewEvent>]> = [
  ["a copy", structuredClone(order)],
  [
    "another order of keys",
    [
      { ...placed, payload: { note: null, lines: [{ count: 0, sku: "a" }], id: 7 } },
      { tags: second.tags, payload: second.payload, eventType: second.eventType } as NewEvent
    ]
  ],
  ["another order of metadata", [{ ...placed, metadata: { source: "web", actor: "ann" } }, second]],
  ["tags in another order and twice", [{ ...placed, tags: ["customer:7", "order:1", "customer:7"] }, second]],
  ["an id in upper case", [{ ...placed, eventId: idA.toUpperCase() }, second]],
  ["-0 for 0", [{ ...placed, payload: { id: 7, lines: [{ sku: "a", count: -0 }], note: null } }, second]],
  [
    "an undefined property",
    [{ ...placed, payload: { id: 7, lines: [{ sku: "a", count: 0 }], note: null, none: undefined } }, second]
  ],
  ["defaults written out", [placed, { ...second, schemaVersion: 1, metadata: {}, eventId: undefined }]]
]

const otherContent: ReadonlyArray<readonly [what: string, events: ReadonlyArray<NewEvent>]> = [
  ["another type", [{ ...placed, eventType: "placed" }, second]],
  [
    "another value in the payload",
    [{ ...placed, payload: { id: 8, lines: [{ sku: "a", count: 0 }], note: null } }, second]
  ],
  ["text for a number", [{ ...placed, payload: { id: "7", lines: [{ sku: "a", count: 0 }], note: null } }, second]],
  ["no null property", [{ ...placed, payload: { id: 7, lines: [{ sku: "a", count: 0 }] } }, second]],
  ["another order of an array", [placed, { ...second, payload: { buyer: "ann", seats: [2, 1] } }]],
  ["a tag more", [{ ...placed, tags: ["order:1", "customer:7", "vip"] }, second]],
  ["a tag less", [{ ...placed, tags: ["order:1"] }, second]],
  ["another schema version", [{ ...placed, schemaVersion: 3 }, second]],
  ["other metadata", [{ ...placed, metadata: { actor: "bob", source: "web" } }, second]],
  ["no metadata", [{ ...placed, metadata: {} }, second]],
  ["another id", [{ ...placed, eventId: idB }, second]],
  ["no id", [{ ...placed, eventId: undefined }, second]],
  ["an id where none was given", [placed, { ...second, eventId: idB }]],
  ["another order", [second, placed]],
  ["an event less", [placed]],
  ["an event more", [placed, second, second]]
]

const strangeKeys = [
  "a",
  "A",
  "a ",
  "caf\u00e9",
  "cafe\u0301",
  "\u{1F39F}",
  "__proto__",
  "constructor",
  "NULL",
  "%",
  "'; --",
  '{"a":1}',
  "7",
  "x".repeat(255),
  "\u00e9".repeat(127)
]

export const idempotentContent = [
  onStore("I1", "the content is compared after normalisation", (store) =>
    Effect.gen(function* () {
      const first = yield* store.append(order, underKey)
      for (const [what, events] of sameContent) yield* repeats(store, first, store.append(events, underKey), what)
    })
  ),
  onStore("I1", "a key that stands for other events is refused", (store) =>
    Effect.gen(function* () {
      const first = yield* store.append(order, underKey)
      for (const [what, events] of otherContent) yield* mismatches(store, store.append(events, underKey), what)
      yield* repeats(store, first, store.append(order, underKey))
    })
  ),
  onStore("I1", "appends without a key are never repetitions", (store) =>
    Effect.gen(function* () {
      yield* store.append(order.slice(1), underKey)
      yield* store.append(order.slice(1))
      yield* store.append(order.slice(1), {})
      yield* store.append(order.slice(1), { idempotencyKey: undefined })
      yield* store.appendIf(order.slice(1), Query.all, 4, { idempotencyKey: undefined })
      assert.deepStrictEqual(numbersOf(yield* logOf(store)), range(1, 5))
    })
  ),
  onStore("I1", "keys are compared by code point, and each gives its own result", (store) =>
    Effect.gen(function* () {
      const call = (idempotencyKey: string) => store.append([sold("ann")], { idempotencyKey })
      const firsts = yield* Effect.forEach(strangeKeys, call)
      assert.deepStrictEqual(
        firsts.map((result) => result.firstSequenceNumber),
        range(1, strangeKeys.length)
      )
      for (const [index, name] of strangeKeys.entries()) yield* repeats(store, firsts[index]!, call(name), name)
    })
  ),
  onStore("I1", "a key of 0 or 256 bytes, with NUL or a lone surrogate, or that is no string is refused", (store) =>
    Effect.gen(function* () {
      const path = "options.idempotencyKey"
      const calls = (given: unknown): ReadonlyArray<Call> => [
        store.append([sold("ann")], { idempotencyKey: hostile(given) }),
        store.appendIf([sold("ann")], Query.all, null, { idempotencyKey: hostile(given) })
      ]
      for (const given of ["", "a\0", "\ud800", "\udc00\ud800", null, 0, 7, true, {}, ["a"], Symbol("a"), () => "a"]) {
        for (const call of calls(given)) yield* refusesInput(store, path, call, String(given))
      }
      for (const given of ["x".repeat(256), "\u00e9".repeat(128)]) {
        for (const call of calls(given)) yield* exceeds(store, { path, limit: 255, actual: 256 }, call)
      }
    })
  ),
  onStore("A4", "a key is validated after the events and before the condition", (store) =>
    Effect.gen(function* () {
      const bad = { idempotencyKey: "" }
      yield* failsWith("EmptyAppend", store.append([], bad))
      yield* refusesInput(store, "events[0].eventType", store.append([event("")], bad))
      const repeatedId = [
        { ...event("A"), eventId: idA },
        { ...event("B"), eventId: idA }
      ]
      yield* refusesInput(store, "events[1].eventId", store.append(repeatedId, bad))
      const badQuery = store.appendIf([event("A")], hostile({ filters: "all" }), hostile("3"), bad)
      yield* refusesInput(store, "options.idempotencyKey", badQuery)
      yield* store.append([event("A")], underKey)
      const repetition = store.appendIf([event("A")], hostile({ filters: "all" }), null, underKey)
      yield* refusesInput(store, "contextQuery.filters", repetition)
    })
  ),
  onStore("I1", "several batches under one check take no key", (store) =>
    Effect.gen(function* () {
      const call = store.appendBatchesIf([[sold("ann")], [sold("bob")]], Query.all, null, hostile(underKey))
      yield* refusesInput(store, "options.idempotencyKey", call)
      const one = store.appendBatchesIf([[sold("ann")]], Query.all, null, hostile(underKey))
      yield* refusesInput(store, "options.idempotencyKey", one)
    })
  ),
  onStore(
    "I1",
    "changing the events after the call changes neither what is recorded nor what a repetition is",
    (store) =>
      Effect.gen(function* () {
        const payload = { buyer: "ann", seats: [1] }
        const events = [event("Sold", payload)]
        const call = store.append(events, underKey)
        const first = yield* call
        payload.seats.push(2)
        yield* mismatches(store, store.append(events, underKey))
        yield* repeats(store, first, store.append([event("Sold", { buyer: "ann", seats: [1] })], underKey))
      })
  )
]
