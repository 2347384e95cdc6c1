/** The pure matcher against a second one written from the contract's text, and the canonical text of queries. */
import assert from "node:assert/strict"
import * as fc from "fast-check"
import { describe, it } from "vitest"
import type { JsonValue } from "../../src/stores/Event.ts"
import * as EventQuery from "../../src/stores/EventQuery.ts"
import { Choices, eventTypes, json, mutated, partOf, payload, query, tags } from "../support/generated.ts"
import type { Candidate } from "../support/referenceMatcher.ts"
import { isSubset, matches } from "../support/referenceMatcher.ts"
import { normalise } from "../support/referenceModel.ts"

const choices = fc.noBias(fc.array(fc.nat(9_999), { minLength: 20, maxLength: 120, size: "max" }))
const choosing = choices.map((numbers) => new Choices(numbers))

type Event = Candidate & { readonly payload: JsonValue }

const event = (from: Choices): Event => ({
  eventType: from.of(eventTypes),
  payload: normalise(payload(from)) as JsonValue,
  tags: from.some(tags, 30)
})

const events = (from: Choices): ReadonlyArray<Event> => from.times(1 + from.below(5), () => event(from))

/** The JSON value as it comes back from text, where that keeps everything. */
const copied = (value: JsonValue): JsonValue => JSON.parse(JSON.stringify(value)) as JsonValue

describe("the matcher", () => {
  it("agrees with the reference on whole queries", () => {
    const seen = { matched: 0, asked: 0 }
    fc.assert(
      fc.property(choosing, (from) => {
        const log = events(from)
        const asked = query(from, log)
        const matcher = EventQuery.matcher(asked)
        assert.ok(matcher._tag === "Success")
        for (const candidate of log) {
          const expected = matches(asked, candidate)
          assert.equal(EventQuery.matches(asked, candidate), expected)
          assert.equal(matcher.success(candidate), expected)
          seen.asked++
          if (expected) seen.matched++
        }
      }),
      { numRuns: 3_000 }
    )
    const share = seen.matched / seen.asked
    assert.ok(share > 0.2 && share < 0.8, `${Math.round(share * 100)} % of the events matched`)
  })

  it("agrees with the reference on predicates that almost match", () => {
    const seen = { matched: 0, asked: 0 }
    fc.assert(
      fc.property(choosing, (from) => {
        const { eventType, payload, tags } = event(from)
        const part = partOf(from, payload)
        assert.ok(isSubset(part, payload))
        for (const predicate of [part, mutated(from, part), mutated(from, payload), json(from)]) {
          const expected = isSubset(normalise(predicate), payload)
          const actual = EventQuery.matches(EventQuery.withPayload(predicate), { eventType, payload, tags })
          assert.equal(actual, expected, JSON.stringify({ predicate, payload }))
          seen.asked++
          if (expected) seen.matched++
        }
      }),
      { numRuns: 3_000 }
    )
    const share = seen.matched / seen.asked
    assert.ok(share > 0.2 && share < 0.8, `${Math.round(share * 100)} % of the predicates matched`)
  })

  it("finds every value in itself, and every part of it", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), choosing, (value, from) => {
        const json = normalise(value) as JsonValue
        const candidate = { eventType: "A", payload: json, tags: [] }
        for (const predicate of [json, copied(json), partOf(from, json)]) {
          assert.ok(EventQuery.matches(EventQuery.withPayload(predicate), candidate))
        }
      }),
      { numRuns: 500 }
    )
  })

  it("pays no attention to the read cursor", () => {
    fc.assert(
      fc.property(choosing, fc.maxSafeNat(), (from, cursor) => {
        const log = events(from)
        const asked = query(from, log)
        for (const candidate of log) {
          assert.equal(EventQuery.matches(EventQuery.after(asked, cursor), candidate), matches(asked, candidate))
        }
      }),
      { numRuns: 300 }
    )
  })

  it("matches an alternative of queries where one of them matches", () => {
    fc.assert(
      fc.property(choosing, (from) => {
        const log = events(from)
        const [one, other] = [query(from, log), query(from, log)]
        for (const candidate of log) {
          const expected = matches(one, candidate) || matches(other, candidate)
          assert.equal(EventQuery.matches(EventQuery.or(one, other), candidate), expected)
        }
      }),
      { numRuns: 1_000 }
    )
  })

  it("matches nothing where there is no alternative, and everything where one is all events", () => {
    const candidate = { eventType: "A", payload: null, tags: [] }
    assert.equal(EventQuery.matches(EventQuery.or(), candidate), false)
    assert.equal(EventQuery.matches(EventQuery.or(EventQuery.or(), EventQuery.ofTypes("A")), candidate), true)
    assert.equal(EventQuery.matches(EventQuery.or(EventQuery.ofTypes("B"), EventQuery.all), candidate), true)
  })
})

const shuffled = <A>(from: Choices, items: ReadonlyArray<A>): Array<A> => {
  const rest = [...items]
  const result: Array<A> = []
  while (rest.length > 0) result.push(...rest.splice(from.below(rest.length), 1))
  return result
}

/** Shuffled, with some items twice. */
const repeated = <A>(from: Choices, items: ReadonlyArray<A>): Array<A> => {
  const twice = from.chance(30) ? from.some(items, 50) : []
  return shuffled(from, [...items, ...twice])
}

