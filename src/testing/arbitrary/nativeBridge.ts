/**
 * The bridge to Effect's own generator of values, which is unstable: nothing else imports `effect/Arbitrary`. For schemas that
 * have no counterpart in fast-check; what comes from here shrinks to earlier samples or to smaller sizes only.
 */
import * as Native from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as fc from "fast-check"
import { printLine } from "../spec/printValue.ts"

/** A few distinct values, the same ones each time: what is generated twice can be equal. */
export const few = (ast: SchemaAST.AST, count: number): fc.Arbitrary<unknown> => {
  const sample = sampler(ast)
  const values = new Map<string, unknown>()
  for (let seed = 1; seed <= 8 * count && values.size < count; seed++) {
    const value = sample(seed, 3)
    if (!values.has(printLine(value))) values.set(printLine(value), value)
  }
  return fc.constantFrom(...values.values())
}

/** Any value; shrinks by its size. */
export const any = (ast: SchemaAST.AST): fc.Arbitrary<unknown> => {
  const sample = sampler(ast)
  return fc.tuple(fc.nat({ max: 8 }), fc.nat()).map(([size, seed]) => sample(seed, size))
}

const sampler = (ast: SchemaAST.AST): ((seed: number, size: number) => unknown) => {
  const arbitrary = Result.getOrThrowWith(
    Result.try(() => Native.schema(Schema.make<Schema.Top>(ast))),
    (cause) => new Error(`no values can be derived from the schema: ${String(cause)}. ${passYourOwn}`, { cause })
  )
  return (seed, size) => {
    const sampled = Effect.runSync(Effect.result(Native.sampleEffect(arbitrary, { count: 1, seed, size })))
    if (Result.isSuccess(sampled)) return sampled.success[0]
    throw new Error(`the checks of the schema let no generated value pass. ${passYourOwn}`)
  }
}

const passYourOwn = "Pass a fast-check arbitrary instead of the schema."
