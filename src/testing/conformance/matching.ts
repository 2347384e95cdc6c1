/** Which events a query matches: filters, types and tags, and text (the contract's "Matching", rules 1 to 3 and 7). */
import * as Effect from "effect/Effect"
import * as Query from "../../stores/EventQuery.ts"
import { onStore } from "./ConformanceCase.ts"
import { event, times } from "./expectations.ts"
import { candidates, streams } from "./matchExpectation.ts"

const shop = [
  event("Sold", { buyer: "ann", seat: 1 }, ["sale:1", "buyer:ann"]),
  event("Sold", { buyer: "bob", seat: 2 }, ["sale:1", "buyer:bob"]),
  event("Paid", { buyer: "ann" }, ["buyer:ann"]),
  event("Closed", null, ["sale:1"]),
  event("Closed", { buyer: "ann" })
]

/** Texts that databases, patterns and collations like to take for something else or for each other. */
export const oddTexts: ReadonlyArray<string> = [
  "Sold",
  "sold",
  "SOLD",
  "Sold ",
  " Sold",
  "Sold\t",
  "caf\u00e9",
  "cafe\u0301",
  "cafe",
  "%",
  "_",
  "S_ld",
  "S%",
  "*",
  "NULL",
  "null",
  "true",
  "0",
  "00",
  "1e0",
  "{a,b}",
  "{}",
  "[]",
  "a,b",
  "'",
  '"',
  "''",
  "\\",
  "\\'",
  "'; DROP TABLE events; --",
  "$1",
  "?1",
  ":name",
  "$.a",
  "__proto__",
  "constructor",
  "toString",
  "\u{1F39F}",
  "\u{1F39F}\u{1F3FF}",
  "\uFF21",
  "\u00df",
  "ss",
  "\u0130",
  "i\u0307",
  "\u200b",
  "\n",
  "\u0001",
  "\ufffd",
  "\uffff"
]

