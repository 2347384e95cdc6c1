/**
 * What the index finds comes joined, many events as one text a column: nothing that an event may contain takes it apart at
 * another place.
 */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import type { NewEvent } from "../../../src/stores/Event.ts"
import * as Query from "../../../src/stores/EventQuery.ts"
import { numbersOf } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { applicationPool, ownLog } from "./logs.ts"

/** An index over the whole log, and a store that has none of the log in memory. */
const indexedLog = (events: ReadonlyArray<NewEvent>) =>
  Effect.gen(function* () {
    const log = yield* ownLog
    yield* Effect.scoped(Effect.flatMap(log.open(), (writer) => writer.append(events)))
    yield* log.query(`SELECT "${log.schema}".write_index(10000)`)
    const pool = yield* applicationPool(log.url)
    return { store: yield* log.open({ url: undefined, pool, listen: false }) }
  })

describe("events that the index finds", () => {
  const awkward = [
    "\u001e",
    "a\u001eb",
    '","',
    "'",
    '"',
    "\\",
    ",",
    "[",
    "]",
    "{}",
    "null",
    "NULL",
    "1",
    " ",
    "\n",
    "é",
    "😀"
  ]
  const events: ReadonlyArray<NewEvent> = awkward.flatMap((text, index): ReadonlyArray<NewEvent> => [
    { eventType: text, payload: null, tags: ["all"] },
    {
      eventType: "Plain",
      payload: { text, [text]: [text] },
      tags: ["all", text].toSorted(),
      metadata: { [text]: text }
    },
    { eventType: `Plain ${index % 2}`, payload: text, tags: ["all"], schemaVersion: Number.MAX_SAFE_INTEGER - index },
    { eventType: text, payload: "x".repeat(1_000 * index), tags: ["all", "z".repeat(255)], metadata: { a: "" } }
  ])

  itEffect("come back as they were recorded, whatever is in their types, payloads, tags and metadata", () =>
    Effect.gen(function* () {
      const { store } = yield* indexedLog(events)
      const { eventRecords } = yield* store.query()
      expect(eventRecords).toHaveLength(events.length)
      expect(eventRecords).toMatchObject(events)
      const isFound = (query: Query.EventQuery) => Effect.map(store.query(query), (found) => found.eventRecords)
      expect(yield* isFound(Query.withTags("all"))).toEqual(eventRecords)
      const each = yield* Effect.forEach(awkward, (text) => isFound(Query.ofTypes(text)), { concurrency: "unbounded" })
      for (const [index, text] of awkward.entries()) {
        expect(each[index]).toEqual(eventRecords.filter(({ eventType }) => eventType === text))
        expect(each[index]).toHaveLength(2)
        expect(numbersOf(yield* isFound(Query.withTags(text)))).toEqual([4 * index + 2])
        expect(numbersOf(yield* isFound(Query.withPayload({ [text]: [text] })))).toEqual([4 * index + 2])
        expect(numbersOf(yield* isFound(Query.withPayload(text)))).toEqual([4 * index + 3])
      }
    })
  )
})
