/**
 * The parts of a query, each with the query that is left without it. Types, predicates and filters are alternatives: without
 * one the query selects less, and conflicts less. Tags, and the keys of a predicate, are conditions: without one it selects more.
 */
import type * as View from "../../decider/View.ts"
import type { JsonValue } from "../../stores/Event.ts"
import * as EventQuery from "../../stores/EventQuery.ts"

/** A part of the query of one part of a view. */
export interface QueryPart {
  /** Index of the view's part. */
  readonly index: number
  /** The same for all commands: `Seats: the type TicketRefunded`. */
  readonly name: string
  readonly kind: "alternative" | "condition"
  /** Whether the view's part matches the event without this. */
  readonly matcher: (event: EventQuery.Matchable) => boolean
}

/** All parts of the queries of a view. */
export const queryPartsOf = (view: View.Any): ReadonlyArray<QueryPart> =>
  view.parts.flatMap((part, index) => {
    const filters = part.query.filters ?? []
    const twice = view.parts.filter(({ name }) => name === part.name).length > 1
    const whose = twice ? `${part.name} (${index + 1})` : part.name
    return filters.flatMap((filter, at) => {
      const where = filters.length > 1 ? `${whose}, filter ${at + 1}` : whose
      return withoutEach(filter).map(({ kind, left, name }): QueryPart => {
        const rest = filters.flatMap((it, other) => (other === at ? left : [it]))
        return { index, kind, name: `${where}: ${name}`, matcher: matcherOf(rest) }
      })
    })
  })

interface Without {
  readonly name: string
  readonly kind: QueryPart["kind"]
  /** What is left of the filter: nothing, or another filter. */
  readonly left: ReadonlyArray<EventQuery.EventFilter>
}

const withoutEach = (filter: EventQuery.EventFilter): ReadonlyArray<Without> => {
  const { eventTypes, payloadPredicates = [], tags = [] } = filter
  const types = (eventTypes ?? []).map((type): Without => ({
    name: `the type ${type}`,
    kind: "alternative",
    left: [{ ...filter, eventTypes: eventTypes!.filter((it) => it !== type) }]
  }))
  const predicates = payloadPredicates.map((_, at): Without => ({
    name: `predicate ${at + 1}`,
    kind: "alternative",
    left: [{ ...filter, payloadPredicates: payloadPredicates.filter((_, other) => other !== at) }]
  }))
  const conditions = tags.map((tag, at): Without => ({
    name: `the tag ${kindOfTag(tag, at)}`,
    kind: "condition",
    left: [{ ...filter, tags: tags.filter((_, other) => other !== at) }]
  }))
  const keys = payloadPredicates.length === 1 ? keysOf(payloadPredicates[0]!) : []
  return [
    ...(eventTypes === undefined ? [{ name: "all of it", kind: "alternative" as const, left: [] }] : types),
    ...(payloadPredicates.length > 1 ? predicates : []),
    ...conditions,
    ...keys.map(({ key, rest }): Without => ({
      name: `${key} in the payload`,
      kind: "condition",
      left: [{ ...filter, payloadPredicates: [rest] }]
    }))
  ]
}

/** No filters at all would mean all events. */
const matcherOf = (filters: ReadonlyArray<EventQuery.EventFilter>): QueryPart["matcher"] => {
  if (filters.length === 0) return () => false
  const query = EventQuery.make(...filters)
  return (event) => EventQuery.matches(query, event)
}

const kindOfTag = (tag: string, at: number): string => {
  const colon = tag.indexOf(":")
  return colon > 0 ? `${tag.slice(0, colon)}:...` : String(at + 1)
}

const keysOf = (predicate: JsonValue) =>
  typeof predicate === "object" && predicate !== null && !Array.isArray(predicate)
    ? Object.keys(predicate).map((key) => ({
        key,
        rest: Object.fromEntries(Object.entries(predicate).filter(([it]) => it !== key)) as JsonValue
      }))
    : []
