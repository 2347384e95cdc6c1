/**
 * Events that stores like to disagree on (rule 7), as tables: what is accepted comes back exactly, what is
 * refused is refused before anything is stored.
 */
import type { JsonValue } from "../../stores/Event.ts"

/** Input and what is recorded of it; `recorded` is left out where it is the input itself. */
export interface AcceptedPayload {
  readonly what: string
  readonly payload: unknown
  readonly recorded?: JsonValue
}

/** Input and where it is refused, below `payload`; no path where the input itself throws, since nobody can say where. */
export interface RefusedPayload {
  readonly what: string
  readonly payload: () => unknown
  readonly path: string | undefined
}

/** `levels` arrays or objects around a 1. */
export const nested = (levels: number, wrap: (inner: unknown) => unknown): unknown => {
  let value: unknown = 1
  for (let level = 0; level < levels; level++) value = wrap(value)
  return value
}

export const inArray = (inner: unknown): unknown => [inner]
export const inObject = (inner: unknown): unknown => ({ in: inner })

const parse = (json: string): JsonValue => JSON.parse(json) as JsonValue

export const acceptedPayloads: ReadonlyArray<AcceptedPayload> = [
  ...[null, false, true, 0, 1, -1, "", "text", [], {}, "null", "{}", "[]", "1", "undefined", '"quoted"'].map(
    (payload) => ({
      what: `top-level ${JSON.stringify(payload)}`,
      payload
    })
  ),
  { what: "a top-level array", payload: [1, "1", [2], { a: [3] }, null, false] },
  { what: "-0", payload: -0, recorded: 0 },
  { what: "-0 inside", payload: { zero: -0, list: [-0] }, recorded: { zero: 0, list: [0] } },
  ...[2 ** 53 + 2, -(2 ** 53 + 2), 2 ** 53 - 1, 1e21, 1e-7, 5e-324, -5e-324, 1.7976931348623157e308, 0.1 + 0.2].map(
    (number) => ({ what: `the number ${number}`, payload: { number, list: [number] } })
  ),
  { what: "numbers at the top level", payload: 1.7976931348623157e308 },
  { what: "an undefined property", payload: { gone: undefined, kept: null }, recorded: { kept: null } },
  { what: "undefined properties only", payload: { a: { gone: undefined } }, recorded: { a: {} } },
  { what: "the key __proto__", payload: parse('{"__proto__":{"admin":true},"kept":1}') },
  { what: "the key __proto__ with a scalar", payload: parse('{"a":[{"__proto__":null}]}') },
  {
    what: "odd keys",
    payload: { constructor: 1, "": 2, "a.b": 3, $: 4, '"': 5, "'": 6, "\\": 7, "10": 8, "2": 9, toJSON: 10, "\n": 11 }
  },
  { what: "an object without prototype", payload: Object.assign(Object.create(null), { a: 1 }), recorded: { a: 1 } },
  {
    what: "text beyond ASCII",
    payload: ["\u{1F39F}", "caf\u00e9", "cafe\u0301", "\uffff", "\u2028", "\ufeff", "\u0001", "\u007f"]
  },
  {
    what: "text that looks like markup of a database",
    payload: ["$1", "?", "'; --", "\\x00", "%s", "{a,b}", "\\u0000", "NaN"]
  },
  {
    what: "the same object at two places",
    payload: ((shared) => ({ a: shared, b: [shared] }))({ c: 1 }),
    recorded: { a: { c: 1 }, b: [{ c: 1 }] }
  },
  { what: "arrays 128 deep", payload: nested(128, inArray) },
  { what: "objects 128 deep", payload: nested(128, inObject) },
  {
    what: "a wide object",
    payload: Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`key ${index}`, index]))
  },
  { what: "a long array", payload: Array.from({ length: 2_000 }, (_, index) => index) }
]

class Money {
  readonly amount = 5
}

