/** Cases of `evolve` that can never run: the query leaves their event type out, whatever the command. */
import * as SchemaAST from "effect/SchemaAST"
import type * as EventCatalog from "../../decider/EventCatalog.ts"
import type * as View from "../../decider/View.ts"
import type { EventFilter } from "../../stores/EventQuery.ts"
import { printLine } from "../spec/printValue.ts"

/** A case that never runs, and why. */
export interface NeverSelected {
  readonly part: View.ViewPart
  readonly eventType: string
  readonly because: string
}

/** The cases of a view, bound to one command, that its query cannot reach. */
export const neverSelected = (view: View.Any): ReadonlyArray<NeverSelected> =>
  view.parts.flatMap((part) =>
    [...part.cases.keys()].flatMap((eventType) => {
      const because = whyNever(part, eventType)
      return because === undefined ? [] : [{ part, eventType, because }]
    })
  )

const whyNever = ({ events, query }: View.ViewPart, eventType: string): string | undefined => {
  const filters = query.filters ?? []
  if (filters.length === 0) return undefined
  const asking = filters.filter(({ eventTypes }) => eventTypes === undefined || eventTypes.includes(eventType))
  if (asking.length === 0) return "its type is not asked for"
  const definition = events.definitions[eventType]
  if (definition === undefined) return "the catalog does not know it"
  const reasons = asking.map((filter) => whyNeverBy(filter, definition))
  return reasons.every((reason) => reason !== undefined) ? reasons[0] : undefined
}

const whyNeverBy = (
  { payloadPredicates, tags = [] }: EventFilter,
  { schema, tags: tagsOf, version }: EventCatalog.AnyEventDefinition
): string | undefined => {
  if (tags.length > 0 && tagsOf === undefined) return `it has no tags, and the query asks for ${tags.join(", ")}`
  if (payloadPredicates?.length === 0) return "the query asks for no payload at all"
  // Payloads of older versions are matched as they were stored, and may have other fields.
  const fields = version === 1 ? fieldsOf(schema.ast) : undefined
  const impossible = payloadPredicates?.filter(
    (it) => isObject(it) && Object.keys(it).some((key) => fields?.has(key) === false)
  )
  return impossible === undefined || impossible.length < payloadPredicates!.length || impossible.length === 0
    ? undefined
    : `its payload has no such field: ${impossible.map(printLine).join(" | ")}`
}

/** The fields of an encoded payload; `undefined` where there may be others. */
const fieldsOf = (ast: SchemaAST.AST): ReadonlySet<string> | undefined => {
  const encoded = SchemaAST.toEncoded(ast)
  return encoded._tag === "Objects" && encoded.indexSignatures.length === 0
    ? new Set(encoded.propertySignatures.map(({ name }) => String(name)))
    : undefined
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value)
