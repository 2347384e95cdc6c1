/** When a process writes the index: for enough events at once, and not for the few that another is about to write. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import type { Database } from "../../../src/stores/postgres/Database.ts"
import { Indexing } from "../../../src/stores/postgres/indexing.ts"
import { NewestEvents } from "../../../src/stores/postgres/NewestEvents.ts"
import { statements } from "../../../src/stores/postgres/statements.ts"
import { eventually } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"

/** A process that writes the index for four events, and a server that answers when it is told to. */
const indexingOfFour = Effect.gen(function* () {
  const newest = new NewestEvents(4)
  const asked: Array<Deferred.Deferred<void>> = []
  const database = {
    write: () =>
      Effect.gen(function* () {
        const through = newest.recent.head
        const answered = yield* Deferred.make<void>()
        asked.push(answered)
        yield* Deferred.await(answered)
        return [[String(through)]]
      })
  }
  const indexing = new Indexing(database as unknown as Database, statements("evolvent"), newest, 4)
  yield* Effect.forkScoped(indexing.run)
  const commit = (head: number, payloadLength = 1) =>
    Effect.gen(function* () {
      while (newest.recent.head < head) {
        const sequenceNumber = newest.recent.head + 1
        const eventId = `0192f0c1-2a3b-7c4d-8e5f-6071829300${sequenceNumber + 10}`
        newest.add(
          {
            sequenceNumber,
            eventId,
            eventType: "A",
            schemaVersion: 1,
            payload: 1,
            tags: [],
            metadata: {},
            occurredAt: 0
          },
          sequenceNumber,
          payloadLength
        )
        yield* indexing.committed(sequenceNumber)
      }
      for (let turn = 0; turn < 10; turn++) yield* Effect.yieldNow
    })
  return { asked, commit, newest }
})

describe("the index", () => {
  itEffect("is written for as many as are enough; what comes meanwhile waits for more", () =>
    Effect.gen(function* () {
      const { asked, commit, newest } = yield* indexingOfFour
      yield* commit(3)
      expect(asked.length).toBe(0)
      yield* commit(4)
      expect(asked.length).toBe(1)
      yield* commit(7)
      yield* Deferred.succeed(asked[0]!, undefined)
      yield* eventually("the index is known to be written", () => newest.indexedThrough === 4)
      yield* commit(7)
      expect(asked.length).toBe(1)
      yield* commit(8)
      expect(asked.length).toBe(2)
    })
  )

  itEffect("is written again at once where enough has come meanwhile", () =>
    Effect.gen(function* () {
      const { asked, commit } = yield* indexingOfFour
      yield* commit(4)
      yield* commit(8)
      yield* Deferred.succeed(asked[0]!, undefined)
      yield* eventually("the index is written again", () => asked.length === 2)
    })
  )

  itEffect("is written for as many kibibytes as are enough, those included that came while it was written", () =>
    Effect.gen(function* () {
      const { asked, commit, newest } = yield* indexingOfFour
      yield* commit(1, 5 * 1_024)
      expect(asked.length).toBe(1)
      yield* commit(2, 3 * 1_024)
      yield* Deferred.succeed(asked[0]!, undefined)
      yield* eventually("the index is known to be written", () => newest.indexedThrough === 1)
      yield* commit(2)
      expect(asked.length).toBe(1)
      yield* commit(3, 1_024)
      expect(asked.length).toBe(2)
    })
  )

  itEffect("is left to whoever has written it last, until it is late", () =>
    Effect.gen(function* () {
      const { asked, commit, newest } = yield* indexingOfFour
      yield* commit(3)
      newest.indexed(3)
      yield* commit(8)
      expect(asked.length).toBe(0)
      yield* commit(9)
      expect(asked.length).toBe(1)
      yield* Deferred.succeed(asked[0]!, undefined)
      yield* eventually("the index is known to be written", () => newest.indexedThrough === 9)
      yield* commit(13)
      expect(asked.length).toBe(2)
    })
  )
})
