/** Many processes may open an empty database at once (L3), and append at once: one log, without gaps. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { event, logOf, numbersOf, range } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownDatabase } from "../../support/postgres.ts"
import { applicationPool, ownLog } from "./logs.ts"

const atOnce = { concurrency: "unbounded" } as const

/** Each of the stores appends at once; all of them see one log. */
const isOneLog = (stores: ReadonlyArray<EventStore>) =>
  Effect.gen(function* () {
    yield* Effect.all(
      stores.flatMap((store, index) => range(1, 5).map((number) => store.append([event(`Store${index}`, number)]))),
      atOnce
    )
    const log = yield* logOf(stores[0]!)
    expect(numbersOf(log)).toEqual(range(1, stores.length * 5))
    for (const index of stores.keys()) {
      const own = log.filter((record) => record.eventType === `Store${index}`)
      expect(own.map((record) => record.payload)).toEqual(range(1, 5))
    }
    for (const store of stores) expect(yield* logOf(store)).toEqual(log)
  })

describe("an empty database opened at once", () => {
  itEffect("by eight stores, each with connections of its own, becomes one log", () =>
    Effect.gen(function* () {
      const { open } = yield* ownLog
      yield* isOneLog(
        yield* Effect.all(
          range(1, 8).map(() => open()),
          atOnce
        )
      )
    })
  )

  itEffect("by eight stores on one pool becomes one log", () =>
    Effect.gen(function* () {
      const { open, url } = yield* ownLog
      const pool = yield* applicationPool(url)
      yield* isOneLog(
        yield* Effect.all(
          range(1, 8).map(() => open({ url: undefined, pool })),
          atOnce
        )
      )
    })
  )

  itEffect("by eight migrations becomes one log of one row, and each schema has its own", () =>
    Effect.gen(function* () {
      const { url } = yield* ownDatabase
      const migrations = range(1, 8).map((number) =>
        PostgresStore.migrate({ url, schema: number % 2 === 0 ? "a" : "b" })
      )
      yield* Effect.all(migrations, atOnce)
      const a = yield* PostgresStore.make({ url, schema: "a", migrate: false })
      const b = yield* PostgresStore.make({ url, schema: "b", migrate: false })
      yield* Effect.all([a.append([event("A")]), b.append([event("B1"), event("B2")])], atOnce)
      expect((yield* logOf(a)).map((record) => record.eventType)).toEqual(["A"])
      expect((yield* logOf(b)).map((record) => record.eventType)).toEqual(["B1", "B2"])
    })
  )
})
