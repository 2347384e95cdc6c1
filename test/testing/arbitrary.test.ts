/** Arbitraries from Schemas: what they generate fits, meets again, and shrinks as fast-check's own values do. */
import { readdirSync, readFileSync } from "node:fs"
import * as path from "node:path"
import * as Schema from "effect/Schema"
import { EventCatalog } from "evolvent"
import { Arbitrary } from "evolvent/testing"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"

class Address extends Schema.Class<Address>("Address")({ street: Schema.String, number: Schema.Int }) {}

interface Tree {
  readonly value: number
  readonly children: ReadonlyArray<Tree>
}
const Tree = Schema.Struct({
  value: Schema.Int,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

const schemas: Readonly<Record<string, Schema.Constraint>> = {
  text: Schema.String,
  "a branded id": Schema.NonEmptyString.pipe(Schema.brand("Id")),
  "a text of some length": Schema.String.check(Schema.isMinLength(3), Schema.isMaxLength(5)),
  "a text of a pattern": Schema.String.check(Schema.isPattern(/^[A-Z]{2}-\d{3}$/)),
  "a number": Schema.Finite,
  "a number between": Schema.Int.check(Schema.isBetween({ minimum: 10, maximum: 12 })),
  "a far number": Schema.Int.check(Schema.isGreaterThan(1_000_000)),
  "a number of a kind": Schema.Int.check(Schema.isMultipleOf(7)),
  literals: Schema.Literals(["a", 1, true]),
  "a union": Schema.Union([Schema.Struct({ kind: Schema.Literal("a") }), Schema.Null]),
  "optional fields": Schema.Struct({ a: Schema.optionalKey(Schema.Int), b: Schema.optional(Schema.String) }),
  "a checked struct": Schema.Struct({ from: Schema.Int, to: Schema.Int }).check(
    Schema.makeFilter(({ from, to }) => from < to)
  ),
  "an array": Schema.Array(Schema.Boolean),
  "an array of some length": Schema.Array(Schema.Int).check(Schema.isMinLength(2), Schema.isMaxLength(3)),
  "an array of different ones": Schema.Array(Schema.Literals(["a", "b", "c"])).check(Schema.isUnique()),
  "a tuple": Schema.Tuple([Schema.Int, Schema.String]),
  "a tuple with a rest": Schema.TupleWithRest(Schema.Tuple([Schema.Int]), [Schema.String]),
  "a record": Schema.Record(Schema.String, Schema.Int),
  "a template": Schema.TemplateLiteral(["id-", Schema.Int]),
  "a class": Address,
  "an option": Schema.Option(Schema.Int),
  "a date": Schema.DateFromString,
  "a big integer": Schema.BigInt,
  "a tree": Tree
}

describe("the arbitrary of a schema", () => {
  it.each(Object.entries(schemas))("generates what fits: %s", (_name, schema) => {
    const fits = Schema.is(Schema.toType(schema as Schema.Top))
    for (const values of ["few", "many"] as const) {
      const sample = fc.sample(Arbitrary.of(schema, { values }), { numRuns: 200, seed: 1 })
      expect(sample.filter((value) => !fits(value))).toEqual([])
    }
  })

  it.each(Object.entries(schemas))(
    "generates more than one value, and few ones again and again: %s",
    (_name, schema) => {
      const texts = fc.sample(Arbitrary.of(schema), { numRuns: 200, seed: 1 }).map((value) => fc.stringify(value))
      const distinct = new Set(texts).size
      expect(distinct).toBeGreaterThan(1)
      expect(distinct).toBeLessThan(120)
    }
  )

  it("shrinks every part of a value to the simplest that still fails", () => {
    const schema = Schema.Struct({
      id: Schema.NonEmptyString,
      amount: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 })),
      lines: Schema.Array(Schema.Struct({ sku: Schema.String, gift: Schema.Boolean })),
      address: Address
    })
    const fails = fc.property(
      Arbitrary.of(schema),
      ({ amount, lines }) => amount < 3 || lines.every(({ gift }) => !gift)
    )
    const { counterexample } = fc.check(fails, { seed: 1, numRuns: 1000 })
    expect(counterexample).toEqual([
      { id: "a", amount: 3, lines: [{ sku: "a", gift: true }], address: new Address({ street: "a", number: 0 }) }
    ])
  })

  it("generates text and numbers from all over with many values, none that a store would refuse", () => {
    const schema = Schema.Struct({ text: Schema.String, number: Schema.Finite })
    const sample = fc.sample(Arbitrary.of(schema, { values: "many" }), { numRuns: 500, seed: 1 })
    expect(new Set(sample.map(({ text }) => text)).size).toBeGreaterThan(300)
    expect(sample.some(({ number }) => Math.abs(number) > 1e9)).toBe(true)
    expect(sample.filter(({ text }) => !text.isWellFormed() || text.includes("\0"))).toEqual([])
  })

  it("is refused for what cannot be derived, with what to do", () => {
    const opaque = Schema.declare((it): it is RegExpMatchArray => Array.isArray(it))
    expect(() => Arbitrary.of(opaque)).toThrow("Pass a fast-check arbitrary instead of the schema.")
  })

  it("may be one's own", () => {
    const own = fc.constant("own")
    expect(Arbitrary.from(own)).toBe(own)
    expect(fc.sample(Arbitrary.from(Schema.Literal("schema")), 1)).toEqual(["schema"])
  })
})

describe("the arbitrary of events", () => {
  const Events = EventCatalog.make({
    Opened: Schema.Struct({ id: Schema.String }),
    Closed: Schema.Struct({ id: Schema.String, at: Schema.DateFromString })
  })

  it("generates events of all types that encode, or of those that are asked for", () => {
    const all = fc.sample(Arbitrary.events(Events), { numRuns: 100, seed: 1 })
    expect(new Set(all.map(({ eventType }) => eventType))).toEqual(new Set(["Opened", "Closed"]))
    expect(all.map(Events.encode).filter((it) => it._tag === "Failure")).toEqual([])
    const closed = fc.sample(Arbitrary.events(Events, { types: ["Closed"] }), { numRuns: 20, seed: 1 })
    expect(new Set(closed.map(({ eventType }) => eventType))).toEqual(new Set(["Closed"]))
  })
})

describe("the bridge to Effect's generator, which is unstable", () => {
  it("is one file", () => {
    const src = path.resolve(import.meta.dirname, "../../src")
    const using = readdirSync(src, { recursive: true, encoding: "utf8" })
      .filter(
        (name) => name.endsWith(".ts") && readFileSync(path.join(src, name), "utf8").includes('"effect/Arbitrary"')
      )
      .map((name) => name.replaceAll(path.sep, "/"))
    expect(using).toEqual(["testing/arbitrary/nativeBridge.ts"])
  })
})
