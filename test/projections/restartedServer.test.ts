/** PostgreSQL is restarted while a projection catches up, and listeners are lost: it goes on by itself, and counts exactly. */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import { describe } from "vitest"
import * as PostgresStore from "../../src/stores/postgres/PostgresStore.ts"
import { eventually, inTime, range, times } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { ownSchema, ownServer } from "../support/postgres.ts"
import { listing, makeModel, sold, startWorker } from "./sales.ts"

describe("a server that is restarted while a projection catches up", () => {
  itEffect(
    "leaves every event counted once, and the projection running",
    () =>
      Effect.gen(function* () {
        const server = yield* ownServer()
        const store = yield* PostgresStore.make({ url: server.url, schema: "restarted" })
        yield* Effect.forEach(range(1, 20), () => store.append(times(50, () => sold())), { concurrency: 8 })
        const model = yield* makeModel(store)
        let calls = 0
        const projection = listing(model, {
          handle: (events, transaction) => {
            calls += 1
            return Effect.andThen(model.handle(events, transaction), Effect.sleep("2 millis"))
          }
        })
        const worker = yield* startWorker(store, [projection])
        for (const mode of ["immediate", "fast"] as const) {
          const before = calls
          yield* eventually("it is under way", () => calls > before + 3)
          assert.ok((yield* worker.status(projection).pipe(Effect.orDie)).position < 1_000)
          yield* server.restart(mode)
        }
        yield* inTime(worker.waitFor(projection, 1_000, { timeout: "1 minute" }), "it catches up")
        assert.deepStrictEqual(yield* model.numbers, range(1, 1_000))
        assert.equal((yield* worker.status(projection)).state, "running")
      }),
    { timeout: 60_000 }
  )
})

describe("a listener that is lost", () => {
  itEffect("does not matter: what another process appended is handled", () =>
    Effect.gen(function* () {
      const own = yield* ownSchema
      const open = PostgresStore.make({ url: own.url, schema: own.schema })
      const [one, other] = [yield* open, yield* open]
      const model = yield* makeModel(one)
      const projection = listing(model)
      const worker = yield* startWorker(one, [projection])
      yield* other.append([sold()])
      yield* worker.waitFor(projection, 1)
      const lost = yield* own.query<{ readonly ended: boolean }>(
        `SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND query LIKE $1`,
        [`%${own.schema}%`]
      )
      assert.ok(lost.length > 0 && lost.every(({ ended }) => ended), `${lost.length}`)
      yield* other.append([sold()])
      yield* worker.waitFor(projection, 2)
      assert.deepStrictEqual(yield* model.numbers, [1, 2])
    })
  )
})
