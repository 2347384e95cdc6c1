/** A log that would pass the last safe integer refuses the whole append with `SequenceLimit`. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as Query from "../../../src/stores/EventQuery.ts"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import { event, failsWith } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"
import { tamper } from "./processes.ts"

const last = Number.MAX_SAFE_INTEGER

/** A store on a log that claims to hold `head` events, of which only the last one can be read. */
const logThatEndsAt = (head: number) =>
  Effect.gen(function* () {
    const file = yield* temporaryFile
    yield* Effect.scoped(Effect.flatMap(SqliteStore.make({ file }), (store) => store.append([event("Old", 1, ["t"])])))
    yield* tamper(
      file,
      `UPDATE evolvent_events SET sequence_number = ${head}, batch_end = ${head}`,
      `UPDATE evolvent_log SET indexed_through = ${head}`
    )
    return yield* SqliteStore.make({ file })
  })

describe("a log near the last number", () => {
  itEffect("takes the last event, and refuses what would go beyond it as a whole", () =>
    Effect.gen(function* () {
      const store = yield* logThatEndsAt(last - 1)
      const refused = yield* failsWith("SequenceLimit", store.append([event("A"), event("B")]))
      expect(refused.headSequenceNumber).toBe(last - 1)
      const batches = store.appendBatchesIf([[event("A")], [event("B")]], Query.ofTypes("New"), null, {
        headSequenceNumber: last - 1
      })
      yield* failsWith("SequenceLimit", batches)
      const { firstSequenceNumber } = yield* store.append([event("New", 1, ["t"])])
      expect(firstSequenceNumber).toBe(last)
      const { eventRecords, headSequenceNumber } = yield* store.query(Query.after(Query.ofTypes("New"), last - 1))
      expect(eventRecords.map((record) => record.sequenceNumber)).toEqual([last])
      expect(headSequenceNumber).toBe(last)
      yield* failsWith("SequenceLimit", store.append([event("C")]))
    })
  )

  itEffect("finds what it holds beyond 32 bits", () =>
    Effect.gen(function* () {
      for (const head of [2 ** 31 - 2, 2 ** 32, 2 ** 40]) {
        const store = yield* logThatEndsAt(head)
        for (const number of [1, 2, 3]) {
          const options = { headSequenceNumber: head + number - 1 }
          yield* store.appendIf(
            [event("New", number, ["t"])],
            Query.ofTypes("New"),
            number === 1 ? null : head + number - 1,
            options
          )
        }
        const { currentContextVersion, eventRecords } = yield* store.query(Query.after(Query.withTags("t"), head))
        expect(eventRecords.map((record) => record.sequenceNumber)).toEqual([head + 1, head + 2, head + 3])
        expect(currentContextVersion).toBe(head + 3)
      }
    })
  )
})
