/**
 * Four processes on one log, their calls generated, what they were told checked against the log itself: appends, conditions,
 * queries and streams are as if they had happened one after the other, in an order that agrees with real time (A1, A2, C1, C2,
 * Q5, S2).
 */
import * as Effect from "effect/Effect"
import { beforeAll, describe, expect } from "vitest"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { logOf } from "../../../src/testing/conformance/expectations.ts"
import { compilePrograms } from "../../support/compiled.ts"
import { checkHistory, whyVoid } from "../../support/history/checkHistory.ts"
import { recordOperations } from "../../support/history/processes.ts"
import { itEffect } from "../../support/it.ts"
import { ownSchema } from "../../support/postgres.ts"

describe("what four processes were told", () => {
  beforeAll(compilePrograms, 90_000)

  itEffect(
    "is what one log can have told them, in the order of real time",
    () =>
      Effect.gen(function* () {
        const { schema, url } = yield* ownSchema
        const database = { url, schema, lockTimeout: 20_000 }
        // They read through the index more or less, and one has to look for the others' commits by itself.
        const stores = [
          { ...database, indexEvery: 16 },
          { ...database, indexEvery: 256 },
          { ...database, maxConnections: 1 },
          { ...database, listen: false, pollInterval: 20 }
        ]
        const operations = yield* recordOperations(
          stores.map((options, process) => {
            const location = { store: "postgres", options } as const
            return { process, seed: 1_000 * process + 7, operations: 400, workers: 3, location }
          })
        )
        const log = yield* logOf(yield* PostgresStore.make(database))
        expect(checkHistory({ log, operations }).slice(0, 10)).toEqual([])
        expect(whyVoid({ log, operations })).toBeUndefined()
      }),
    { timeout: 60_000 }
  )
})
