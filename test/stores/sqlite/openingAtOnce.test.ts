/** Many processes may open an empty database at once (L3), and append at once: one log, without gaps. */
import * as Effect from "effect/Effect"
import { beforeAll, describe, expect } from "vitest"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import { event, logOf, numbersOf, range } from "../../../src/testing/conformance/expectations.ts"
import { compilePrograms } from "../../support/compiled.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"
import { startAppender } from "./processes.ts"

describe("an empty database opened at once", () => {
  beforeAll(compilePrograms, 90_000)

  itEffect("by eight processes becomes one log that all of them append to", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const processes = yield* Effect.forEach(range(1, 8), (number) =>
        startAppender({ file, type: `Process${number}`, count: 25 })
      )
      for (const process of processes) yield* process.ready
      for (const process of processes) yield* process.go
      for (const process of processes) expect(yield* process.end).toBe("done")
      const log = yield* logOf(yield* SqliteStore.make({ file }))
      expect(numbersOf(log)).toEqual(range(1, 200))
      for (const [index, process] of processes.entries()) {
        const theirs = log.filter((record) => record.eventType === `Process${index + 1}`)
        expect(numbersOf(theirs)).toEqual(process.numbers)
      }
    })
  )

  itEffect("by eight stores of one process becomes one log", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const opened = yield* Effect.all(
        range(1, 8).map(() => SqliteStore.make({ file })),
        { concurrency: "unbounded" }
      )
      yield* Effect.all(
        opened.flatMap((store) => range(1, 5).map((number) => store.append([event("A", number)]))),
        { concurrency: "unbounded" }
      )
      for (const store of opened) expect(numbersOf(yield* logOf(store))).toEqual(range(1, 40))
    })
  )
})