export const matching = [
  onStore("3.1", "no filters and an empty list of filters match everything", (store) =>
    Effect.gen(function* () {
      const matchesAt = yield* candidates(store, shop)
      for (const query of [{}, { filters: undefined }, { filters: [] }, { filters: [{}] }]) {
        yield* matchesAt(query, [0, 1, 2, 3, 4])
      }
    })
  ),
  onStore("3.1", "filters are alternatives: matching any of them is enough", (store) =>
    Effect.gen(function* () {
      const matchesAt = yield* candidates(store, shop)
      yield* matchesAt(Query.make({ eventTypes: ["Paid"] }, { payloadPredicates: [{ seat: 2 }] }), [1, 2])
      yield* matchesAt(Query.make({ eventTypes: ["Paid"] }, { tags: ["sale:1"] }), [0, 1, 2, 3])
      yield* matchesAt(Query.make({ eventTypes: ["Opened"] }, { eventTypes: [] }, { tags: ["buyer:bob"] }), [1])
      yield* matchesAt(Query.make({ eventTypes: ["Opened"] }, { tags: ["buyer:eve"] }), [])
    })
  ),
  onStore("3.2", "event types inside one filter are alternatives", (store) =>
    Effect.gen(function* () {
      const matchesAt = yield* candidates(store, shop)
      yield* matchesAt(Query.ofTypes("Sold", "Closed"), [0, 1, 3, 4])
      yield* matchesAt(Query.ofTypes("Closed", "Sold", "Closed", "Opened"), [0, 1, 3, 4])
      yield* matchesAt(Query.ofTypes("Paid"), [2])
      yield* matchesAt(Query.ofTypes("Opened"), [])
    })
  ),
  onStore("3.2", "payload predicates inside one filter are alternatives", (store) =>
    Effect.gen(function* () {
      const matchesAt = yield* candidates(store, shop)
      yield* matchesAt(Query.withPayload({ buyer: "bob" }, { seat: 1 }), [0, 1])
      yield* matchesAt(Query.withPayload({ buyer: "bob" }, null, { buyer: "eve" }), [1, 3])
    })
  ),
  onStore("3.2", "tags inside one filter must all be there", (store) =>
    Effect.gen(function* () {
      const matchesAt = yield* candidates(store, shop)
      yield* matchesAt(Query.withTags("sale:1"), [0, 1, 3])
      yield* matchesAt(Query.withTags("buyer:ann", "sale:1", "sale:1"), [0])
      yield* matchesAt(Query.withTags("buyer:ann", "buyer:bob"), [])
    })
  ),
  onStore("3.2", "type, payload and tags inside one filter must hold together", (store) =>
    Effect.gen(function* () {
      const matchesAt = yield* candidates(store, shop)
      const buyerIsAnn = { payloadPredicates: [{ buyer: "ann" }] }
      yield* matchesAt(Query.make({ eventTypes: ["Sold"], ...buyerIsAnn }), [0])
      yield* matchesAt(Query.make({ eventTypes: ["Sold", "Closed"], ...buyerIsAnn }), [0, 4])
      yield* matchesAt(Query.make({ tags: ["buyer:ann"], ...buyerIsAnn }), [0, 2])
      yield* matchesAt(Query.make({ eventTypes: ["Paid"], tags: ["buyer:ann"], ...buyerIsAnn }), [2])
      yield* matchesAt(Query.make({ eventTypes: ["Paid"], tags: ["sale:1"], ...buyerIsAnn }), [])
      yield* matchesAt(Query.make({ eventTypes: ["Sold"], payloadPredicates: [{ seat: 1, buyer: "bob" }] }), [])
    })
  ),
  onStore("3.3", "no event types and no payload predicates match nothing", (store) =>
    Effect.gen(function* () {
      const matchesAt = yield* candidates(store, shop)
      yield* matchesAt(Query.make({ eventTypes: [] }), [])
      yield* matchesAt(Query.make({ payloadPredicates: [] }), [])
      yield* matchesAt(Query.make({ eventTypes: [], payloadPredicates: [{}], tags: ["sale:1"] }), [])
      yield* matchesAt(Query.make({ eventTypes: ["Sold"], payloadPredicates: [] }), [])
      yield* matchesAt(Query.make({ eventTypes: [] }, { eventTypes: ["Paid"] }), [2])
      yield* streams(store, Query.make({ eventTypes: [] }), shop, [])
    })
  ),
  onStore("3.3", "no tags and constraints that are left out do not constrain", (store) =>
    Effect.gen(function* () {
      const matchesAt = yield* candidates(store, shop)
      yield* matchesAt(Query.make({ tags: [] }), [0, 1, 2, 3, 4])
      yield* matchesAt(Query.make({ eventTypes: ["Paid"], tags: [] }), [2])
      yield* matchesAt(Query.make({ eventTypes: ["Paid"], payloadPredicates: undefined, tags: undefined }), [2])
    })
  ),
  onStore("3.2", "a stream delivers by the same rules as a query reads", (store) =>
    Effect.gen(function* () {
      yield* streams(store, Query.ofTypes("Sold", "Closed"), shop, [0, 1, 3, 4])
      yield* streams(store, Query.withPayload({ buyer: "bob" }, null), shop, [1, 3])
      yield* streams(store, Query.withTags("sale:1", "buyer:ann"), shop, [0])
      yield* streams(store, Query.make({ eventTypes: ["Sold"], payloadPredicates: [{ buyer: "ann" }] }), shop, [0])
    })
  ),
  onStore("3.7", "event types are compared by code point, exactly", (store) =>
    Effect.gen(function* () {
      const matchesAt = yield* candidates(
        store,
        oddTexts.map((text) => event(text))
      )
      for (const [index, text] of oddTexts.entries()) yield* matchesAt(Query.ofTypes(text), [index])
      yield* matchesAt(
        Query.ofTypes(...oddTexts),
        times(oddTexts.length, (index) => index)
      )
    })
  ),
  onStore("3.7", "tags are compared by code point, exactly", (store) =>
    Effect.gen(function* () {
      const matchesAt = yield* candidates(
        store,
        oddTexts.map((text) => event("Tagged", null, [text, "tag"]))
      )
      for (const [index, text] of oddTexts.entries()) yield* matchesAt(Query.withTags("tag", text), [index])
    })
  ),
  onStore("3.7", "text in payloads is compared by code point, exactly", (store) =>
    Effect.gen(function* () {
      const matchesAt = yield* candidates(
        store,
        oddTexts.map((text) => event("Said", { text }))
      )
      for (const [index, text] of oddTexts.entries()) yield* matchesAt(Query.withPayload({ text }), [index])
    })
  ),
  onStore("3.7", "keys of payloads are compared by code point, exactly", (store) =>
    Effect.gen(function* () {
      const withKey = (key: string) => Object.fromEntries([[key, true]])
      const matchesAt = yield* candidates(
        store,
        oddTexts.map((text) => event("Said", withKey(text)))
      )
      for (const [index, text] of oddTexts.entries()) yield* matchesAt(Query.withPayload(withKey(text)), [index])
    })
  )
]