const cycle = (): unknown => {
  const circle: Record<string, unknown> = { a: {} }
  circle.back = circle
  return circle
}

const longCycle = (): unknown => {
  const list: Array<unknown> = [1]
  list.push({ deeper: [list] })
  return list
}

const hole = (): unknown => {
  const list = [1, 2, 3]
  delete list[1]
  return list
}

/** Values that are no JSON wherever they stand. */
const strangers: ReadonlyArray<readonly [what: string, make: () => unknown]> = [
  ["NaN", () => NaN],
  ["Infinity", () => Infinity],
  ["-Infinity", () => -Infinity],
  ["a BigInt", () => 1n],
  ["a Date", () => new Date(0)],
  ["a Map", () => new Map([["a", 1]])],
  ["a Set", () => new Set([1])],
  ["a WeakMap", () => new WeakMap()],
  ["a RegExp", () => /a/],
  ["an Error", () => new Error("no event")],
  ["a Buffer", () => Buffer.from("a")],
  ["a typed array", () => new Float64Array(1)],
  ["an ArrayBuffer", () => new ArrayBuffer(1)],
  ["a promise", () => Promise.resolve(1)],
  ["a boxed string", () => Object("a")],
  ["a boxed number", () => Object(1)],
  ["a boxed boolean", () => Object(true)],
  ["a boxed BigInt", () => Object(1n)],
  ["a boxed symbol", () => Object(Symbol("a"))],
  ["a function", () => () => 1],
  ["a class", () => Money],
  ["a symbol", () => Symbol("a")],
  ["an instance of a class", () => new Money()],
  ["an object that inherits", () => Object.create({ a: 1 })],
  ["an array of a subclass", () => new (class extends Array<number> {})(0)],
  ["text with NUL", () => "a\0b"],
  ["text with a lone high surrogate", () => "a\ud83c"],
  ["text with a lone low surrogate", () => "\udf9fa"],
  ["surrogates the wrong way round", () => "\udf9f\ud83c"]
]

export const refusedPayloads: ReadonlyArray<RefusedPayload> = [
  ...strangers.flatMap(([what, make]) => [
    { what, payload: make, path: "" },
    { what: `${what} in an object`, payload: () => ({ a: { b: make() } }), path: ".a.b" },
    { what: `${what} in an array`, payload: () => [0, [make()]], path: "[1][0]" }
  ]),
  { what: "undefined", payload: () => undefined, path: "" },
  { what: "undefined in an array", payload: () => [1, undefined], path: "[1]" },
  { what: "undefined in an array in an object", payload: () => ({ a: [undefined] }), path: ".a[0]" },
  { what: "a hole in an array", payload: hole, path: "[1]" },
  { what: "a hole at an array's end", payload: () => [1].concat(new Array(2)), path: "[1]" },
  { what: "an object with toJSON", payload: () => ({ toJSON: () => 1 }), path: ".toJSON" },
  { what: "an object with a symbol as a key", payload: () => ({ a: { [Symbol("key")]: 1 } }), path: ".a" },
  { what: "a key with NUL", payload: () => ({ "a\0b": 1 }), path: '["a\\u0000b"]' },
  { what: "a key with a lone surrogate", payload: () => ({ in: { "\ud83c": 1 } }), path: '.in["\\ud83c"]' },
  { what: "a cycle of objects", payload: cycle, path: ".back" },
  { what: "a cycle through arrays", payload: longCycle, path: "[1].deeper[0]" },
  { what: "a getter that throws", payload: throwing, path: undefined },
  { what: "a revoked proxy", payload: revoked, path: undefined }
]

function throwing(): unknown {
  return Object.defineProperty({ a: 1 }, "b", {
    enumerable: true,
    get: () => {
      throw new Error("from the getter")
    }
  })
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** Depths that are refused, and quickly: a recursion without end must not be how they are found out. */
export const refusedDepths = [129, 130, 5_000, 100_000] as const
