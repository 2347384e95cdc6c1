/** A row that is missing, unreadable or out of place is `CorruptLog` naming its number (L2): never a shorter answer. */
import { inspect } from "node:util"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { describe, expect } from "vitest"
import type { EventQuery } from "../../../src/stores/EventQuery.ts"
import * as Query from "../../../src/stores/EventQuery.ts"
import { EventStoreError } from "../../../src/stores/EventStoreError.ts"
import { event, eventuallyState, failsWith, range, recorder } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { applicationPool, ownLog } from "./logs.ts"

/** Events in batches of three, all with one tag. */
const counted = (from: number, to: number) =>
  range(from, to).map((number) => event("Counted", { number, kind: "count" }, ["all", `n:${number}`]))

/** Twelve events; the index knows of the first so many. What was done to them is done behind the store's back. */
const logOfTwelve = (indexed: number, ...sql: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const log = yield* ownLog
    yield* Effect.scoped(
      Effect.flatMap(log.open(), (store) =>
        Effect.forEach([1, 4, 7, 10], (first) => store.append(counted(first, first + 2)))
      )
    )
    if (indexed > 0) yield* log.query(`SELECT "${log.schema}".write_index(${indexed})`)
    yield* log.tamper(...sql)
    return log
  })

const at7 = "WHERE sequence_number = 7"
const nullable = (column: string) => `ALTER TABLE events ALTER ${column} DROP NOT NULL`
const damages: ReadonlyArray<readonly [name: string, number: number, ...sql: ReadonlyArray<string>]> = [
  ["is missing in the middle", 7, `DELETE FROM events ${at7}`],
  ["is missing at the start", 1, "DELETE FROM events WHERE sequence_number = 1"],
  ["is missing at the end of its batch", 12, "DELETE FROM events WHERE sequence_number = 12"],
  ["is missing with the rest of its batch", 11, "DELETE FROM events WHERE sequence_number > 10"],
  ["has a payload that is no JSON", 7, `UPDATE events SET payload = '{"number":' ${at7}`],
  ["has no payload", 7, nullable("payload"), `UPDATE events SET payload = NULL ${at7}`],
  ["has no type", 7, nullable("event_type"), `UPDATE events SET event_type = NULL ${at7}`],
  ["has no schema version", 7, nullable("schema_version"), `UPDATE events SET schema_version = NULL ${at7}`],
  ["has two payloads, with a control character between them", 7, `UPDATE events SET payload = E'1\\x1e2' ${at7}`],
  ["has tags with a control character", 7, `UPDATE events SET tags = E'[]\\x1e[]' ${at7}`],
  ["has metadata with a control character", 7, `UPDATE events SET metadata = E'{}\\x1e{}' ${at7}`],
  ["has tags that are no JSON", 7, `UPDATE events SET tags = '[' ${at7}`],
  ["has tags that are no list", 7, `UPDATE events SET tags = '{}' ${at7}`],
  ["has tags that are no texts", 7, `UPDATE events SET tags = '[1]' ${at7}`],
  ["has metadata that are no JSON", 7, `UPDATE events SET metadata = '' ${at7}`],
  ["has metadata that are no object", 7, `UPDATE events SET metadata = 'null' ${at7}`],
  ["has a batch that ends before it", 7, `UPDATE events SET batch_end = 6 ${at7}`],
  ["has the number 0", 7, `UPDATE events SET sequence_number = 0 ${at7}`],
  ["has a number far away", 7, `UPDATE events SET sequence_number = 5000, batch_end = 5000 ${at7}`]
]

const queries: ReadonlyArray<readonly [string, EventQuery]> = [
  ["all events", Query.all],
  ["a tag", Query.withTags("all")],
  ["a type", Query.ofTypes("Counted")],
  ["a payload", Query.withPayload({ kind: "count" })],
  ["a payload that the index cannot find", Query.withPayload({})]
]

for (const indexed of [12, 0]) {
  describe(`an event of a log whose index knows of ${indexed}`, () => {
    for (const [name, number, ...sql] of damages) {
      itEffect(`that ${name} is named by queries and conditional appends`, () =>
        Effect.gen(function* () {
          const { open, query: ask, schema, url } = yield* logOfTwelve(indexed, ...sql)
          const options = { url: undefined, pool: yield* applicationPool(url), listen: false }
          for (const [what, query] of queries) {
            const opened = yield* Effect.result(open(options))
            const calls =
              opened._tag === "Failure"
                ? [Effect.fail(opened.failure)]
                : [
                    opened.success.query(query),
                    opened.success.appendIf([event("B")], query, null, { headSequenceNumber: 0, conflictTail: true }),
                    opened.success.appendIf([event("B")], query, null, { conflictTail: true })
                  ]
            for (const call of calls) {
              const { sequenceNumber } = yield* failsWith<"CorruptLog", never>("CorruptLog", call, what)
              expect(sequenceNumber, what).toBe(name.endsWith("far away") && indexed === 12 ? 13 : number)
            }
          }
          expect(yield* ask(`SELECT FROM "${schema}".events WHERE event_type = 'B'`)).toEqual([])
        })
      )
    }
  })
}

