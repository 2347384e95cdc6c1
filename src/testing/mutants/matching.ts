/** Mutants with a naive idea of which events a query matches (the contract's "Matching"). */
import type { EventRecord, JsonValue } from "../../stores/Event.ts"
import { matchesFilter } from "../../stores/internal/match.ts"
import type { NormalisedFilter, NormalisedQuery } from "../../stores/internal/normaliseQuery.ts"
import type { Mutant } from "./Mutant.ts"
import { mutant } from "./Mutant.ts"
import { PlainLog } from "./PlainLog.ts"

type JsonObject = { readonly [key: string]: JsonValue }
type Matches = (query: NormalisedQuery, event: EventRecord) => boolean
type Contains = (value: JsonValue, predicate: JsonValue) => boolean

class MatchingLog extends PlainLog {
  private readonly naive: Matches

  constructor(naive: Matches) {
    super()
    this.naive = naive
  }

  override matches(query: NormalisedQuery, event: EventRecord): boolean {
    return this.naive(query, event)
  }
}

const matchingBy = (name: string, mistake: string, killedBy: Mutant["killedBy"], naive: Matches): Mutant =>
  mutant(name, mistake, killedBy, { log: () => new MatchingLog(naive) })

/** Any filter is enough. */
const anyFilter =
  (matches: (filter: NormalisedFilter, event: EventRecord) => boolean): Matches =>
  ({ filters }, event) =>
    filters === undefined || filters.some((filter) => matches(filter, event))

/** Types and tags as they should be. */
const restMatches = (filter: NormalisedFilter, event: EventRecord): boolean =>
  matchesFilter({ ...filter, payloadPredicates: undefined }, event)

const matchingPayloads = (name: string, mistake: string, killedBy: Mutant["killedBy"], contains: Contains): Mutant =>
  matchingBy(
    name,
    mistake,
    killedBy,
    anyFilter(
      (filter, event) =>
        restMatches(filter, event) &&
        (filter.payloadPredicates === undefined || filter.payloadPredicates.some((it) => contains(event.payload, it)))
    )
  )

/** The parts of recursive subset, one of which a mutant does otherwise. `again` is the whole. */
interface Subset {
  readonly scalars: (value: JsonValue, predicate: JsonValue) => boolean
  readonly elements: (value: JsonValue, predicate: ReadonlyArray<JsonValue>, again: Contains) => boolean
  readonly properties: (value: JsonValue, predicate: JsonObject, again: Contains) => boolean
}

const isObject = (value: JsonValue): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const hasProperties = (value: JsonValue, predicate: JsonObject, has: (object: JsonObject, key: string) => boolean) =>
  isObject(value) && Object.keys(predicate).every((key) => has(value, key))

const right: Subset = {
  scalars: (value, predicate) => value === predicate,
  elements: (value, predicate, again) =>
    Array.isArray(value) && predicate.every((wanted) => value.some((element) => again(element as JsonValue, wanted))),
  properties: (value, predicate, again) =>
    hasProperties(value, predicate, (object, key) => Object.hasOwn(object, key) && again(object[key]!, predicate[key]!))
}

const subset = (changes: Partial<Subset>): Contains => {
  const parts = { ...right, ...changes }
  const contains: Contains = (value, predicate) =>
    Array.isArray(predicate)
      ? parts.elements(value, predicate as ReadonlyArray<JsonValue>, contains)
      : isObject(predicate)
        ? parts.properties(value, predicate, contains)
        : parts.scalars(value, predicate)
  return contains
}

/** The event and the filter with every text in another form. */
const inForm = (form: (text: string) => string): Matches => {
  const inJson = (value: JsonValue): JsonValue => JSON.parse(form(JSON.stringify(value))) as JsonValue
  return anyFilter((filter, event) =>
    matchesFilter(
      {
        eventTypes: filter.eventTypes?.map(form).sort(),
        tags: filter.tags.map(form),
        payloadPredicates: filter.payloadPredicates?.map(inJson)
      },
      { eventType: form(event.eventType), tags: event.tags.map(form), payload: inJson(event.payload) }
    )
  )
}

/** `%` stands for any text and `_` for any character. */
const like = (pattern: string, text: string): boolean => {
  const source = pattern
    .replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")
    .replaceAll("%", ".*")
    .replaceAll("_", ".")
  return new RegExp(`^${source}$`, "s").test(text)
}

/** Every wanted element takes an element of its own, the first that is left. */
const oneForOne: Subset["elements"] = (value, predicate, again) => {
  if (!Array.isArray(value)) return false
  const left = [...(value as ReadonlyArray<JsonValue>)]
  return predicate.every((wanted) => {
    const place = left.findIndex((element) => again(element, wanted))
    if (place >= 0) left.splice(place, 1)
    return place >= 0
  })
}

/** What a path such as `a.b` leads to. */
const atPath = (value: JsonValue, path: string): JsonValue | undefined =>
  path
    .split(".")
    .reduce<JsonValue | undefined>((at, key) => (at !== undefined && isObject(at) ? at[key] : undefined), value)

