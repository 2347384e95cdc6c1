/** What others have appended is read a thousand events at once; nobody sees a batch of which only a part has come. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as EventQuery from "../../../src/stores/EventQuery.ts"
import { NewestEvents } from "../../../src/stores/postgres/NewestEvents.ts"
import { event, numbersOf, range, recorder, times } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownLog } from "./logs.ts"

/** A row of a read for an event of a batch of three. */
const rowOf = (number: number) => {
  const batchEnd = Math.ceil(number / 3) * 3
  return ["1", String(number), `id ${number}`, "A", "1", "null", "[]", "{}", "0", String(batchEnd)]
}

/** What a read answers about a log of so many events, of which `numbers` are new. */
const answerOf = (head: number, through: number, numbers: ReadonlyArray<number>) => [
  ["0", String(head), null, null, "0", null, null, null, String(through), String(head)],
  ...numbers.map(rowOf)
]

describe("the newest events", () => {
  itEffect("end with a whole batch, whatever has come of the next one", () =>
    Effect.sync(() => {
      const newest = new NewestEvents(1_024)
      newest.take(answerOf(9, 0, range(1, 4)), 0)
      expect([newest.recent.head, newest.knownHead]).toEqual([3, 4])
      newest.take(answerOf(9, 0, range(5, 8)), 4)
      expect([newest.recent.head, newest.knownHead]).toEqual([6, 8])
      // The answer to a read that was sent before that one.
      newest.take(answerOf(9, 0, range(5, 7)), 4)
      expect([newest.recent.head, newest.knownHead]).toEqual([6, 8])
      newest.take(answerOf(9, 0, [9]), 8)
      expect([newest.recent.head, newest.knownHead]).toEqual([9, 9])
      expect(range(1, 9).map((number) => newest.recent.at(number).sequenceNumber)).toEqual(range(1, 9))
    })
  )

  itEffect("begin anew where the index has come further than the part of a batch that is known", () =>
    Effect.sync(() => {
      const newest = new NewestEvents(1_024)
      newest.take(answerOf(30, 0, range(1, 4)), 0)
      newest.take(answerOf(30, 10, range(11, 13)), 4)
      expect([newest.recent.base, newest.recent.head, newest.knownHead]).toEqual([10, 12, 13])
    })
  )

  itEffect("are not whole where the index ends within a batch, until they come to the log's end", () =>
    Effect.sync(() => {
      const newest = new NewestEvents(1_024)
      newest.take(answerOf(3, 0, range(1, 3)), 0)
      expect(newest.isWhole).toBe(true)
      newest.take(answerOf(12, 10, [11]), 3)
      expect([newest.recent.head, newest.isWhole]).toEqual([10, false])
      // The answer to a read that was sent before that one.
      newest.take(answerOf(11, 10, [11]), 3)
      expect(newest.isWhole).toBe(false)
      newest.take(answerOf(12, 10, [12]), 11)
      expect([newest.recent.head, newest.isWhole]).toEqual([12, true])
    })
  )
})

describe("a store that another one's appends come to by the thousand", () => {
  itEffect("gives whole batches to queries and streams, and does not stand still", () =>
    Effect.gen(function* () {
      const { open } = yield* ownLog
      const store = yield* open({ listen: false, pollInterval: 1 })
      const other = yield* open()
      const received = recorder()
      yield* store.streamAll(received.handler)
      const rounds = 40
      const batchesOf = (round: number) =>
        times(500, (batch) => times(3, (part) => event("Called", { round, batch, part })))
      const appending = Effect.forEach(range(1, rounds), (round) =>
        other.appendBatchesIf(batchesOf(round), EventQuery.withTags("none"), null)
      )
      const reading = Effect.gen(function* () {
        for (let head = 0; head < rounds * 1_500;) {
          const { eventRecords, headSequenceNumber } = yield* store.query(EventQuery.after(EventQuery.all, head))
          expect([eventRecords.length % 3, (headSequenceNumber ?? 0) % 3]).toEqual([0, 0])
          head = headSequenceNumber ?? 0
        }
      })
      yield* Effect.all([appending, reading], { concurrency: "unbounded" })
      yield* received.received(rounds * 500)
      expect(received.batches.every((batch) => batch.length === 3)).toBe(true)
      expect(numbersOf(received.batches.flat())).toEqual(range(1, rounds * 1_500))
    })
  )
})
