/**
 * Keys: the terms under which an event is found in the database, and what a filter asks of them. A key is a necessary condition
 * and may stand for several things; the matcher decides on the event itself.
 */
import type { NormalisedEvent } from "../internal/normaliseEvents.ts"
import type { NormalisedFilter, NormalisedQuery } from "../internal/normaliseQuery.ts"
import type { Term } from "../internal/terms.ts"
import { collectScalarTerms, collectTerms, tagTerm, typeTerm } from "../internal/terms.ts"

/** Payload scalars that become keys. An event with more of them is a candidate for every payload predicate. */
const mostScalars = 128

/** The key of an event whose scalars are not all keys. */
export const partlyKey: Term = 0

/** Keys that an alternative asks for together: enough to narrow down, the rest is left to the matcher. */
const mostInConjunction = 4

/** Types that an alternative names; with more of them the matcher looks at the type. */
const mostTypes = 64

/** One way to match: all of some keys, and one of the others where there are any. */
export interface Alternative {
  /** Not empty. */
  readonly all: ReadonlyArray<Term>
  readonly any: ReadonlyArray<Term> | undefined
}

/** The distinct keys of an event: its type, its tags, its payload's scalars with their paths. */
export const keysOf = (event: NormalisedEvent): ReadonlyArray<Term> => {
  const terms: Array<Term> = []
  if (!collectTerms(event, terms, mostScalars)) terms.push(partlyKey)
  return terms.length < 3 ? terms : [...new Set(terms)]
}

/**
 * Alternatives that together hold for every event of the query; `undefined` where keys do not narrow it down. `withPartly`:
 * the log has events whose scalars are not all keys.
 */
export const alternativesOf = (
  { filters }: NormalisedQuery,
  withPartly: boolean
): ReadonlyArray<Alternative> | undefined => {
  if (filters === undefined) return undefined
  const alternatives: Array<Alternative> = []
  for (const filter of filters) {
    const types = filter.eventTypes === undefined ? undefined : [...filter.eventTypes].map(typeTerm)
    const any = types === undefined || types.length > mostTypes ? undefined : types
    for (const all of conjunctions(filter, withPartly)) {
      if (all.length > 0) alternatives.push({ all, any })
      else if (types === undefined) return undefined
      else for (const type of types) alternatives.push({ all: [type], any: undefined })
    }
  }
  return alternatives
}

/** What each payload predicate asks for, together with the tags. The most telling key comes first. */
const conjunctions = (
  { payloadPredicates, tags }: NormalisedFilter,
  withPartly: boolean
): ReadonlyArray<ReadonlyArray<Term>> => {
  const tagTerms = tags.slice(0, mostInConjunction).map(tagTerm)
  if (payloadPredicates === undefined) return [tagTerms]
  const found = payloadPredicates.map((predicate) => {
    const terms: Array<Term> = []
    collectScalarTerms(predicate, terms, mostInConjunction)
    return [...terms, ...tagTerms]
  })
  if (withPartly) found.push([partlyKey, ...tagTerms])
  return found
}

/** Alternatives of several requests as columns of parameters. */
export interface AlternativeColumns {
  /** Whose alternative it is. */
  readonly requests: Array<number>
  /** The first key of `all`. */
  readonly terms: Array<Term>
  /** Array literals. */
  readonly alls: Array<string>
  readonly anys: Array<string | null>
}

export const noAlternatives = (): AlternativeColumns => ({ requests: [], terms: [], alls: [], anys: [] })

export const addAlternatives = (
  columns: AlternativeColumns,
  request: number,
  alternatives: ReadonlyArray<Alternative>
): void => {
  for (const { all, any } of alternatives) {
    columns.requests.push(request)
    columns.terms.push(all[0]!)
    columns.alls.push(`{${all.join(",")}}`)
    columns.anys.push(any === undefined ? null : `{${any.join(",")}}`)
  }
}