export const matching = [
  matchingPayloads(
    "arrays by position",
    "Compares the elements of arrays place by place.",
    ["an array predicate of scalars matches arrays that contain each of them, in any order"],
    subset({
      elements: (value, predicate, again) =>
        Array.isArray(value) && predicate.every((wanted, place) => place in value && again(value[place], wanted))
    })
  ),
  matchingPayloads(
    "an element for each element",
    "Lets no two elements of an array predicate match the same element.",
    ["two elements of an array predicate may match the same element"],
    subset({ elements: oneForOne })
  ),
  matchingPayloads(
    "empty object matches everything",
    "Takes {} for a predicate that does not constrain, whatever the payload is.",
    ["an empty object matches every object and nothing else, an empty array every array and nothing else"],
    subset({
      properties: (value, predicate, again) =>
        Object.keys(predicate).length === 0 || right.properties(value, predicate, again)
    })
  ),
  matchingPayloads(
    "numbers like their texts",
    'Compares scalars with ==, so 1, "1" and true are the same.',
    ["scalars of different types never match each other"],
    // oxlint-disable-next-line eqeqeq -- this is the mistake
    subset({ scalars: (value, predicate) => typeof value !== "object" && value == predicate })
  ),
  matchingPayloads(
    "numbers of 32 bits",
    "Compares numbers in single precision.",
    ["numbers are compared as JavaScript numbers"],
    subset({
      scalars: (value, predicate) =>
        value === predicate ||
        (typeof value === "number" && typeof predicate === "number" && Math.fround(value) === Math.fround(predicate))
    })
  ),
  matchingPayloads(
    "null for missing",
    "Takes a missing key for one that is null.",
    ["a key that is null is not a key that is missing"],
    subset({
      properties: (value, predicate, again) =>
        hasProperties(value, predicate, (object, key) =>
          again(Object.hasOwn(object, key) ? object[key]! : null, predicate[key]!)
        )
    })
  ),
  matchingPayloads(
    "keys of the prototype",
    "Looks for a predicate's keys in the payload's prototype, too.",
    ["only a predicate's own keys count, and inherited ones of a payload do not"],
    subset({
      properties: (value, predicate, again) =>
        hasProperties(
          value,
          predicate,
          (object, key) => key in object && again(object[key] as JsonValue, predicate[key]!)
        )
    })
  ),
  matchingPayloads(
    "no extra keys",
    "Matches an object only where it has no other keys than the predicate.",
    ["an object predicate matches objects that have its keys with matching values, extra keys allowed"],
    subset({
      properties: (value, predicate, again) =>
        right.properties(value, predicate, again) &&
        Object.keys(value as object).length === Object.keys(predicate).length
    })
  ),
  matchingPayloads(
    "scalars found in arrays",
    "Finds a scalar predicate in an array that contains it, as the containment of some databases does.",
    ["a scalar predicate never matches an array or an object"],
    subset({
      scalars: (value, predicate) => value === predicate || (Array.isArray(value) && value.includes(predicate))
    })
  ),
  matchingPayloads(
    "keys taken for paths",
    'Takes a key such as "a.b" for a path.',
    ["keys that look like paths are keys"],
    subset({
      properties: (value, predicate, again) =>
        hasProperties(value, predicate, (object, key) => {
          const found = atPath(object, key)
          return found !== undefined && again(found, predicate[key]!)
        })
    })
  ),
  matchingBy(
    "case folded",
    "Compares texts without regard to case.",
    ["event types are compared by code point, exactly", "tags are compared by code point, exactly"],
    inForm((text) => text.toLowerCase())
  ),
  matchingBy(
    "texts normalised",
    "Compares texts in a normal form of Unicode.",
    ["event types are compared by code point, exactly", "text in payloads is compared by code point, exactly"],
    inForm((text) => text.normalize("NFC"))
  ),
  matchingBy(
    "event types as patterns",
    "Compares event types with LIKE, so % and _ stand for other characters.",
    ["event types are compared by code point, exactly"],
    anyFilter(
      (filter, event) =>
        matchesFilter({ ...filter, eventTypes: undefined }, event) &&
        (filter.eventTypes === undefined || filter.eventTypes.some((pattern) => like(pattern, event.eventType)))
    )
  ),
  matchingBy(
    "nothing taken for everything",
    "Takes an empty list of event types or predicates for no constraint.",
    ["no event types and no payload predicates match nothing"],
    (query, event) => query.filters?.length === 0 || anyFilter(matchesFilter)(query, event)
  ),
  matchingBy(
    "filters all needed",
    "Matches only what every filter matches.",
    ["filters are alternatives: matching any of them is enough"],
    ({ filters }, event) =>
      filters === undefined || (filters.length > 0 && filters.every((filter) => matchesFilter(filter, event)))
  ),
  matchingBy(
    "tags as alternatives",
    "Takes one of the tags of a filter for enough.",
    ["tags inside one filter must all be there"],
    anyFilter(
      (filter, event) =>
        matchesFilter({ ...filter, tags: [] }, event) &&
        (filter.tags.length === 0 || filter.tags.some((tag) => event.tags.includes(tag)))
    )
  ),
  matchingBy(
    "predicates all needed",
    "Matches only what every payload predicate of a filter matches.",
    ["payload predicates inside one filter are alternatives"],
    anyFilter(
      (filter, event) =>
        restMatches(filter, event) &&
        (filter.payloadPredicates ?? []).every((it) => matchesFilter({ ...filter, payloadPredicates: [it] }, event))
    )
  ),
  matchingBy(
    "constraints as alternatives",
    "Takes one of the constraints of a filter for enough.",
    ["type, payload and tags inside one filter must hold together"],
    anyFilter((filter, event) =>
      [
        { ...filter, payloadPredicates: undefined, tags: [] },
        { ...filter, eventTypes: undefined, tags: [] },
        { ...filter, eventTypes: undefined, payloadPredicates: undefined }
      ].some((part) => constrains(part) && matchesFilter(part, event))
    )
  )
]

const constrains = ({ eventTypes, payloadPredicates, tags }: NormalisedFilter): boolean =>
  eventTypes !== undefined || payloadPredicates !== undefined || tags.length > 0
