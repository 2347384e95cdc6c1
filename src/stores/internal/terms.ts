/**
 * The terms under which events are indexed: hashes of 32 bits of an id, a type, a tag, or a payload scalar with its path. Elements
 * of an array share one path. A term is a necessary condition for a match and may stand for several things; the matcher
 * decides on the event itself.
 *
 * Arrays of events are frozen, and V8 goes through frozen arrays faster by index than by iterator.
 */
import type { EventRecord, JsonValue } from "../Event.ts"

/** A hash, as a signed 32-bit integer. */
export type Term = number

/** Where the hashes of types, tags, ids and payloads begin. */
export const seedOf = { type: 0x11, tag: 0x22, id: 0x33, payload: 0x44 }

/** The term of an event type. */
export const typeTerm = (eventType: string): Term => finish(text(seedOf.type, eventType))

/** The term of a tag. */
export const tagTerm = (tag: string): Term => finish(text(seedOf.tag, tag))

/** The term of an event's id. */
export const idTerm = (eventId: string): Term => finish(text(seedOf.id, eventId))

/** The terms of an event but its id's. */
export const termsOf = (event: Pick<EventRecord, "eventType" | "payload" | "tags">): ReadonlyArray<Term> => {
  const terms: Array<Term> = []
  collectTerms(event, terms)
  return terms
}

/** Appends the terms of an event but its id's; says whether all payload scalars are among them, or only the first `mostScalars`. */
export const collectTerms = (
  { eventType, payload, tags }: Pick<EventRecord, "eventType" | "payload" | "tags">,
  terms: Array<Term>,
  mostScalars: number = Number.POSITIVE_INFINITY
): boolean => {
  terms.push(typeTerm(eventType))
  for (let index = 0; index < tags.length; index++) terms.push(tagTerm(tags[index]!))
  return collectScalarTerms(payload, terms, terms.length + mostScalars)
}

/** Appends the terms of the scalars in a payload or a predicate until there are `most` terms; says whether that was all. */
export const collectScalarTerms = (
  value: JsonValue,
  terms: Array<Term>,
  most: number = Number.POSITIVE_INFINITY
): boolean => collect(value, seedOf.payload, terms, most)

const { hasOwnProperty } = Object.prototype

const collect = (value: JsonValue, path: number, terms: Array<Term>, most: number): boolean => {
  if (value === null || typeof value !== "object") {
    if (terms.length >= most) return false
    terms.push(typeof value === "string" ? finish(text(textSeed(path), value)) : scalarTerm(path, value))
    return true
  }
  if (Array.isArray(value)) {
    const elements = pathOf.elements(path)
    for (let index = 0; index < value.length; index++) if (!collect(value[index]!, elements, terms, most)) return false
    return true
  }
  const object = value as Readonly<Record<string, JsonValue>>
  const members = pathOf.members(path)
  for (const key in object) {
    if (!hasOwnProperty.call(object, key)) continue
    if (!collect(object[key]!, text(members, key), terms, most)) return false
  }
  return true
}

/** Where an object's keys and an array's elements go on from the hash of its path. */
export const pathOf = {
  members: (path: number): number => addUnit(path, 0x2e),
  elements: (path: number): number => addUnit(path, 0x5b)
}

/** Where the hash of a text goes on from that of its path. */
export const textSeed = (path: number): number => addUnit(path, 0x73)

const float = new Float64Array(1)
const halves = new Int32Array(float.buffer)

/** The term of a scalar that is no text. */
export const scalarTerm = (path: number, value: number | boolean | null): Term => {
  if (typeof value !== "number") return finish(addUnit(path, value === null ? 0x7a : value ? 0x74 : 0x66))
  float[0] = value
  return finish(addUnit(addUnit(addUnit(path, 0x6e), halves[0]!), halves[1]!))
}

/** FNV-1a over code units instead of bytes. */
const text = (seed: number, units: string): number => {
  let hash = beginText(seed)
  for (let index = 0; index < units.length; index++) hash = addUnit(hash, units.charCodeAt(index))
  return hash
}

/** The hash of no units. */
export const beginText = (seed: number): number => seed ^ 0x811c9dc5

export const addUnit = (hash: number, unit: number): number => Math.imul(hash ^ unit, 0x01000193)

/** Spreads every bit over all others. */
export const finish = (hash: number): Term => {
  const once = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35)
  return twice ^ (twice >>> 16)
}
