/** Payload predicates: recursive subset, types and numbers (the contract's "Matching", rules 4 to 6). */
import * as Effect from "effect/Effect"
import type { JsonValue } from "../../stores/Event.ts"
import * as Query from "../../stores/EventQuery.ts"
import type { ConformanceCase } from "./ConformanceCase.ts"
import { onStore } from "./ConformanceCase.ts"
import { event } from "./expectations.ts"
import { candidates, streams } from "./matchExpectation.ts"

type Expected = readonly [predicate: JsonValue, indexes: ReadonlyArray<number>]

/** A case over some payloads: each predicate matches exactly those at the indexes. */
const onPayloads = (
  rule: string,
  name: string,
  payloads: ReadonlyArray<unknown>,
  expected: ReadonlyArray<Expected>
): ConformanceCase =>
  onStore(rule, name, (store) =>
    Effect.gen(function* () {
      const events = payloads.map((payload) => event("Noted", payload))
      const matchesAt = yield* candidates(store, events)
      for (const [predicate, indexes] of expected) yield* matchesAt(Query.withPayload(predicate), indexes)
      for (const [predicate, indexes] of expected) yield* streams(store, Query.withPayload(predicate), events, indexes)
    })
  )

const parse = (json: string): JsonValue => JSON.parse(json) as JsonValue

