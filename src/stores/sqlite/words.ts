/** Terms as words of the full-text index, and the expressions that find the events of a filter. */
import type { EventRecord } from "../Event.ts"
import type { NormalisedFilter } from "../internal/normaliseQuery.ts"
import type { Term } from "../internal/terms.ts"
import { collectScalarTerms, collectTerms, idTerm, tagTerm, typeTerm } from "../internal/terms.ts"

/** Payload scalars that are indexed per event. An event with more of them is a candidate for every payload predicate. */
export const mostScalars = 128

/** Terms of one conjunction: enough to narrow down, the rest is left to the matcher. */
const mostTermsInConjunction = 4

/** The alternatives of one expression; a filter with more of them is asked for in several. */
const mostAlternatives = 256

/** The word that marks an event whose scalars are not all indexed. Other words have seven characters. */
const partlyIndexed = "partly"

/** The words of an event, separated by spaces, and whether all its scalars are among them. */
export const wordsOf = (record: EventRecord): { readonly words: string; readonly complete: boolean } => {
  const terms: Array<Term> = [idTerm(record.eventId)]
  const complete = collectTerms(record, terms, mostScalars)
  const words = [...new Set(terms)].map(toWord)
  if (!complete) words.push(partlyIndexed)
  return { words: words.join(" "), complete }
}

/**
 * Expressions that together find every event of the filter; `undefined` when no index helps and the log has to be scanned.
 *
 * A common type makes an expression slow rather than short, so types are left out where tags or payload narrow down, unless
 * `withTypes` asks for them.
 */
export const expressionsOf = (
  filter: NormalisedFilter,
  options: { readonly withTypes: boolean; readonly somePartlyIndexed: boolean }
): ReadonlyArray<string> | undefined => {
  const tags = filter.tags.slice(0, mostTermsInConjunction).map((tag) => toWord(tagTerm(tag)))
  const alternatives = payloadAlternatives(filter, options.somePartlyIndexed)
  const types = filter.eventTypes?.map((type) => toWord(typeTerm(type)))
  if (tags.length === 0 && alternatives === undefined) return types === undefined ? undefined : chunked(types, [])
  const required = [...tags]
  if (options.withTypes && types !== undefined && types.length <= mostAlternatives) required.push(any(types))
  return alternatives === undefined ? [required.join(" AND ")] : chunked(alternatives, required)
}

/** Expressions that together find every event with one of the ids. */
export const idExpressions = (eventIds: ReadonlyArray<string>): ReadonlyArray<string> =>
  chunked(
    eventIds.map((eventId) => toWord(idTerm(eventId))),
    []
  )

const payloadAlternatives = (
  { payloadPredicates }: NormalisedFilter,
  somePartlyIndexed: boolean
): ReadonlyArray<string> | undefined => {
  if (payloadPredicates === undefined) return undefined
  const alternatives = new Set<string>()
  for (const predicate of payloadPredicates) {
    const terms: Array<Term> = []
    collectScalarTerms(predicate, terms, mostTermsInConjunction)
    if (terms.length === 0) return undefined
    alternatives.add(all(terms.map(toWord)))
  }
  if (somePartlyIndexed) alternatives.add(partlyIndexed)
  return [...alternatives]
}

const chunked = (alternatives: ReadonlyArray<string>, required: ReadonlyArray<string>): ReadonlyArray<string> => {
  const expressions: Array<string> = []
  for (let start = 0; start < alternatives.length; start += mostAlternatives) {
    expressions.push([...required, any(alternatives.slice(start, start + mostAlternatives))].join(" AND "))
  }
  return expressions
}

const any = (words: ReadonlyArray<string>): string => (words.length === 1 ? words[0]! : `(${words.join(" OR ")})`)
const all = (words: ReadonlyArray<string>): string => (words.length === 1 ? words[0]! : `(${words.join(" AND ")})`)

/** Seven digits of base 32, lower case, as the index keeps words. */
const toWord = (term: Term): string =>
  String.fromCharCode(
    digit(term >>> 30),
    digit(term >>> 25),
    digit(term >>> 20),
    digit(term >>> 15),
    digit(term >>> 10),
    digit(term >>> 5),
    digit(term)
  )

/** A digit of base 32 as a character code: 0 to 9, a to v. */
const digit = (bits: number): number => {
  const five = bits & 31
  return five < 10 ? 48 + five : 87 + five
}