/** The same value with the keys of its objects in another order; the order of arrays is left alone. */
const reordered = (from: Choices, value: JsonValue): JsonValue => {
  if (value === null || typeof value !== "object") return value
  if (Array.isArray(value)) return (value as ReadonlyArray<JsonValue>).map((element) => reordered(from, element))
  const entries = shuffled(from, Object.entries(value))
  return Object.fromEntries(entries.map(([key, member]) => [key, reordered(from, member)] as const))
}

const rewritten = (from: Choices, { filters }: EventQuery.EventQuery): EventQuery.EventQuery => ({
  ...(filters && {
    filters: repeated(from, filters).map(({ eventTypes, payloadPredicates, tags }) => ({
      ...(tags && { tags: repeated(from, tags) }),
      ...(payloadPredicates && {
        payloadPredicates: repeated(
          from,
          payloadPredicates.map((it) => reordered(from, it))
        )
      }),
      ...(eventTypes && { eventTypes: repeated(from, eventTypes) })
    }))
  }),
  ...(from.chance(30) ? { minSequenceNumber: from.below(100) } : {})
})

/** The same query with one thing changed, which need not change its meaning. */
const altered = (from: Choices, asked: EventQuery.EventQuery, log: ReadonlyArray<Event>): EventQuery.EventQuery => {
  const filters = asked.filters ?? []
  if (filters.length === 0) return query(from, log)
  const at = from.below(filters.length)
  return {
    filters: filters.map((filter, index) => {
      if (index !== at) return filter
      const { eventTypes: types, payloadPredicates } = filter
      if (payloadPredicates && payloadPredicates.length > 0 && from.chance(60)) {
        return { ...filter, payloadPredicates: payloadPredicates.map((it) => mutated(from, it)) }
      }
      return from.chance(50)
        ? { ...filter, tags: [...(filter.tags ?? []), from.of(tags)] }
        : { ...filter, eventTypes: [...(types ?? []), from.of(eventTypes)] }
    })
  }
}

describe("the canonical text of a query", () => {
  it("is the same whatever the order and the repetition of its parts", () => {
    fc.assert(
      fc.property(choosing, (from) => {
        const asked = query(from, events(from))
        assert.equal(EventQuery.canonical(rewritten(from, asked)), EventQuery.canonical(asked))
      }),
      { numRuns: 2_000 }
    )
  })

  it("differs where the meaning differs", () => {
    let different = 0
    fc.assert(
      fc.property(choosing, (from) => {
        const log = events(from)
        const one = query(from, log)
        for (const other of [altered(from, one, log), query(from, log)]) {
          const sameText = EventQuery.canonical(one) === EventQuery.canonical(other)
          const sameMeaning = log.every((candidate) => matches(one, candidate) === matches(other, candidate))
          if (!sameMeaning) different++
          assert.ok(sameMeaning || !sameText, `one text for ${JSON.stringify([one, other])}`)
        }
      }),
      { numRuns: 3_000 }
    )
    assert.ok(different > 1_000, `only ${different} pairs differed in meaning`)
  })

  it("tells apart what is easily written alike", () => {
    const texts = [
      {},
      { filters: [{ eventTypes: [] }] },
      EventQuery.ofTypes("a"),
      EventQuery.ofTypes("a", "b"),
      EventQuery.ofTypes("a,b"),
      EventQuery.ofTypes('a","b'),
      EventQuery.withTags("a"),
      EventQuery.withTags("a", "b"),
      EventQuery.withTags("a,b"),
      EventQuery.make({ eventTypes: ["a"], tags: ["b"] }),
      EventQuery.make({ eventTypes: ["a"] }, { tags: ["b"] }),
      EventQuery.make({ tags: ["a"] }, { tags: ["b"] }),
      EventQuery.withPayload("a"),
      EventQuery.withPayload("a", "b"),
      EventQuery.withPayload(["a", "b"]),
      EventQuery.withPayload(["a"], ["b"]),
      EventQuery.withPayload(null),
      EventQuery.withPayload("null"),
      EventQuery.withPayload({}),
      EventQuery.withPayload([]),
      EventQuery.withPayload({ a: 1 }),
      EventQuery.withPayload({ a: "1" }),
      EventQuery.withPayload({ a: 1, b: 2 }),
      EventQuery.withPayload({ a: 1 }, { b: 2 }),
      EventQuery.withPayload({ "a.b": 1 }),
      EventQuery.withPayload({ a: { b: 1 } }),
      EventQuery.withPayload({ 'a":1,"b': 1 }),
      EventQuery.withPayload(JSON.parse('{"__proto__":1}')),
      EventQuery.withPayload(0.1 + 0.2),
      EventQuery.withPayload(0.3)
    ].map(EventQuery.canonical)
    assert.equal(new Set(texts).size, texts.length)
  })

  it("leaves out what does not change the meaning", () => {
    const all = EventQuery.canonical(EventQuery.all)
    for (const same of [{ filters: [] }, EventQuery.make({}), EventQuery.make({ tags: [] }), EventQuery.after({}, 9)]) {
      assert.equal(EventQuery.canonical(same), all)
    }
    const minusZero = EventQuery.canonical(EventQuery.withPayload({ a: -0 }))
    assert.equal(minusZero, EventQuery.canonical(EventQuery.withPayload({ a: 0 })))
  })
})
