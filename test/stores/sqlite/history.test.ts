/** What `test/stores/postgres/history.test.ts` checks of four processes on PostgreSQL, of two on one SQLite file. */
import * as Effect from "effect/Effect"
import { beforeAll, describe, expect } from "vitest"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import { logOf } from "../../../src/testing/conformance/expectations.ts"
import { compilePrograms } from "../../support/compiled.ts"
import { checkHistory, whyVoid } from "../../support/history/checkHistory.ts"
import { recordOperations } from "../../support/history/processes.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"

describe("what two processes were told", () => {
  beforeAll(compilePrograms, 90_000)

  itEffect(
    "is what one log can have told them, in the order of real time",
    () =>
      Effect.gen(function* () {
        const file = yield* temporaryFile
        const database = { file, busyTimeout: 20_000 }
        const operations = yield* recordOperations(
          [{ ...database, indexEvery: 16 }, database].map((options, process) => {
            const location = { store: "sqlite", options } as const
            return { process, seed: 1_000 * process + 7, operations: 600, workers: 3, location }
          })
        )
        const log = yield* logOf(yield* SqliteStore.make(database))
        expect(checkHistory({ log, operations }).slice(0, 10)).toEqual([])
        expect(whyVoid({ log, operations })).toBeUndefined()
      }),
    { timeout: 60_000 }
  )
})
