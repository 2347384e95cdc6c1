/**
 * The pure matcher: what a normalised query means (the contract's "Matching"). Both sides are normalised, so every object is
 * plain, every number finite and `-0` does not occur. The stores' indexes only narrow down; this decides.
 */
import type { EventRecord, JsonValue } from "../Event.ts"
import type { NormalisedFilter, NormalisedQuery } from "./normaliseQuery.ts"

type Matchable = Pick<EventRecord, "eventType" | "payload" | "tags">
type JsonObject = { readonly [key: string]: JsonValue }

/** Whether one of the query's filters matches the event. */
export const matchesQuery = (query: NormalisedQuery, event: Matchable): boolean => {
  if (query.filters === undefined) return true
  for (const filter of query.filters) {
    if (matchesFilter(filter, event)) return true
  }
  return false
}

/** Whether all three constraints of the filter hold. */
export const matchesFilter = (filter: NormalisedFilter, event: Matchable): boolean => {
  if (filter.eventTypes !== undefined && !isAmong(event.eventType, filter.eventTypes)) return false
  for (const tag of filter.tags) {
    if (!event.tags.includes(tag)) return false
  }
  return filter.payloadPredicates === undefined || filter.payloadPredicates.some((it) => contains(event.payload, it))
}

/** Where names are looked up by bisection instead of one after the other. */
const manyNames = 16

/** Whether the name is one of these, which are sorted. */
const isAmong = (name: string, names: ReadonlyArray<string>): boolean => {
  if (names.length < manyNames) return names.includes(name)
  let low = 0
  let high = names.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (names[middle]! < name) low = middle + 1
    else high = middle
  }
  return names[low] === name
}

/** Whether `value` contains `predicate` by recursive subset. */
export const contains = (value: JsonValue, predicate: JsonValue): boolean => {
  if (predicate === null || typeof predicate !== "object") return value === predicate
  if (value === null || typeof value !== "object") return false
  if (Array.isArray(predicate)) return Array.isArray(value) && containsElements(value, predicate)
  return !Array.isArray(value) && containsProperties(value as JsonObject, predicate as JsonObject)
}

const containsElements = (value: ReadonlyArray<JsonValue>, predicate: ReadonlyArray<JsonValue>): boolean =>
  predicate.every((wanted) => value.some((element) => contains(element, wanted)))

const containsProperties = (value: JsonObject, predicate: JsonObject): boolean => {
  for (const key of Object.keys(predicate)) {
    if (!Object.hasOwn(value, key) || !contains(value[key]!, predicate[key]!)) return false
  }
  return true
}
