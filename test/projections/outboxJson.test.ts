import * as Result from "effect/Result"
import { describe, expect, it } from "vitest"
import { toJson } from "../../src/projections/internal/outboxJson.ts"

class Instance {
  readonly a = 1
}

const nested = (levels: number): unknown => (levels === 1 ? {} : { d: nested(levels - 1) })

const cycle = (): unknown => {
  const circle: Record<string, unknown> = {}
  circle.in = [circle]
  return circle
}

describe("a reaction as JSON", () => {
  it("comes back as it was", () => {
    const reactions = [
      null,
      true,
      0.1,
      "a\0\ud800",
      [],
      [1, [null]],
      { a: { "": 1, "b c": [] } },
      JSON.parse('{"__proto__":{"a":1}}') as unknown,
      nested(128)
    ]
    for (const reaction of reactions) {
      expect(JSON.parse(Result.getOrThrow(toJson(reaction, "it")))).toEqual(reaction)
    }
    expect(toJson({ a: undefined, b: 1 }, "it")).toEqual(Result.succeed('{"b":1}'))
    expect(toJson(Object.create(null), "it")).toEqual(Result.succeed("{}"))
  })

  const hole = [0, 1]
  delete hole[0]
  const strangers: ReadonlyArray<readonly [string, unknown, string]> = [
    ["undefined", undefined, "it"],
    ["a number that is none", { a: NaN }, "it.a"],
    ["infinity", [Infinity], "it[0]"],
    ["a BigInt", 1n, "it"],
    ["a Date", { at: new Date(0) }, "it.at"],
    ["a Map", [[new Map()]], "it[0][0]"],
    ["an instance", { "not a name": new Instance() }, "it[...]"],
    ["a function", { toJSON: () => 1 }, "it.toJSON"],
    ["a symbol", { [Symbol("s")]: 1 }, "it"],
    ["a hole", hole, "it[0]"],
    ["undefined in an array", [1, undefined], "it[1]"],
    [
      "what throws when it is read",
      {
        get a() {
          throw new Error("secret")
        }
      },
      "it"
    ],
    ["129 levels", nested(129), `it${".d".repeat(128)}`],
    ["a cycle", cycle(), `it${".in[0]".repeat(64)}`]
  ]
  it.each(strangers)("is not %s", (_, reaction, path) => {
    expect(toJson(reaction, "it")).toEqual(Result.fail({ path }))
  })
})