describe("batches that are gone from the end", () => {
  const gone = "DELETE FROM events WHERE sequence_number > 9"

  itEffect("are named where the index knows of them", () =>
    Effect.gen(function* () {
      const { open, query, schema } = yield* logOfTwelve(12, gone)
      expect((yield* failsWith("CorruptLog", Effect.scoped(open()))).sequenceNumber).toBe(10)
      expect(yield* query(`SELECT FROM "${schema}".events`)).toHaveLength(9)
    })
  )

  itEffect("are named by a store that knows of them, whatever it is asked to do", () =>
    Effect.gen(function* () {
      const { open, tamper } = yield* logOfTwelve(0)
      const store = yield* open()
      yield* tamper(gone)
      for (const [what, query] of queries) {
        expect((yield* failsWith("CorruptLog", store.query(query), what)).sequenceNumber).toBe(10)
        const checked = yield* failsWith("CorruptLog", store.appendIf([event("B")], query, 12), what)
        expect(checked.sequenceNumber).toBe(10)
      }
    })
  )

  itEffect("are not appended over where the index knows of them", () =>
    Effect.gen(function* () {
      const { open, query, schema, tamper } = yield* logOfTwelve(12)
      const store = yield* open()
      yield* tamper(gone)
      expect((yield* failsWith("CorruptLog", store.append([event("B")]))).sequenceNumber).toBe(10)
      expect(yield* query(`SELECT FROM "${schema}".events`)).toHaveLength(9)
    })
  )

  itEffect("are missed where nothing remembers them: the one loss that L2 cannot see", () =>
    Effect.gen(function* () {
      const { open } = yield* logOfTwelve(0, gone)
      expect((yield* (yield* open()).query()).headSequenceNumber).toBe(9)
    })
  )
})

describe("a store that is open", () => {
  itEffect("refuses to judge a context on newer events of which one is missing, and appends nothing", () =>
    Effect.gen(function* () {
      const { open, query, schema, tamper } = yield* ownLog
      const store = yield* open()
      const other = yield* open()
      yield* store.append(counted(1, 3))
      yield* other.append(counted(4, 6))
      yield* tamper("DELETE FROM events WHERE sequence_number = 5")
      const options = { headSequenceNumber: 3 }
      const refused = store.appendIf([event("B")], Query.withTags("n:5"), null, options)
      expect((yield* failsWith("CorruptLog", refused)).sequenceNumber).toBe(5)
      expect(yield* query(`SELECT FROM "${schema}".events WHERE event_type = 'B'`)).toEqual([])
    })
  )

  itEffect("stops a stream at an event that cannot be read, after all that came before it", () =>
    Effect.gen(function* () {
      const { open, query, schema } = yield* ownLog
      const store = yield* open({ pollInterval: 1 })
      yield* store.append(counted(1, 3))
      const received = recorder()
      const stream = yield* store.streamAll(received.handler, { retry: Schedule.recurs(1_000) })
      const insert = (number: number, payload: string) =>
        query(
          `INSERT INTO "${schema}".events SELECT $1, gen_random_uuid(), event_type, 1, $2, tags, metadata, occurred_at, $1, keys
           FROM "${schema}".events WHERE sequence_number = 1`,
          [number, payload]
        )
      yield* insert(4, "{}")
      yield* received.received(1)
      yield* insert(5, "{")
      yield* eventuallyState(stream, "stopped")
      const { lastError, position } = yield* stream.status
      expect(position).toBe(4)
      expect(received.numbers()).toEqual([[4]])
      expect(lastError).toBeInstanceOf(EventStoreError)
      expect(lastError).toMatchObject({ reason: { _tag: "CorruptLog", sequenceNumber: 5 } })
    })
  )

  itEffect("does not show the content of the event that it cannot read", () =>
    Effect.gen(function* () {
      const { open } = yield* logOfTwelve(12, `UPDATE events SET payload = '"secret' ${at7}`)
      const failure = yield* Effect.flip((yield* open()).query())
      expect(failure.reason.message).toContain("7")
      expect(failure.reason.retryable).toBe(false)
      expect(inspect(failure, { depth: 9 }) + JSON.stringify(failure)).not.toContain("secret")
    })
  )
})

describe("an entry of the index", () => {
  itEffect("that is gone hides its event from lookups: the index is not checked against the log", () =>
    Effect.gen(function* () {
      const { open } = yield* logOfTwelve(12, "DELETE FROM event_index WHERE sequence_number = 3")
      const store = yield* open()
      expect((yield* store.query(Query.withTags("n:3"))).currentContextVersion).toBe(null)
      expect((yield* store.query()).eventRecords).toHaveLength(12)
    })
  )
})
