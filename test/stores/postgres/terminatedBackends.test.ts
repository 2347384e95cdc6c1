/** An administrator ends the store's sessions, while they are idle or at work: the store makes new ones, and loses nothing. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { withTags } from "../../../src/stores/EventQuery.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { inTime, logOf, numbersOf, range, recorder } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownSchema } from "../../support/postgres.ts"
import { proxyTo } from "../../support/postgresProxy.ts"
import { errorResponse } from "../../support/wireProtocol.ts"
import { appended, expectTrueAnswers, reasonOf } from "./answers.ts"
import { startLoad } from "./load.ts"
import { repeatableRead, roleWith } from "./roles.ts"

/** Two stores of one role, whose sessions can be told from all others. */
const setUp = (settings: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const own = yield* ownSchema
    const role = yield* roleWith(own, settings)
    const open = PostgresStore.make({ url: role.url, schema: own.schema, resolveTimeout: 15_000, indexEvery: 64 })
    const terminate = Effect.map(
      own.query<{ ended: boolean }>(
        "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity WHERE usename = $1",
        [role.role]
      ),
      (rows) => rows.length
    )
    return { ...own, terminate, stores: [yield* open, yield* open] as const }
  })

const farewell = errorResponse("57P01", "terminating connection due to administrator command", "FATAL")

describe("sessions that are terminated", () => {
  itEffect("while they are idle are replaced, and the next calls succeed", () =>
    Effect.gen(function* () {
      const { query, schema, stores, terminate } = yield* setUp({})
      const received = recorder()
      yield* stores[1].streamAll(received.handler)
      const all = []
      for (const n of range(1, 6)) {
        all.push(yield* appended(stores[0], `before ${n}`))
        expect(yield* terminate).toBeGreaterThan(0)
        // At once: the driver may not know yet that its connections are gone.
        all.push(yield* appended(stores[0], `after ${n}`))
        const seen = yield* Effect.retry(stores[1].query(withTags("nothing")), {
          while: ({ retryable }) => retryable,
          times: 5
        })
        expect(seen.headSequenceNumber).toBe(n * 4)
      }
      for (const call of all) expect(reasonOf(call), call.name).toBeUndefined()
      yield* expectTrueAnswers(query, schema, all)
      yield* received.received(12)
      expect(received.batches.flat()).toEqual(yield* logOf(stores[0]))
    })
  )

  itEffect("in the moment in which they begin are replaced, and crash nobody", () =>
    Effect.gen(function* () {
      const { query, schema, url } = yield* ownSchema
      const proxy = yield* proxyTo(url)
      const store = yield* PostgresStore.make({ url: proxy.url, schema, listen: false })
      const all = [yield* appended(store, "before")]
      const ended = new Set<number>()
      // The farewell comes together with the first sign that the session is ready, and the driver takes both at once.
      proxy.setRule(({ bytes, connection, direction, type }) => {
        if (direction !== "toClient" || type !== "Z" || ended.size === 3 || ended.has(connection)) return "forward"
        ended.add(connection)
        return { rewrite: Buffer.concat([bytes, farewell]) }
      })
      for (const n of range(1, 3)) {
        yield* proxy.disconnect()
        all.push(yield* appended(store, `after ${n}`))
      }
      expect(ended.size).toBe(3)
      for (const call of all) expect(reasonOf(call), call.name).toBeUndefined()
      yield* expectTrueAnswers(query, schema, all)
    })
  )

  for (const [how, settings] of [
    ["", {}],
    [", in transactions that the store opens,", repeatableRead]
  ] as const) {
    itEffect(`under load${how} lose nothing and double nothing, and streams go on`, () =>
      Effect.gen(function* () {
        const { query, schema, stores, terminate } = yield* setUp(settings)
        const streams = [recorder(), recorder()]
        const [mine, theirs] = [
          yield* stores[0].streamAll(streams[0]!.handler),
          yield* stores[1].streamAll(streams[1]!.handler)
        ]
        const load = yield* startLoad(stores, 6)
        for (let round = 1; round <= 12; round++) {
          yield* load.succeeds(20)
          yield* terminate
        }
        yield* load.succeeds(20)
        const calls = yield* load.stop
        for (const call of calls) {
          const reason = reasonOf(call)
          if (reason !== undefined) expect(reason).toMatchObject({ _tag: "StoreUnavailable", retryable: true })
        }
        yield* expectTrueAnswers(query, schema, calls)
        yield* inTime(Effect.all([mine.caughtUp, theirs.caughtUp]), "the streams catch up")
        const log = yield* logOf(stores[0])
        for (const { batches } of streams) expect(numbersOf(batches.flat())).toEqual(numbersOf(log))
      })
    )
  }
})
