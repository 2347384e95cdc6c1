/** What was answered is in the file: after closing, after a kill, and when writing fails. */
import { existsSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { beforeAll, describe, expect } from "vitest"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import { closable, event, logOf, numbersOf, range } from "../../../src/testing/conformance/expectations.ts"
import { compilePrograms } from "../../support/compiled.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"
import { startAppender } from "./processes.ts"

describe("a log that is opened again", () => {
  itEffect("goes on where it ended, and leaves nothing beside the file while it is closed", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      for (let number = 1; number <= 5; number++) {
        const { close, store } = yield* closable(SqliteStore.make({ file, indexEvery: 2 }))
        const { firstSequenceNumber } = yield* store.append([event("A", number)])
        expect(firstSequenceNumber).toBe(number)
        expect((yield* logOf(store)).map((record) => record.payload)).toEqual(range(1, number))
        yield* close
        yield* close
        expect(existsSync(`${file}-wal`)).toBe(false)
      }
    })
  )

  itEffect("holds what was answered before it was closed, and nothing that was refused", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const { close, store } = yield* closable(SqliteStore.make({ file }))
      const appends = yield* Effect.forEach(range(1, 40), (number) =>
        Effect.forkScoped(store.append(range(1, 300).map(() => event("A", number))), { startImmediately: true })
      )
      yield* Fiber.await(appends[3]!)
      yield* close
      const exits = yield* Effect.forEach(appends, (append) => Fiber.await(append))
      const answered = exits.flatMap((exit, index) => (Exit.isSuccess(exit) ? [index + 1] : []))
      const log = yield* logOf(yield* SqliteStore.make({ file }))
      expect([...new Set(log.map((record) => record.payload))]).toEqual(answered)
      expect(log.length).toBe(answered.length * 300)
      expect(answered.length).toBeGreaterThan(0)
    })
  )
})

describe("a log whose process ends badly", () => {
  beforeAll(compilePrograms, 90_000)

  itEffect("holds everything that was answered before a kill", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      for (let round = 0; round < 2; round++) {
        const process = yield* startAppender({ file, type: "A", count: 0 })
        yield* process.ready
        yield* process.go
        yield* process.answered(20)
        yield* process.kill
        const log = yield* Effect.scoped(Effect.flatMap(SqliteStore.make({ file }), logOf))
        expect(numbersOf(log)).toEqual(range(1, log.length))
        expect(log.length).toBeGreaterThanOrEqual(process.numbers.at(-1)!)
      }
    })
  )

  itEffect("holds what was answered and not what failed when the file cannot grow", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const process = yield* startAppender({ file, type: "A", count: 0, bytes: 50_000, limit: "-f 2048" })
      yield* process.ready
      yield* process.go
      const end = yield* process.end
      expect(end).toMatch(/^(StoreUnavailable|StorageFull|CommitUnknown)$/)
      expect(process.numbers.length).toBeGreaterThan(10)
      const store = yield* SqliteStore.make({ file })
      const numbers = numbersOf(yield* logOf(store))
      const mayHaveOneMore = end === "CommitUnknown" && numbers.length === process.numbers.length + 1
      expect(numbers).toEqual(range(1, process.numbers.length + (mayHaveOneMore ? 1 : 0)))
      const { lastSequenceNumber } = yield* store.append([event("A")])
      expect(lastSequenceNumber).toBe(numbers.length + 1)
    })
  )
})