export const payloadPredicates = [
  onPayloads(
    "3.4",
    "an object predicate matches objects that have its keys with matching values, extra keys allowed",
    [{ buyer: "ann", seat: 1 }, { buyer: "ann" }, { seat: 1 }, { buyer: "bob", seat: 1 }, { order: { buyer: "ann" } }],
    [
      [{ buyer: "ann" }, [0, 1]],
      [{ seat: 1, buyer: "ann" }, [0]],
      [{ seat: 1 }, [0, 2, 3]],
      [{ buyer: "eve" }, []],
      [{ buyer: "ann", row: null }, []]
    ]
  ),
  onPayloads(
    "3.4",
    "nested objects match by the same rule at every depth",
    [
      { order: { buyer: { name: "ann", city: "Ulm" }, seats: 2 } },
      { order: { buyer: { name: "ann" } } },
      { order: { buyer: "ann" } },
      { buyer: { name: "ann", city: "Ulm" } }
    ],
    [
      [{ order: { buyer: { name: "ann" } } }, [0, 1]],
      [{ order: { buyer: { city: "Ulm" } } }, [0]],
      [{ order: { seats: 2, buyer: { city: "Ulm" } } }, [0]],
      [{ order: { buyer: {} } }, [0, 1]],
      [{ order: {} }, [0, 1, 2]],
      [{ buyer: { name: "ann" } }, [3]]
    ]
  ),
  onPayloads(
    "3.4",
    "a predicate's key must be in one object, not anywhere in the payload",
    [{ a: { x: 1 }, b: { y: 2 } }, { a: { x: 1, y: 2 } }, [{ x: 1 }, { y: 2 }], [{ x: 1, y: 2 }]],
    [
      [{ a: { x: 1, y: 2 } }, [1]],
      [[{ x: 1, y: 2 }], [3]],
      [
        [{ x: 1 }, { y: 2 }],
        [2, 3]
      ]
    ]
  ),
  onPayloads(
    "3.4",
    "an array predicate of scalars matches arrays that contain each of them, in any order",
    [
      { seats: [1, 2, 3] },
      { seats: [3, 1] },
      { seats: [2] },
      { seats: [] },
      { seats: ["1", "3"] },
      { seats: [[1, 3]] }
    ],
    [
      [{ seats: [1] }, [0, 1]],
      [{ seats: [3, 1] }, [0, 1]],
      [{ seats: [1, 3] }, [0, 1]],
      [{ seats: [2, 3, 1] }, [0]],
      [{ seats: ["1"] }, [4]],
      [{ seats: [[3]] }, [5]],
      [{ seats: [4] }, []]
    ]
  ),
  onPayloads(
    "3.4",
    "an array predicate of objects matches arrays that contain each of them by subset",
    [
      {
        lines: [
          { item: "tea", count: 1 },
          { item: "jam", count: 2 }
        ]
      },
      { lines: [{ item: "jam", count: 1 }] },
      { lines: [{ item: "tea" }, "tea", 1] },
      { lines: { item: "tea" } }
    ],
    [
      [{ lines: [{ item: "tea" }] }, [0, 2]],
      [{ lines: [{ item: "jam" }, { item: "tea" }] }, [0]],
      [{ lines: [{ item: "jam", count: 1 }] }, [1]],
      [{ lines: ["tea", { item: "tea" }] }, [2]],
      [{ lines: [{}] }, [0, 1, 2]]
    ]
  ),
  onPayloads(
    "3.4",
    "an array predicate's element may be found at any place of the array",
    [{ lines: [{ id: 1 }, { id: 2 }, { id: 3 }] }, { lines: [{ id: 1 }] }, { lines: [null, [], {}, { id: 3 }] }],
    [
      [{ lines: [{ id: 3 }] }, [0, 2]],
      [{ lines: [{ id: 2 }] }, [0]],
      [{ lines: [{ id: 3 }, null] }, [2]]
    ]
  ),
  onPayloads(
    "3.4",
    "two elements of an array predicate may match the same element",
    [{ lines: [{ item: "tea", count: 1 }] }, { lines: [{ item: "tea" }] }, { lines: [1] }],
    [
      [{ lines: [{ item: "tea" }, { count: 1 }] }, [0]],
      [{ lines: [1, 1, 1] }, [2]],
      [{ lines: [{ item: "tea" }, { item: "tea" }, {}] }, [0, 1]]
    ]
  ),
  onPayloads(
    "3.4",
    "payloads that are arrays or scalars match like any other value",
    [[1, 2], [2], "2", 2, "null", null, false, 0, "", [[]], [null]],
    [
      [[2], [0, 1]],
      [2, [3]],
      ["2", [2]],
      ["null", [4]],
      [null, [5]],
      [false, [6]],
      [0, [7]],
      ["", [8]],
      [[[]], [9]],
      [[null], [10]]
    ]
  ),
  onPayloads(
    "3.5",
    "scalars of different types never match each other",
    [{ v: 1 }, { v: "1" }, { v: true }, { v: 0 }, { v: false }, { v: "" }, { v: null }, { v: "null" }, { v: "true" }],
    [
      [{ v: 1 }, [0]],
      [{ v: "1" }, [1]],
      [{ v: true }, [2]],
      [{ v: 0 }, [3]],
      [{ v: false }, [4]],
      [{ v: "" }, [5]],
      [{ v: null }, [6]],
      [{ v: "null" }, [7]],
      [{ v: "true" }, [8]]
    ]
  ),
  onPayloads(
    "3.5",
    "numbers are compared as JavaScript numbers",
    [1, -0, 0.1 + 0.2, 0.3, 2 ** 53, 2 ** 53 + 2, 1e21, 5e-324, 1.7976931348623157e308, -1, 100, 1e-7].map((v) => ({
      v
    })),
    [
      [{ v: parse("1.0") }, [0]],
      [{ v: parse("1e0") }, [0]],
      [{ v: 0 }, [1]],
      [{ v: -0 }, [1]],
      [{ v: 0.1 + 0.2 }, [2]],
      [{ v: 0.3 }, [3]],
      [{ v: 2 ** 53 }, [4]],
      [{ v: 2 ** 53 + 2 }, [5]],
      [{ v: 1e21 }, [6]],
      [{ v: parse("1000000000000000000000") }, [6]],
      [{ v: 5e-324 }, [7]],
      [{ v: 1.7976931348623157e308 }, [8]],
      [{ v: parse("1e2") }, [10]],
      [{ v: 0.0000001 }, [11]]
    ]
  ),
  onPayloads(
    "3.5",
    "a key that is null is not a key that is missing",
    [{}, { a: null }, { a: undefined }, { b: 1 }, { a: { b: null } }],
    [
      [{ a: null }, [1]],
      [{ a: { b: null } }, [4]],
      [{}, [0, 1, 2, 3, 4]]
    ]
  ),
  onPayloads(
    "3.6",
    "a scalar predicate never matches an array or an object",
    [1, [1], { v: [1] }, { v: 1 }, [[1]], ["a"], "a", { a: "a" }],
    [
      [1, [0]],
      ["a", [6]],
      [{ v: 1 }, [3]],
      [[1], [1]],
      [{ v: [1] }, [2]]
    ]
  ),
  onPayloads(
    "3.6",
    "an empty object matches every object and nothing else, an empty array every array and nothing else",
    [{}, { a: 1 }, [], [1], null, "", "{}", "[]", 0, false, [{}], { a: [] }],
    [
      [{}, [0, 1, 11]],
      [[], [2, 3, 10]],
      [[{}], [10]],
      [{ a: [] }, [11]],
      [{ a: {} }, []]
    ]
  ),
  onPayloads(
    "3.6",
    "objects and arrays are not taken for each other by their keys",
    [["x", "y"], { "0": "x", "1": "y" }, { length: 2 }],
    [
      [{ "0": "x" }, [1]],
      [["x"], [0]],
      [{ length: 2 }, [2]]
    ]
  ),
  onPayloads(
    "3.4",
    "only a predicate's own keys count, and inherited ones of a payload do not",
    [parse('{"__proto__":{"a":1}}'), { a: 1 }, {}, { constructor: { name: "Object" } }, { hasOwnProperty: 1 }],
    [
      [parse('{"__proto__":{"a":1}}'), [0]],
      [parse('{"__proto__":{}}'), [0]],
      [{ a: 1 }, [1]],
      [{ constructor: {} }, [3]],
      [{ constructor: { name: "Object" } }, [3]],
      [{ toString: {} as JsonValue }, []],
      [{ hasOwnProperty: 1 }, [4]]
    ]
  ),
  onPayloads(
    "3.4",
    "keys that look like paths are keys",
    [
      { "a.b": 1 },
      { a: { b: 1 } },
      { "$.a": 1 },
      { "a[0]": 1 },
      { a: [1] },
      { '"a"': 1 },
      { "": 1 },
      { "0": 1 },
      { $: 1 }
    ],
    [
      [{ "a.b": 1 }, [0]],
      [{ a: { b: 1 } }, [1]],
      [{ "$.a": 1 }, [2]],
      [{ "a[0]": 1 }, [3]],
      [{ a: [1] }, [4]],
      [{ '"a"': 1 }, [5]],
      [{ "": 1 }, [6]],
      [{ "0": 1 }, [7]],
      [{ $: 1 }, [8]]
    ]
  )
]
