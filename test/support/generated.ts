/**
 * Generated payloads, queries and commands. A list of numbers from fast-check becomes a stream of choices, read with the
 * model's log at hand: predicates are cut out of payloads that are in the log, changed in one place, or independent.
 * Zeros are the simplest choices, so shrinking leads to simple commands.
 */
import type { JsonValue } from "../../src/stores/Event.ts"
import type { EventFilter, EventQuery } from "../../src/stores/EventQuery.ts"
import type { Choices } from "./choices.ts"
import type { Candidate } from "./referenceMatcher.ts"

export { Choices, seeded } from "./choices.ts"

const scalars: ReadonlyArray<JsonValue> = [1, 0, "a", true, null, "", "1", 2, "b", false, -0, 0.1 + 0.2, "A", 5e-324]
const oddScalars: ReadonlyArray<JsonValue> = [
  2 ** 53 + 2,
  1e21,
  1.7976931348623157e308,
  "null",
  "{}",
  "caf\u00e9",
  "cafe\u0301",
  "\u{1F39F}",
  "'; --",
  "%",
  "a "
]
const keys = ["a", "b", "c", "a.b", "", "__proto__", "0", "constructor", "\u00e9"]
export const eventTypes = ["A", "B", "a", "A ", "%", "__proto__"]
export const tags = ["x", "y", "z", "X", "x ", "\u{1F39F}", "NULL"]

const scalar = (choices: Choices): JsonValue => choices.of(choices.chance(15) ? oddScalars : scalars)

const fromEntries = (entries: ReadonlyArray<readonly [string, unknown]>): JsonValue =>
  Object.fromEntries(entries) as JsonValue

/** Any JSON value, small. */
export const json = (choices: Choices, levels: number = 3): JsonValue => {
  const kind = levels === 0 ? 0 : choices.below(4)
  if (kind < 2) return scalar(choices)
  if (kind === 2) return choices.times(choices.below(4), () => json(choices, levels - 1))
  return fromEntries(choices.times(choices.below(4), () => [choices.of(keys), json(choices, levels - 1)] as const))
}

/** A payload, mostly an object with a few keys that many payloads share; sometimes with an undefined property. */
export const payload = (choices: Choices): unknown => {
  if (choices.chance(25)) return json(choices)
  const shared = choices.some(["a", "b", "c"], 60).map((key) => [key, json(choices, 2)] as const)
  const gone = choices.chance(15) ? [["gone", undefined] as const] : []
  return fromEntries([["kind", choices.below(3)] as const, ...shared, ...gone])
}

/** A part of the value that it contains by the rules of matching. */
export const partOf = (choices: Choices, value: JsonValue): JsonValue => {
  if (value === null || typeof value !== "object") return value
  if (Array.isArray(value)) {
    const elements = choices.some(value as ReadonlyArray<JsonValue>, 60).map((element) => partOf(choices, element))
    return choices.chance(50) ? elements.toReversed() : choices.chance(20) ? [...elements, ...elements] : elements
  }
  const entries = choices.some(Object.entries(value), 60)
  return fromEntries(entries.map(([key, member]) => [key, partOf(choices, member)] as const))
}

/** The value with one leaf, type or key changed somewhere. */
export const mutated = (choices: Choices, value: JsonValue): JsonValue => {
  if (value === null || typeof value !== "object") {
    return choices.of<JsonValue>([scalar(choices), [value], { a: value }, String(value), null])
  }
  if (Array.isArray(value)) {
    const elements = value as ReadonlyArray<JsonValue>
    if (elements.length === 0 || choices.chance(30)) return choices.of<JsonValue>([[...elements, scalar(choices)], {}])
    const at = choices.below(elements.length)
    return elements.map((element, index) => (index === at ? mutated(choices, element) : element))
  }
  const entries = Object.entries(value)
  if (entries.length === 0 || choices.chance(30)) {
    return choices.of<JsonValue>([fromEntries([...entries, [choices.of(keys), scalar(choices)]]), []])
  }
  const at = choices.below(entries.length)
  return fromEntries(
    entries.map(([key, member], index) => {
      if (index !== at) return [key, member] as const
      return choices.chance(30) ? ([`${key}!`, member] as const) : ([key, mutated(choices, member)] as const)
    })
  )
}

const predicate = (choices: Choices, log: ReadonlyArray<Candidate>): JsonValue => {
  const kind = choices.below(10)
  if (log.length === 0 || kind === 9) return json(choices)
  const part = partOf(choices, choices.of(log).payload as JsonValue)
  return kind < 7 ? part : mutated(choices, part)
}

const filter = (choices: Choices, log: ReadonlyArray<Candidate>): EventFilter => {
  const about = log.length === 0 ? undefined : choices.of(log)
  const built: { -readonly [K in keyof EventFilter]: EventFilter[K] } = {}
  const constraint = choices.below(8)
  if (constraint === 0 || constraint >= 5) {
    built.payloadPredicates = choices.times(choices.chance(30) ? 2 : 1, () => predicate(choices, log))
  }
  if (constraint === 1 || constraint === 5 || constraint === 7) {
    built.eventTypes = [about?.eventType ?? "A", ...choices.some(eventTypes, 15)]
  }
  if (constraint === 2 || constraint === 6 || constraint === 7) {
    built.tags = about === undefined || choices.chance(20) ? [choices.of(tags)] : choices.some(about.tags, 70)
  }
  if (constraint === 3)
    return choices.of<EventFilter>([{ eventTypes: [] }, { payloadPredicates: [] }, { tags: [] }, {}])
  if (constraint === 4) built.eventTypes = choices.some(eventTypes, 40)
  return built
}

/** A valid query without a read cursor. */
export const query = (choices: Choices, log: ReadonlyArray<Candidate>): EventQuery => {
  const shape = choices.below(12)
  if (shape === 10) return {}
  if (shape === 11) return { filters: [] }
  return { filters: choices.times(shape < 7 ? 1 : shape - 5, () => filter(choices, log)) }
}
