/**
 * The terms under which an event is indexed, and the full-text expressions that find the events of a filter. A term is a hash
 * of 50 bits, so an expression may find too much; the matcher decides on the row itself.
 */
import type { EventRecord, JsonValue } from "../Event.ts"
import type { NormalisedFilter } from "../internal/normaliseQuery.ts"

/** Payload scalars that are indexed per event. An event with more of them is a candidate for every payload predicate. */
export const mostScalars = 128

/** Terms of one conjunction: enough to narrow down, the rest is left to the matcher. */
const mostTermsInConjunction = 4

/** The alternatives of one expression; a filter with more of them is asked for in several. */
const mostAlternatives = 128

/** The term that marks an event whose scalars are not all indexed. Other terms have ten characters. */
const partlyIndexed = "partly"

/** The terms of an event, separated by spaces, and whether all its scalars are among them. */
export const termsOf = (record: EventRecord): { readonly terms: string; readonly complete: boolean } => {
  const scalars: Array<string> = []
  const complete = collectScalars(record.payload, "", scalars, mostScalars)
  let terms = typeTerm(record.eventType)
  for (const tag of record.tags) terms += ` ${tagTerm(tag)}`
  for (const scalar of scalars) terms += ` ${hash(scalar)}`
  if (!complete) terms += ` ${partlyIndexed}`
  return { terms, complete }
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
  const tags = filter.tags.slice(0, mostTermsInConjunction).map(tagTerm)
  const alternatives = payloadAlternatives(filter, options.somePartlyIndexed)
  const types = filter.eventTypes === undefined ? undefined : [...filter.eventTypes].map(typeTerm)
  if (tags.length === 0 && alternatives === undefined) return types === undefined ? undefined : chunked(types, [])
  const required = [...tags]
  if (options.withTypes && types !== undefined && types.length <= mostAlternatives) required.push(any(types))
  return alternatives === undefined ? [required.join(" AND ")] : chunked(alternatives, required)
}

const payloadAlternatives = (filter: NormalisedFilter, somePartlyIndexed: boolean): Array<string> | undefined => {
  if (filter.payloadPredicates === undefined) return undefined
  const alternatives = new Set<string>()
  for (const predicate of filter.payloadPredicates) {
    const scalars: Array<string> = []
    collectScalars(predicate, "", scalars, mostTermsInConjunction)
    if (scalars.length === 0) return undefined
    alternatives.add(all(scalars.map(hash)))
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

const any = (terms: ReadonlyArray<string>): string => (terms.length === 1 ? terms[0]! : `(${terms.join(" OR ")})`)
const all = (terms: ReadonlyArray<string>): string => (terms.length === 1 ? terms[0]! : `(${terms.join(" AND ")})`)

const typeTerm = (eventType: string): string => hash(`t\0${eventType}`)
const tagTerm = (tag: string): string => hash(`g\0${tag}`)

/**
 * Appends `path NUL scalar` for every scalar, until `most` are there; says whether that was all. Property names hold no NUL,
 * and the elements of an array share the empty step, so a path is read in one way only.
 */
const collectScalars = (value: JsonValue, path: string, scalars: Array<string>, most: number): boolean => {
  if (value === null || typeof value !== "object") {
    if (scalars.length === most) return false
    scalars.push(`${path}\0${typeof value === "string" ? `s${value}` : String(value)}`)
    return true
  }
  if (Array.isArray(value)) return value.every((element) => collectScalars(element, `${path}\0[`, scalars, most))
  const object = value as Readonly<Record<string, JsonValue>>
  for (const key of Object.keys(object)) {
    if (!collectScalars(object[key]!, `${path}\0.${key}`, scalars, most)) return false
  }
  return true
}

/** Ten letters and digits that stand for the text: two multiplicative hashes over its code units (after FNV-1a). */
const hash = (text: string): string => {
  let a = 0x811c9dc5
  let b = 0x9e3779b9
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    a = Math.imul(a ^ unit, 0x01000193)
    b = Math.imul(b ^ unit, 0x85ebca6b)
    b = (b << 13) | (b >>> 19)
  }
  a = Math.imul(a ^ (a >>> 16), 0x7feb352d)
  b = Math.imul(b ^ (b >>> 15), 0x846ca68b)
  a ^= (a >>> 15) ^ b
  b ^= b >>> 16
  return String.fromCharCode(
    digit(a),
    digit(a >>> 5),
    digit(a >>> 10),
    digit(a >>> 15),
    digit(a >>> 20),
    digit(b),
    digit(b >>> 5),
    digit(b >>> 10),
    digit(b >>> 15),
    digit(b >>> 20)
  )
}

/** A digit of base 32 as a character code: 0 to 9, a to v. */
const digit = (bits: number): number => {
  const five = bits & 31
  return five < 10 ? 48 + five : 87 + five
}
