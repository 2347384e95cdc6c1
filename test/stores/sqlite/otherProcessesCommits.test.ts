/** What another process commits to the file is seen by every query and append at once, and by streams soon. */
import * as Effect from "effect/Effect"
import { beforeAll, describe, expect } from "vitest"
import { withTags } from "../../../src/stores/EventQuery.ts"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import { event, failsWith, logOf, numbersOf, range, recorder } from "../../../src/testing/conformance/expectations.ts"
import { compilePrograms } from "../../support/compiled.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"
import { startAppender } from "./processes.ts"

const two = Effect.gen(function* () {
  const file = yield* temporaryFile
  const mine = yield* SqliteStore.make({ file })
  const theirs = yield* SqliteStore.make({ file })
  return { file, mine, theirs }
})

describe("what another store on the same file commits", () => {
  itEffect("is in the next query, and what comes after it goes on with its numbers", () =>
    Effect.gen(function* () {
      const { mine, theirs } = yield* two
      for (let number = 1; number <= 20; number += 2) {
        yield* mine.append([event("Mine")])
        yield* theirs.append([event("Theirs")])
        expect(numbersOf(yield* logOf(mine))).toEqual(range(1, number + 1))
        expect(yield* logOf(theirs)).toEqual(yield* logOf(mine))
      }
    })
  )

  itEffect("conflicts with a condition on what was read before, and comes with the conflict", () =>
    Effect.gen(function* () {
      const { mine, theirs } = yield* two
      const context = withTags("seat")
      yield* mine.append([event("Held", 1, ["seat"])])
      yield* theirs.append([event("Other"), event("Sold", 2, ["seat"])])
      const options = { headSequenceNumber: 1, conflictTail: true }
      const conflict = yield* failsWith(
        "ConditionalAppendConflict",
        mine.appendIf([event("Sold", 3, ["seat"])], context, 1, options)
      )
      expect(conflict).toMatchObject({ expected: 1, actual: 3, headSequenceNumber: 3 })
      expect(conflict.tail).toEqual((yield* logOf(theirs)).slice(2))
      yield* mine.appendIf([event("Returned", 3, ["seat"])], context, 3, { headSequenceNumber: 3 })
      expect((yield* theirs.query(context)).currentContextVersion).toBe(4)
    })
  )

  itEffect("reaches streams of both, batch by batch and in order", () =>
    Effect.gen(function* () {
      const { mine, theirs } = yield* two
      const received = [recorder(), recorder()]
      yield* mine.streamAll(received[0]!.handler)
      yield* theirs.streamAll(received[1]!.handler)
      yield* Effect.all(
        [mine, theirs, mine, theirs].map((store) => store.append([event("A"), event("B")])),
        { concurrency: "unbounded" }
      )
      for (const one of received) yield* one.received(4)
      const batches = [1, 3, 5, 7].map((first) => [first, first + 1])
      for (const one of received) expect(one.numbers()).toEqual(batches)
    })
  )

  itEffect("is known to a store that has seen nothing of it, however much it was", () =>
    Effect.gen(function* () {
      const { file, mine, theirs } = yield* two
      const late = yield* SqliteStore.make({ file, indexEvery: 10 })
      for (let round = 0; round < 30; round++) {
        yield* theirs.append(range(1, 100).map((number) => event("Many", number, [`round:${round}`])))
      }
      yield* mine.append([event("Mine", 0, ["round:29"])])
      for (const store of [mine, late]) {
        const { currentContextVersion, eventRecords } = yield* store.query(withTags("round:29"))
        expect(eventRecords.length).toBe(101)
        expect(currentContextVersion).toBe(3_001)
      }
      yield* late.append([event("Late", 0, ["round:0"])])
      expect((yield* mine.query(withTags("round:0"))).currentContextVersion).toBe(3_002)
    })
  )
})

describe("what another process commits", () => {
  beforeAll(compilePrograms, 90_000)

  itEffect("is seen by queries, conditions and streams, while this one appends too", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const mine = yield* SqliteStore.make({ file, busyTimeout: 20_000 })
      const received = recorder()
      yield* mine.streamAll(received.handler)
      const process = yield* startAppender({ file, type: "Theirs", count: 60 })
      yield* process.ready
      yield* process.go
      let appended = 0
      while (process.numbers.length < 60) {
        yield* mine.append([event("Mine")])
        appended++
        yield* process.answered(Math.min(60, process.numbers.length + 1))
      }
      expect(yield* process.end).toBe("done")
      const log = yield* logOf(mine)
      expect(numbersOf(log)).toEqual(range(1, 60 + appended))
      expect(numbersOf(log.filter((record) => record.eventType === "Theirs"))).toEqual(process.numbers)
      yield* received.received(log.length)
      expect(received.batches.flat()).toEqual(log)
    })
  )
})
