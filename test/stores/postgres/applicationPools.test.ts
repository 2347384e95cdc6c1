/** An application's own pool: one connection is enough, it is given back as it was lent, and never ended by the store. */
import type { EventEmitter } from "node:events"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as pg from "pg"
import { describe, expect } from "vitest"
import * as EventQuery from "../../../src/stores/EventQuery.ts"
import type { PostgresOptions } from "../../../src/stores/postgres/PostgresStore.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import {
  closable,
  event,
  eventually,
  failsWith,
  inTime,
  logOf,
  numbersOf,
  range,
  recorder
} from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownSchema } from "../../support/postgres.ts"
import { forwardAll, proxyTo } from "../../support/postgresProxy.ts"
import { appended, expectTrueAnswers, reasonOf } from "./answers.ts"

/** A pool that the test ends, made of fields as applications do it, with every client that it has made. */
const ownPool = (url: string, config: pg.PoolConfig) =>
  Effect.gen(function* () {
    const { hostname, password, pathname, port, username } = new URL(url)
    const server = { host: hostname, port: Number(port), database: pathname.slice(1), user: username, password }
    const pool = yield* Effect.acquireRelease(
      Effect.sync(() => new pg.Pool({ ...server, ...config })),
      (opened) => Effect.promise(() => (opened.ended ? Promise.resolve() : opened.end()))
    )
    const clients = new Set<pg.PoolClient>()
    pool.on("connect", (client) => clients.add(client))
    pool.on("remove", (client) => clients.delete(client))
    return { pool, clients }
  })

const setUp = (config: pg.PoolConfig, options: PostgresOptions = {}) =>
  Effect.gen(function* () {
    const own = yield* ownSchema
    const proxy = yield* proxyTo(own.url)
    const { clients, pool } = yield* ownPool(proxy.url, config)
    const opened = yield* closable(PostgresStore.make({ pool, schema: own.schema, ...options }))
    return { ...own, ...opened, proxy, pool, clients }
  })

const areAllReturned = (pool: pg.Pool): boolean => pool.idleCount === pool.totalCount && pool.waitingCount === 0

for (const max of [1, 2]) {
  describe(`a pool of ${max === 1 ? "one connection" : "two connections"}`, () => {
    itEffect("is enough for appends, queries, large reads, the index and streams at once", () =>
      Effect.gen(function* () {
        const { close, pool, query, schema, store } = yield* setUp({ max }, { indexEvery: 8 })
        const received = recorder()
        const slow = recorder()
        yield* store.streamAll(received.handler)
        yield* store.streamTo(EventQuery.ofTypes("Called"), (batch) =>
          Effect.andThen(store.query(), slow.handler(batch))
        )
        const calls = yield* Effect.all(
          range(1, 60).map((n) =>
            n % 3 === 0
              ? Effect.map(store.query(EventQuery.withTags(`tag:${n}`)), () => undefined)
              : Effect.map(appended(store, `call ${n}`), (call) => call)
          ),
          { concurrency: "unbounded" }
        )
        const answered = calls.filter((call) => call !== undefined)
        for (const call of answered) expect(reasonOf(call), call.name).toBeUndefined()
        yield* expectTrueAnswers(query, schema, answered)
        const text = "x".repeat(900_000)
        for (const n of range(1, 10)) yield* store.append([event("Large", { n, text }, ["large"])])
        const reads = Effect.all(
          range(1, 3).map(() => store.query(EventQuery.withTags("large"))),
          { concurrency: "unbounded" }
        )
        const appends = Effect.all(
          range(1, 6).map((n) =>
            store.appendIf([event("Next", n, [`next:${n}`])], EventQuery.withTags(`next:${n}`), null)
          ),
          { concurrency: "unbounded" }
        )
        const [found] = yield* inTime(Effect.all([reads, appends], { concurrency: "unbounded" }), "both come to an end")
        for (const { eventRecords } of found) expect(eventRecords.length).toBe(10)
        yield* received.received(40 + 10 + 6)
        expect(numbersOf(received.batches.flat())).toEqual(range(1, 80 + 10 + 6))
        yield* slow.received(40)
        yield* inTime(close, "the store closes")
        yield* eventually("all clients are returned", () => areAllReturned(pool))
        expect(pool.totalCount).toBeLessThanOrEqual(max)
      })
    )

    itEffect("serves two stores and the application", () =>
      Effect.gen(function* () {
        const { pool, query, schema, store } = yield* setUp({ max })
        const other = yield* PostgresStore.make({ pool, schema })
        const calls = yield* Effect.all(
          range(1, 40).flatMap((n) => [
            appended(n % 2 === 0 ? store : other, `call ${n}`),
            Effect.as(
              Effect.promise(() => pool.query("SELECT 1")),
              undefined
            )
          ]),
          { concurrency: "unbounded" }
        )
        yield* expectTrueAnswers(
          query,
          schema,
          calls.filter((call) => call !== undefined)
        )
      })
    )
  })
}

