/**
 * Walks the decoded side of a Schema and builds the fast-check arbitrary of the same structure. Where a check of the schema
 * lets too little pass, or a node has no counterpart, the values come over the bridge from Effect's own generator.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaGetter from "effect/SchemaGetter"
import * as fc from "fast-check"
import type { Values } from "./leaves.ts"
import { constraintOf, numbers, strings } from "./leaves.ts"
import * as nativeBridge from "./nativeBridge.ts"

/** The arbitrary of a schema's decoded side. */
export const fromAst = (ast: SchemaAST.AST, values: Values): fc.Arbitrary<any> => walk(SchemaAST.toType(ast), values)

const walk = (ast: SchemaAST.AST, values: Values): fc.Arbitrary<any> => {
  const arbitrary = structural(ast, values)
  if (arbitrary === undefined) return bridged(ast, values)
  if (ast.checks === undefined) return arbitrary
  const passes = Schema.is(Schema.make<Schema.Top>(ast))
  const tried = fc.sample(arbitrary, { numRuns: 64, seed: 1 })
  return tried.filter(passes).length < 8 ? bridged(ast, values) : arbitrary.filter(passes)
}

const bridged = (ast: SchemaAST.AST, values: Values): fc.Arbitrary<unknown> =>
  values === "few" ? nativeBridge.few(ast, 3) : nativeBridge.any(ast)

const structural = (ast: SchemaAST.AST, values: Values): fc.Arbitrary<any> | undefined => {
  switch (ast._tag) {
    case "Null":
      return fc.constant(null)
    case "Undefined":
    case "Void":
      return fc.constant(undefined)
    case "Boolean":
      return fc.boolean()
    case "Literal":
      return fc.constant(ast.literal)
    case "Enum":
      return fc.constantFrom(...ast.enums.map(([, value]) => value))
    case "String":
      return strings(ast, values)
    case "Number":
      return numbers(ast, values)
    case "Objects":
      return objects(ast, values)
    case "Arrays":
      return arrays(ast, values)
    case "Union":
      return fc.oneof({ withCrossShrink: true }, ...ast.types.map((type) => walk(type, values)))
    case "Declaration":
      return declared(ast, values)
    default:
      return undefined
  }
}

const objects = (ast: SchemaAST.Objects, values: Values): fc.Arbitrary<unknown> | undefined => {
  const { indexSignatures, propertySignatures } = ast
  if (indexSignatures.length > 0) {
    const [index, ...others] = indexSignatures
    if (others.length > 0 || propertySignatures.length > 0 || index!.parameter._tag !== "String") return undefined
    const { maxProperties, minProperties = 0 } = constraintOf(ast)
    return fc.dictionary(walk(index!.parameter, values), walk(index!.type, values), {
      minKeys: minProperties,
      maxKeys: maxProperties ?? minProperties + 3,
      noNullPrototype: true
    })
  }
  if (propertySignatures.some(({ name }) => typeof name === "symbol" || name === "__proto__")) return undefined
  return fc.record(Object.fromEntries(propertySignatures.map(({ name, type }) => [name, walk(type, values)])), {
    requiredKeys: propertySignatures.filter(({ type }) => type.context?.isOptional !== true).map(({ name }) => name),
    noNullPrototype: true
  } as object)
}

const arrays = (ast: SchemaAST.Arrays, values: Values): fc.Arbitrary<unknown> | undefined => {
  const { elements, rest } = ast
  if (elements.some((it) => it.context?.isOptional === true) || rest.length > 1) return undefined
  const fixed = fc.tuple(...elements.map((it) => walk(it, values)))
  const [head] = rest
  if (head === undefined) return fixed
  const { maxLength, minLength = 0, uniqueBy } = constraintOf(ast)
  if (uniqueBy !== undefined) return undefined
  const least = Math.max(0, minLength - elements.length)
  const most = maxLength === undefined ? least + 3 : maxLength - elements.length
  if (most < least) return undefined
  const repeated = fc.array(walk(head, values), { minLength: least, maxLength: Math.min(most, least + 8), size: "max" })
  return elements.length === 0 ? repeated : fc.tuple(fixed, repeated).map(([first, others]) => [...first, ...others])
}

/** A class, an Option and the like: made from what it is encoded to. */
const declared = (ast: SchemaAST.Declaration, values: Values): fc.Arbitrary<unknown> | undefined => {
  const link = ast.annotations?.["toCodec"]
  if (typeof link !== "function") return undefined
  const parameters = ast.typeParameters.map((it) => Schema.make<Schema.Top>(SchemaAST.toType(it)))
  const { to, transformation } = (link as (parameters: ReadonlyArray<Schema.Top>) => SchemaAST.Link)(parameters)
  if (transformation._tag !== "Transformation") return undefined
  const { decode, encode } = transformation
  const convert = (getter: typeof decode, value: unknown): unknown =>
    Option.getOrThrow(
      Effect.runSync(SchemaGetter.run(getter, Option.some(value), {}) as Effect.Effect<Option.Option<unknown>>)
    )
  return walk(SchemaAST.toType(to), values).map(
    (value) => convert(decode, value),
    (value) => convert(encode, value)
  )
}
