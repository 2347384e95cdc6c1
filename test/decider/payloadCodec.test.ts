import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import * as fc from "fast-check"
import { afterEach, describe, expect, it, vi } from "vitest"
import type { PayloadSchema } from "../../src/decider/EventDefinition.ts"
import { payloadCodec } from "../../src/decider/internal/payloadCodec.ts"

/** Schemas, made anew by each call, as code is generated for a schema once and for all, and a payload that fits. */
const schemas: Readonly<Record<string, readonly [make: () => PayloadSchema, fitting: unknown]>> = {
  "of scalars": [
    () =>
      Schema.Struct({
        id: Schema.String,
        count: Schema.Int,
        price: Schema.Number,
        paid: Schema.Boolean,
        note: Schema.Null
      }),
    { id: "1", count: 1, price: 1.5, paid: true, note: null }
  ],
  "with checks": [
    () =>
      Schema.Struct({
        id: Schema.String.check(Schema.isMinLength(2)),
        count: Schema.Int.check(Schema.isGreaterThan(0))
      }),
    { id: "12", count: 1 }
  ],
  "with optional keys": [
    () =>
      Schema.Struct({
        id: Schema.optionalKey(Schema.String),
        count: Schema.optional(Schema.Int),
        toString: Schema.String
      }),
    { toString: "text" }
  ],
  "of arrays and records": [
    () => Schema.Struct({ id: Schema.Array(Schema.String), count: Schema.Record(Schema.String, Schema.Int) }),
    { id: ["1"], count: { a: 1 } }
  ],
  "of unions": [
    () =>
      Schema.Union([
        Schema.Struct({ kind: Schema.Literal("a"), id: Schema.String }),
        Schema.Struct({ kind: Schema.Literal("b"), count: Schema.NullOr(Schema.Int) })
      ]),
    { kind: "b", count: null }
  ],
  "with two sides": [
    () => Schema.Struct({ id: Schema.NumberFromString, count: Schema.DateFromString }),
    { id: "12", count: "2026-01-01T00:00:00.000Z" }
  ],
  "with branded values": [
    () => Schema.Struct({ id: Schema.String.pipe(Schema.brand("Id")), count: Schema.Int }),
    { id: "1", count: 1 }
  ],
  "of text that holds JSON": [() => Schema.fromJsonString(Schema.Struct({ id: Schema.String })), '{"id":"1"}']
}

/** Often what the schemas expect, often close to it. */
const payloads = fc.oneof(
  fc.record(
    {
      kind: fc.constantFrom("a", "b", "c"),
      id: fc.oneof(fc.string(), fc.constant("12"), fc.integer(), fc.array(fc.string())),
      count: fc.oneof(
        fc.integer(),
        fc.double(),
        fc.constant("2026-01-01T00:00:00.000Z"),
        fc.dictionary(fc.string(), fc.nat())
      ),
      price: fc.oneof(fc.double(), fc.string()),
      paid: fc.boolean(),
      note: fc.constant(null),
      toString: fc.string(),
      excess: fc.string()
    },
    { requiredKeys: [] }
  ),
  fc.json(),
  fc.jsonValue(),
  fc.constant(JSON.parse('{"__proto__":{"id":"1"},"id":"1"}'))
)

/** The value, or the kinds of what was wrong: issues hold the schemas, of which there are two. */
const outcome = (exit: Exit.Exit<unknown, SchemaIssue.Issue>): unknown =>
  Exit.isSuccess(exit)
    ? { value: exit.value }
    : { problems: exit.cause.reasons.map((reason) => (Cause.isFailReason(reason) ? String(reason.error) : "defect")) }

describe("the codec of payloads", () => {
  afterEach(() => vi.unstubAllGlobals())

  for (const [name, [make, fitting]] of Object.entries(schemas)) {
    it(`gives for a schema ${name} what Effect's interpreter gives`, () => {
      const [codec, schema] = [payloadCodec(make()), make()]
      const decode = SchemaParser.decodeUnknownExit(schema)
      const encode = SchemaParser.encodeUnknownExit(schema)
      const same = (payload: unknown) => {
        const decoded = codec.decode(payload)
        expect(outcome(decoded)).toEqual(outcome(decode(payload)))
        expect(outcome(codec.encode(payload))).toEqual(outcome(encode(payload)))
        if (Exit.isSuccess(decoded))
          expect(outcome(codec.encode(decoded.value))).toEqual(outcome(encode(decoded.value)))
        return Exit.isSuccess(decoded)
      }
      expect(same(fitting)).toBe(true)
      fc.assert(
        fc.property(payloads, (payload) => void same(payload)),
        { numRuns: 1_000 }
      )
    })
  }

  it("does without generated code where a runtime refuses it", () => {
    const refused = vi.fn(() => {
      throw new EvalError("Code generation from strings disallowed for this context")
    })
    vi.stubGlobal("Function", refused)
    const [make, payload] = schemas["of scalars"]!
    const codec = payloadCodec(make())
    expect(codec.decode(payload)).toEqual(Exit.succeed(payload))
    expect(codec.encode(payload)).toEqual(Exit.succeed(payload))
    expect(Exit.isFailure(codec.decode({ id: "1" }))).toBe(true)
    expect(refused).toHaveBeenCalled()
  })
})
