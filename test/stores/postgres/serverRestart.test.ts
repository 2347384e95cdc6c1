/** The server is restarted under load, cleanly or by a crash: every success is in the log, and the stores recover by themselves. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { inTime, logOf, recorder } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownServer, rawConnection } from "../../support/postgres.ts"
import { expectTrueAnswers, reasonOf } from "./answers.ts"
import { startLoad } from "./load.ts"

describe("a server that is restarted under load", () => {
  itEffect(
    "has every success once and no failure, and streams go on",
    () =>
      Effect.gen(function* () {
        const server = yield* ownServer()
        const schema = "restarted"
        const open = PostgresStore.make({ url: server.url, schema, resolveTimeout: 15_000, indexEvery: 64 })
        const stores = [yield* open, yield* open]
        const streams = [recorder(), recorder()]
        const running = yield* Effect.forEach(stores, (store, n) => store.streamAll(streams[n]!.handler))
        const load = yield* startLoad(stores, 5)
        for (const mode of ["fast", "immediate", "immediate"] as const) {
          yield* load.succeeds(40)
          yield* server.restart(mode)
        }
        yield* load.succeeds(40)
        const calls = yield* load.stop
        const { query } = yield* rawConnection(server.url)
        yield* expectTrueAnswers(query, schema, calls)
        // Each store had the time to find out, and did.
        expect(calls.filter((call) => reasonOf(call)?.mayHaveCommitted === true)).toEqual([])
        yield* inTime(Effect.all(running.map(({ caughtUp }) => caughtUp)), "the streams catch up")
        const log = yield* logOf(stores[0]!)
        for (const { batches } of streams) expect(batches.flat()).toEqual(log)
        for (const stream of running) expect((yield* stream.status).state).toBe("running")
      }),
    { timeout: 60_000 }
  )
})
