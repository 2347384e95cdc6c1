/** Every store gives the same answer to inputs that stores like to disagree on: queries, positions, options (rule 7). */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Query from "../../stores/EventQuery.ts"
import { onStore } from "./ConformanceCase.ts"
import { event, exceeds, failsWith, hostile, logOf, numbersOf, refusesInput } from "./expectations.ts"
import { inArray, nested, refusedDepths, refusedPayloads } from "./hostileEvents.ts"

const badPositions: ReadonlyArray<unknown> = [-1, 1.5, NaN, Infinity, -Infinity, "5", "", true, {}, [], 2 ** 53, 5n]

/** Queries that are refused, and where; `q` stands for the argument's name. */
const refusedQueries: ReadonlyArray<readonly [path: string, query: unknown]> = [
  ["q", null],
  ["q", "all"],
  ["q", 5],
  ["q", []],
  ["q.filter", { filter: [{ eventTypes: ["Sold"] }] }],
  ["q.filters", { filters: null }],
  ["q.filters", { filters: {} }],
  ["q.filters", { filters: "Sold" }],
  ["q.filters[0]", { filters: [null] }],
  ["q.filters[0]", { filters: ["Sold"] }],
  ["q.filters[0]", { filters: [[]] }],
  ["q.filters[0]", { filters: new Array(1) }],
  ["q.filters[1].eventType", { filters: [{}, { eventType: "Sold" }] }],
  ["q.filters[0].eventTypes", { filters: [{ eventTypes: "Sold" }] }],
  ["q.filters[0].eventTypes", { filters: [{ eventTypes: null }] }],
  ["q.filters[0].eventTypes[1]", { filters: [{ eventTypes: ["Sold", ""] }] }],
  ["q.filters[0].eventTypes[0]", { filters: [{ eventTypes: [5] }] }],
  ["q.filters[0].eventTypes[0]", { filters: [{ eventTypes: ["a\0b"] }] }],
  ["q.filters[0].eventTypes[0]", { filters: [{ eventTypes: ["\ud83c"] }] }],
  ["q.filters[0].tags", { filters: [{ tags: "sale:1" }] }],
  ["q.filters[0].tags", { filters: [{ tags: null }] }],
  ["q.filters[0].tags[0]", { filters: [{ tags: [""] }] }],
  ["q.filters[0].tags[0]", { filters: [{ tags: [null] }] }],
  ["q.filters[0].payloadPredicates", { filters: [{ payloadPredicates: { a: 1 } }] }],
  ["q.filters[0].payloadPredicates", { filters: [{ payloadPredicates: null }] }],
  ["q.filters[0].payloadPredicates[0]", { filters: [{ payloadPredicates: new Array(1) }] }]
]

export const hostileQueries = [
  onStore("7", "queries of the wrong shape are refused at their path, wherever a query is passed", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Sold")])
      for (const [at, query] of refusedQueries) {
        const path = (argument: string) => at.replace("q", argument)
        const given = hostile(query)
        yield* refusesInput(store, path("query"), store.query(given), at)
        yield* refusesInput(store, path("contextQuery"), store.appendIf([event("Sold")], given, 1), at)
        yield* refusesInput(store, path("contextQuery"), store.appendBatchesIf([[event("Sold")]], given, 1), at)
        yield* refusesInput(
          store,
          path("query"),
          store.streamTo(given, () => Effect.void),
          at
        )
      }
    })
  ),
  onStore("7", "predicates that are no JSON are refused at their path", (store) =>
    Effect.gen(function* () {
      for (const { what, payload, path } of refusedPayloads) {
        const query = () => Query.withPayload({ a: 1 }, hostile(payload()))
        const at = (root: string) => (path === undefined ? path : `${root}.filters[0].payloadPredicates[1]${path}`)
        yield* refusesInput(store, at("query"), store.query(query()), what)
        yield* refusesInput(store, at("contextQuery"), store.appendIf([event("Sold")], query(), null), what)
      }
    })
  ),
  onStore("7", "predicates that are too deep are refused quickly", (store) =>
    Effect.gen(function* () {
      const path = "query.filters[0].payloadPredicates[0]"
      for (const depth of refusedDepths) {
        const query = Query.withPayload(hostile(nested(depth, inArray)))
        yield* exceeds(store, { path, limit: 128 }, store.query(query), `depth ${depth}`)
      }
    })
  ),
  onStore("7", "an undefined property of a predicate is dropped and -0 is 0", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Sold", { seat: 0 }), event("Sold", { seat: 1 })])
      const numbersFor = (predicate: unknown) =>
        Effect.map(store.query(Query.withPayload(hostile(predicate))), (result) => numbersOf(result.eventRecords))
      assert.deepStrictEqual(yield* numbersFor({ seat: -0, buyer: undefined }), [1])
      assert.deepStrictEqual(yield* numbersFor({ buyer: undefined }), [1, 2])
    })
  ),
  onStore("7", "read cursors that are no position are refused, and 0 is the start", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Sold")])
      for (const minSequenceNumber of [...badPositions, null]) {
        const query = hostile({ minSequenceNumber })
        yield* refusesInput(store, "query.minSequenceNumber", store.query(query), String(minSequenceNumber))
        yield* refusesInput(
          store,
          "contextQuery.minSequenceNumber",
          store.appendIf([event("Sold")], query, 1),
          String(minSequenceNumber)
        )
      }
      for (const minSequenceNumber of [0, -0, undefined]) {
        assert.deepStrictEqual(numbersOf((yield* store.query({ minSequenceNumber })).eventRecords), [1])
      }
    })
  ),
  onStore("7", "expected versions that are no position are refused", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Sold")])
      for (const expected of [...badPositions, undefined, "3"]) {
        const call = store.appendIf([event("Sold")], Query.all, hostile(expected))
        yield* refusesInput(store, "expectedContextVersion", call, String(expected))
        const batches = store.appendBatchesIf([[event("Sold")]], Query.all, hostile(expected))
        yield* refusesInput(store, "expectedContextVersion", batches, String(expected))
      }
    })
  ),
  onStore("7", "a version one past the head is a conflict", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Sold")])
      const conflict = yield* failsWith("ConditionalAppendConflict", store.appendIf([event("Sold")], Query.all, 2))
      assert.deepStrictEqual([conflict.expected, conflict.actual, conflict.headSequenceNumber], [2, 1, 1])
      assert.equal((yield* logOf(store)).length, 1)
    })
  ),
  onStore("7", "known heads that are no position are refused", (store) =>
    Effect.gen(function* () {
      yield* store.append([event("Sold")])
      for (const headSequenceNumber of badPositions) {
        const call = store.appendIf([event("Sold")], Query.all, 1, hostile({ headSequenceNumber }))
        yield* refusesInput(store, "options.headSequenceNumber", call, String(headSequenceNumber))
      }
    })
  )
]