describe("an application's pool", () => {
  itEffect("is not ended by the store, and has the listeners that it had", () =>
    Effect.gen(function* () {
      const { clients, close, pool, store } = yield* setUp({ max: 3 })
      yield* Effect.all(
        range(1, 20).map((n) => Effect.andThen(store.append([event("A", n)]), store.query())),
        { concurrency: "unbounded" }
      )
      const listeners = () => [pool, ...clients].map((it: EventEmitter) => it.listenerCount("error"))
      // The pool itself listens to a client that is idle.
      yield* eventually("all clients are returned", () => areAllReturned(pool))
      expect(listeners()).toEqual([1, ...[...clients].map(() => 1)])
      yield* close
      expect(listeners()).toEqual([0, ...[...clients].map(() => 1)])
      const { rows } = yield* Effect.promise(() => pool.query("SELECT 1 AS one"))
      expect(rows).toEqual([{ one: 1 }])
    })
  )

  itEffect("may lose its idle clients without anybody's noticing", () =>
    Effect.gen(function* () {
      const { pool, proxy, query, schema, store } = yield* setUp({ max: 2 }, { listen: false })
      const all = [yield* appended(store, "before")]
      yield* proxy.disconnect()
      yield* eventually("the pool has noticed", () => pool.totalCount === 0)
      all.push(yield* appended(store, "after"))
      expect(reasonOf(all[1]!)).toBeUndefined()
      yield* expectTrueAnswers(query, schema, all)
    })
  )

  itEffect(
    "that the application keeps for itself is StoreUnavailable after connectTimeout, and nothing is stored",
    () =>
      Effect.gen(function* () {
        const { pool, query, schema, store } = yield* setUp({ max: 2 }, { connectTimeout: 500, indexEvery: 2 })
        const all = [yield* appended(store, "before")]
        const received = recorder()
        const stream = yield* store.streamAll(received.handler)
        yield* eventually("all clients are returned", () => areAllReturned(pool))
        const kept = yield* Effect.promise(() => Promise.all([pool.connect(), pool.connect()]))
        const group = yield* Effect.all(
          range(1, 10).map((n) => appended(store, `call ${n}`)),
          { concurrency: "unbounded" }
        )
        all.push(...group)
        for (const call of group) {
          expect(reasonOf(call)).toMatchObject({
            _tag: "StoreUnavailable",
            code: "CONNECT_TIMEOUT",
            retryable: true,
            mayHaveCommitted: false
          })
        }
        expect(yield* failsWith("StoreUnavailable", store.query())).toMatchObject({ retryable: true })
        for (const client of kept) client.release()
        all.push(yield* appended(store, "after"))
        expect(reasonOf(all[all.length - 1]!)).toBeUndefined()
        yield* expectTrueAnswers(query, schema, all)
        yield* received.received(1)
        expect((yield* stream.status).state).toBe("running")
        // Whatever was asked for too late has been given back.
        yield* eventually("all clients are returned", () => areAllReturned(pool))
      })
  )

  itEffect("may get back a client within a transaction, which the store does not take for its own", () =>
    Effect.gen(function* () {
      const { pool, query, schema, store } = yield* setUp({ max: 1 }, { listen: false })
      const all = []
      const forget: ReadonlyArray<(client: pg.PoolClient) => Promise<unknown>> = [
        (client) => client.query("BEGIN"),
        (client) => client.query("BEGIN; SELECT 1 / 0").catch(() => undefined),
        // Without waiting for the answer.
        (client) => Promise.resolve(void client.query("BEGIN"))
      ]
      for (const [n, begin] of forget.entries()) {
        yield* Effect.promise(async () => {
          const client = await pool.connect()
          await begin(client)
          client.release()
        })
        all.push(yield* appended(store, `after transaction ${n}`))
      }
      for (const call of all) expect(reasonOf(call), call.name).toBeUndefined()
      yield* expectTrueAnswers(query, schema, all)
    })
  )

  itEffect("that the application ends is StoreUnavailable", () =>
    Effect.gen(function* () {
      const { pool, store } = yield* setUp({ max: 2 }, { listen: false, resolveTimeout: 200 })
      yield* store.append([event("A")])
      yield* Effect.promise(() => pool.end())
      yield* failsWith("StoreUnavailable", store.append([event("B")]))
      yield* failsWith("StoreUnavailable", store.query())
    })
  )

  for (const [name, config] of [
    ["that sends queries ahead", { pipeline: true }],
    ["that limits the time of queries", { query_timeout: 20_000 }]
  ] as const) {
    itEffect(`${name} answers, and says what is wrong`, () =>
      Effect.gen(function* () {
        const { pool, query, schema, store } = yield* setUp({ max: 2, ...config })
        const calls = yield* Effect.all(
          range(1, 10).map((n) => appended(store, `call ${n}`)),
          { concurrency: "unbounded" }
        )
        yield* expectTrueAnswers(query, schema, calls)
        expect(yield* logOf(store)).toEqual((yield* store.query()).eventRecords)
        yield* Effect.promise(() => pool.query(`ALTER TABLE "${schema}".events RENAME TO hidden`))
        expect(yield* failsWith("StoreUnavailable", store.append([event("A")]))).toMatchObject({ code: "42P01" })
      })
    )
  }

  itEffect("whose limit of a query's time is over is StoreUnavailable, and goes on when answers come again", () =>
    Effect.gen(function* () {
      const { proxy, store } = yield* setUp(
        { max: 1, query_timeout: 200, connectionTimeoutMillis: 500 },
        { listen: false }
      )
      yield* store.append([event("A")])
      proxy.setRule(({ direction }) => (direction === "toClient" ? { blackHole: "both" } : "forward"))
      yield* failsWith("StoreUnavailable", store.query())
      proxy.setRule(forwardAll)
      expect((yield* logOf(store)).length).toBe(1)
    })
  )

  itEffect("may have other statements of the same names prepared", () =>
    Effect.gen(function* () {
      const { pool, query, schema, store } = yield* setUp({ max: 1 }, { listen: false })
      for (const name of ["append_one", "append"]) {
        yield* Effect.promise(() => pool.query({ name: `${schema}_${name}`, text: "SELECT 1", values: [] }))
      }
      const calls = yield* Effect.all(
        range(1, 5).map((n) => appended(store, `call ${n}`)),
        { concurrency: "unbounded" }
      )
      for (const call of calls) expect(reasonOf(call), call.name).toBeUndefined()
      yield* expectTrueAnswers(query, schema, calls)
      expect((yield* logOf(store)).length).toBeGreaterThan(0)
    })
  )

  itEffect("gets the connections of silent reads closed, which are StoreUnavailable after answerTimeout", () =>
    Effect.gen(function* () {
      const { pool, proxy, store } = yield* setUp({ max: 1 }, { listen: false, answerTimeout: 500 })
      yield* store.append([event("A")])
      proxy.setRule(({ direction }) => (direction === "toClient" ? { blackHole: "both" } : "forward"))
      const silent = yield* Effect.forkScoped(
        Effect.all(
          [
            failsWith("StoreUnavailable", store.query()),
            failsWith("StoreUnavailable", store.query(EventQuery.ofTypes("A")))
          ],
          { concurrency: "unbounded" }
        ),
        { startImmediately: true }
      )
      for (const reason of yield* Fiber.join(silent)) {
        expect(reason).toMatchObject({ code: "ANSWER_TIMEOUT", retryable: true, mayHaveCommitted: false })
      }
      expect(pool.totalCount).toBe(0)
      proxy.setRule(forwardAll)
      expect((yield* logOf(store)).length).toBe(1)
    })
  )
})
