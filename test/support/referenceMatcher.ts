/**
 * What a query means, written a second time from the contract's "Matching" and from nothing else: slow, obvious, and
 * independent of the library's own matcher. It takes valid input only.
 */
import type { EventFilter, EventQuery } from "../../src/stores/EventQuery.ts"

export interface Candidate {
  readonly eventType: string
  readonly payload: unknown
  readonly tags: ReadonlyArray<string>
}

/** Rule 1: filters are alternatives; none means everything. */
export const matches = (query: EventQuery, event: Candidate): boolean => {
  const filters = query.filters ?? []
  return filters.length === 0 || filters.filter((filter) => matchesFilter(filter, event)).length > 0
}

/** Rules 2 and 3: types or-ed, predicates or-ed, tags and-ed, the three and-ed; what is left out does not constrain. */
const matchesFilter = (filter: EventFilter, event: Candidate): boolean => {
  const verdicts: Array<boolean> = []
  if (filter.eventTypes) verdicts.push(new Set(filter.eventTypes).has(event.eventType))
  if (filter.payloadPredicates) {
    verdicts.push(filter.payloadPredicates.map((it) => isSubset(it, event.payload)).includes(true))
  }
  if (filter.tags) verdicts.push(filter.tags.filter((tag) => !event.tags.includes(tag)).length === 0)
  return !verdicts.includes(false)
}

const kindOf = (value: unknown): string => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value)

/** The own properties that JSON knows. */
export const propertiesOf = (value: unknown): ReadonlyMap<string, unknown> =>
  new Map(Object.entries(value as object).filter(([, member]) => member !== undefined))

/** Rules 4 to 7. */
export const isSubset = (predicate: unknown, value: unknown): boolean => {
  if (kindOf(predicate) !== kindOf(value)) return false
  switch (kindOf(predicate)) {
    case "array": {
      const missing = (predicate as Array<unknown>).find(
        (wanted) => (value as Array<unknown>).findIndex((element) => isSubset(wanted, element)) === -1
      )
      return missing === undefined
    }
    case "object": {
      const properties = propertiesOf(value)
      for (const [key, wanted] of propertiesOf(predicate)) {
        if (!properties.has(key) || !isSubset(wanted, properties.get(key))) return false
      }
      return true
    }
    default:
      return predicate === value
  }
}
