/** A log of odd and of regular events, queries for them, and what the matcher says of both: what an index must not change. */
import * as Result from "effect/Result"
import type { EventRecord, NewEvent } from "../../src/stores/Event.ts"
import type { EventQuery } from "../../src/stores/EventQuery.ts"
import * as Query from "../../src/stores/EventQuery.ts"
import { numbersOf, range } from "../../src/testing/conformance/expectations.ts"
import { eventTypes, payload, seeded, tags } from "./generated.ts"

export const size = 5_000
export const choices = seeded(7, 400_000)

/** Odd events, and regular ones among which a few are looked for. */
export const events: ReadonlyArray<NewEvent> = range(1, size).map((number) =>
  choices.chance(50)
    ? {
        eventType: choices.of(eventTypes),
        payload: payload(choices),
        tags: choices.times(choices.below(4), () => choices.of(tags))
      }
    : {
        eventType: choices.of(["Sold", "Refunded"]),
        payload: { sale: `s${choices.below(100)}`, seat: { row: choices.below(20), place: number % 7 }, paid: true },
        tags: [`buyer:${choices.below(300)}`, "ticket"]
      }
)

/** A query for some of the regular events. */
export const regular = (): EventQuery => {
  const sale = `s${choices.below(110)}`
  const buyer = `buyer:${choices.below(310)}`
  const row = choices.below(21)
  return choices.of<EventQuery>([
    Query.withPayload({ sale }),
    Query.withPayload({ seat: { row }, sale }),
    Query.withPayload({ sale }, { sale: "s1", seat: { place: 3 } }),
    Query.withTags(buyer),
    Query.withTags("ticket", buyer),
    Query.make({ eventTypes: ["Sold"], tags: [buyer] }),
    Query.make({ eventTypes: ["Refunded", "None"], payloadPredicates: [{ sale }] }),
    Query.make({ eventTypes: ["Sold"], tags: [buyer], payloadPredicates: [{ paid: true }, { seat: { row } }] }),
    Query.or(Query.withTags(buyer), Query.withPayload({ seat: { row, place: 6 } })),
    Query.withPayload({ paid: true }),
    Query.withPayload({ paid: false }),
    Query.ofTypes("None")
  ])
}

/** The answer to a query, by the matcher over the whole log. */
export const expectedOf = (log: ReadonlyArray<EventRecord>, asked: EventQuery, after: number, upTo = size) => {
  const matches = log.slice(0, upTo).filter(Result.getOrThrow(Query.matcher(asked)))
  return {
    numbers: numbersOf(matches.filter((record) => record.sequenceNumber > after)),
    version: matches.at(-1)?.sequenceNumber ?? null
  }
}

/** A payload with 502 scalars. */
export const wide = (marker: string) => ({
  many: Object.fromEntries(range(1, 300).map((number) => [`key${number}`, number])),
  list: range(1, 200),
  last: marker
})

/** Queries as large as the contract allows. */
export const large: ReadonlyArray<readonly [string, EventQuery]> = [
  ["10,000 event types", Query.ofTypes(...range(1, 9_998).map((number) => `Type${number}`), "Sold", "Refunded")],
  ["256 filters", Query.make(...range(1, 256).map((number) => ({ eventTypes: ["Sold"], tags: [`buyer:${number}`] })))],
  [
    "256 filters of 39 terms each",
    Query.make(
      ...range(1, 256).map((number) => ({
        eventTypes: ["Sold", ...range(1, 20).map((other) => `Other${other}`)],
        payloadPredicates: range(1, 17).map((row) => ({ seat: { row }, sale: `s${number}` })),
        tags: ["ticket"]
      }))
    )
  ],
  ["2,000 predicates", Query.withPayload(...range(1, 2_000).map((number) => ({ sale: `s${number}`, paid: true })))],
  [
    "300 predicates of ten scalars",
    Query.withPayload(...range(1, 300).map((n) => ({ sale: `s${n}`, seat: { row: 3 } })))
  ],
  ["9,999 tags", Query.or(Query.withTags("ticket"), Query.withTags(...range(1, 9_999).map((number) => `tag${number}`)))]
]
