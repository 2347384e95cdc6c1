/** A log that would pass the last safe integer refuses the whole append with `SequenceLimit`. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as Query from "../../../src/stores/EventQuery.ts"
import { event, failsWith } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownLog } from "./logs.ts"

const last = Number.MAX_SAFE_INTEGER

/** A store on a log that claims to hold `head` events, of which only the last one can be read. */
const logThatEndsAt = (head: number, indexEvery?: number) =>
  Effect.gen(function* () {
    const log = yield* ownLog
    yield* Effect.scoped(Effect.flatMap(log.open(), (store) => store.append([event("Old", 1, ["t"])])))
    yield* log.query(`SELECT "${log.schema}".write_index(1)`)
    yield* log.tamper(
      `UPDATE events SET sequence_number = ${head}, batch_end = ${head}`,
      `UPDATE event_index SET sequence_number = ${head}`,
      `UPDATE log SET indexed_through = ${head}`
    )
    return { ...log, store: yield* log.open({ indexEvery }) }
  })

describe("a log near the last number", () => {
  itEffect("takes the last event, and refuses what would go beyond it as a whole", () =>
    Effect.gen(function* () {
      const { query, schema, store } = yield* logThatEndsAt(last - 1)
      const refused = yield* failsWith("SequenceLimit", store.append([event("A"), event("B")]))
      expect(refused).toMatchObject({ headSequenceNumber: last - 1, retryable: false, mayHaveCommitted: false })
      const batches = store.appendBatchesIf([[event("A")], [event("B")]], Query.ofTypes("New"), null, {
        headSequenceNumber: last - 1
      })
      yield* failsWith("SequenceLimit", batches)
      expect(yield* query(`SELECT FROM "${schema}".events`)).toHaveLength(1)
      const { firstSequenceNumber } = yield* store.append([event("New", 1, ["t"])])
      expect(firstSequenceNumber).toBe(last)
      const { eventRecords, headSequenceNumber } = yield* store.query(Query.after(Query.ofTypes("New"), last - 1))
      expect(eventRecords.map((record) => record.sequenceNumber)).toEqual([last])
      expect(headSequenceNumber).toBe(last)
      expect((yield* failsWith("SequenceLimit", store.append([event("C")]))).headSequenceNumber).toBe(last)
      expect(yield* query(`SELECT FROM "${schema}".events`)).toHaveLength(2)
    })
  )

  itEffect("takes one of several appends at once, and refuses the others without a gap", () =>
    Effect.gen(function* () {
      const { query, schema, store } = yield* logThatEndsAt(last - 3)
      const sizes = [2, 2, 1, 1]
      const tags = yield* Effect.forEach(
        sizes,
        (size) =>
          store.append(Array.from({ length: size }, () => event("A"))).pipe(
            Effect.map(({ lastSequenceNumber }) => lastSequenceNumber - last),
            Effect.catchTag("EventStoreError", ({ reason }) => Effect.succeed(reason._tag))
          ),
        { concurrency: "unbounded" }
      )
      expect(tags).toEqual([-1, "SequenceLimit", 0, "SequenceLimit"])
      const rows = yield* query(`SELECT sequence_number AS number FROM "${schema}".events ORDER BY 1`)
      expect(rows.map(({ number }) => Number(number) - last)).toEqual([-3, -2, -1, 0])
    })
  )

  itEffect("finds what it holds beyond 32 bits, in the index and in memory", () =>
    Effect.gen(function* () {
      for (const head of [2 ** 31 - 2, 2 ** 32, 2 ** 52]) {
        const { open, query, schema, store } = yield* logThatEndsAt(head)
        for (const number of [1, 2, 3]) {
          const options = { headSequenceNumber: head + number - 1 }
          const expected = number === 1 ? null : head + number - 1
          yield* store.appendIf([event("New", number, ["t"])], Query.ofTypes("New"), expected, options)
        }
        yield* query(`SELECT "${schema}".write_index(2)`)
        for (const one of [store, yield* open()]) {
          const { currentContextVersion, eventRecords } = yield* one.query(Query.after(Query.withTags("t"), head))
          expect(eventRecords.map((record) => record.sequenceNumber)).toEqual([head + 1, head + 2, head + 3])
          expect(currentContextVersion).toBe(head + 3)
          expect((yield* one.query(Query.after(Query.ofTypes("Old"), head))).currentContextVersion).toBe(head)
        }
      }
    })
  )
})
