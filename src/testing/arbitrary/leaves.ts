/**
 * Strings and numbers. Of the few values the simplest come first and most often, so that what is generated meets again, and
 * shrinks to what reads best.
 */
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as fc from "fast-check"

/** See `Arbitrary.Options`. */
export type Values = "few" | "many"

/** The bounds that the checks of a node state about themselves, the narrowest of each. */
export interface Constraint {
  readonly integer: boolean
  readonly finite: boolean
  readonly minimum: number
  readonly maximum: number
  readonly minLength?: number | undefined
  readonly maxLength?: number | undefined
  readonly minProperties?: number | undefined
  readonly maxProperties?: number | undefined
  readonly uniqueBy?: unknown
}

/** What is known about the values that pass the checks of a node. */
export const constraintOf = (ast: SchemaAST.AST): Constraint => {
  let all: Constraint = { integer: false, finite: false, minimum: -Infinity, maximum: Infinity }
  const visit = (check: SchemaAST.Check<any>): void => {
    const next = check.annotations?.arbitraryConstraint
    if (next !== undefined) {
      all = {
        integer: all.integer || next.number === "integer",
        finite: all.finite || next.number !== undefined,
        minimum: Math.max(all.minimum, typeof next.minimum === "number" ? next.minimum : -Infinity),
        maximum: Math.min(all.maximum, typeof next.maximum === "number" ? next.maximum : Infinity),
        minLength: most(all.minLength, next.minLength),
        maxLength: least(all.maxLength, next.maxLength),
        minProperties: most(all.minProperties, next.minProperties),
        maxProperties: least(all.maxProperties, next.maxProperties),
        uniqueBy: next.uniqueBy ?? all.uniqueBy
      }
    }
    if (check._tag === "FilterGroup") check.checks.forEach(visit)
  }
  ast.checks?.forEach(visit)
  return all
}

const most = (a: number | undefined, b: number | undefined) =>
  a === undefined || b === undefined ? (a ?? b) : Math.max(a, b)

const least = (a: number | undefined, b: number | undefined) =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)

/** One of these; those that are there several times are more frequent. Shrinks step by step towards the first. */
export const oneOf = <A>(values: ReadonlyArray<A>): fc.Arbitrary<A> =>
  fc.nat({ max: values.length - 1 }).map(
    (index) => values[index]!,
    (value) => {
      const index = values.indexOf(value as A)
      return index < 0 ? values.length : index
    }
  )

/** Few: `a`, `b` and `c`, as long as they have to be. Many: printable text. `undefined` where the checks want others. */
export const strings = (ast: SchemaAST.String, values: Values): fc.Arbitrary<string> | undefined => {
  const { maxLength, minLength = 0 } = constraintOf(ast)
  if (values === "many") {
    return fc.string({ unit: "grapheme", minLength, maxLength: Math.min(maxLength ?? Infinity, minLength + 12) })
  }
  const passes = Schema.is(Schema.make<Schema.Top>(ast))
  const [a, b, c] = ["a", "b", "c"].map((letter) => letter.repeat(Math.max(1, minLength)))
  const texts = [a!, a!, a!, a!, a!, b!, b!, c!].filter(passes)
  return texts.length < 7 ? undefined : oneOf(texts)
}

/** Few: from 0 to 3 and around the bounds, seldom others. Many: any that the bounds allow. */
export const numbers = (ast: SchemaAST.Number, values: Values): fc.Arbitrary<number> | undefined => {
  const { finite, integer, maximum, minimum } = constraintOf(ast)
  const passes = Schema.is(Schema.make<Schema.Top>(ast))
  const lowest = Math.max(Math.ceil(minimum), Number.MIN_SAFE_INTEGER)
  const highest = Math.min(Math.floor(maximum), Number.MAX_SAFE_INTEGER)
  if (values === "many") {
    if (integer) return lowest > highest ? undefined : fc.integer({ min: lowest, max: highest })
    const bounds = { ...(minimum > -Infinity ? { min: minimum } : {}), ...(maximum < Infinity ? { max: maximum } : {}) }
    const numbers = fc.double({ ...bounds, noNaN: true, noDefaultInfinity: true }).filter((it) => !Object.is(it, -0))
    // What JSON has no number for, often enough to be met.
    const odd = finite ? [] : [NaN, Infinity, -Infinity].filter(passes)
    return odd.length === 0
      ? numbers
      : fc.oneof({ withCrossShrink: true }, { weight: 9, arbitrary: numbers }, { weight: 1, arbitrary: oneOf(odd) })
  }
  const candidates = [0, 1, 2, 3, lowest, lowest + 1, highest, -1, ...(integer ? [] : [0.5])]
  const chosen = [...new Set(candidates)].filter((it) => Math.abs(it) < 1e9 && passes(it))
  const near = {
    min: Math.max(lowest, highest < 0 ? highest - 100 : -100),
    max: Math.min(highest, lowest > 0 ? lowest + 100 : 100)
  }
  if (chosen.length === 0 || near.min > near.max) return undefined
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 9, arbitrary: oneOf(chosen) },
    { weight: 1, arbitrary: fc.integer(near) }
  )
}
