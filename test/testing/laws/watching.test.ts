/** What is noticed of a function that looks at the clock or at randomness, and that nothing stays changed. */
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import { watching } from "../../../src/testing/laws/watching.ts"

const usedBy = (run: () => unknown) => watching(run).used

const globals = () => [
  Object.getOwnPropertyDescriptor(globalThis, "Date"),
  Object.getOwnPropertyDescriptor(Math, "random"),
  Object.getOwnPropertyDescriptor(performance, "now"),
  Object.getOwnPropertyDescriptor(crypto, "randomUUID"),
  Object.getOwnPropertyDescriptor(crypto, "getRandomValues"),
  Object.getOwnPropertyDescriptor(process, "hrtime")
]

describe("a function that is watched", () => {
  it("is caught with every source of time and chance, by name, and gets what it asked for", () => {
    expect(usedBy(() => Date.now())).toEqual(["Date.now"])
    expect(usedBy(() => new Date())).toEqual(["new Date()"])
    expect(usedBy(() => Date())).toEqual(["Date()"])
    expect(usedBy(() => Math.random())).toEqual(["Math.random"])
    expect(usedBy(() => performance.now())).toEqual(["performance.now"])
    expect(usedBy(() => crypto.randomUUID())).toEqual(["crypto.randomUUID"])
    expect(usedBy(() => crypto.getRandomValues(new Uint8Array(1)))).toEqual(["crypto.getRandomValues"])
    expect(usedBy(() => process.hrtime())).toEqual(["process.hrtime"])
    expect(usedBy(() => process.hrtime.bigint())).toEqual(["process.hrtime.bigint"])
    const { result } = watching(() => [Date.now(), crypto.randomUUID(), Math.random()])
    expect(result).toMatchObject({
      success: [expect.any(Number), expect.stringMatching(/^[0-9a-f-]{36}$/), expect.any(Number)]
    })
  })

  it("may make dates out of what it was given, and decode", () => {
    const decode = Schema.decodeUnknownSync(Schema.Struct({ at: Schema.DateFromString, n: Schema.Int }))
    const { result, used } = watching(() => [
      new Date("2030-01-01T00:00:00Z") instanceof Date,
      new Date(0).getTime(),
      Date.UTC(2030, 0),
      decode({ at: "2030-01-01T00:00:00Z", n: 1 }).n,
      Math.max(1, 2)
    ])
    expect(used).toEqual([])
    expect(result).toMatchObject({ success: [true, 0, 1893456000000, 1, 2] })
  })

  it("leaves everything as it was, also when it throws", () => {
    const before = globals()
    const boom = new Error("boom")
    const { result, used } = watching(() => {
      Math.random()
      throw boom
    })
    expect(result).toMatchObject({ failure: boom })
    expect(used).toEqual(["Math.random"])
    expect(globals()).toEqual(before)
  })
})
