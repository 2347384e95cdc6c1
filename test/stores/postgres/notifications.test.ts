/**
 * Streams hear of other processes' commits through NOTIFY, and see them all the same when nobody can tell them: the listening
 * connection ends, falls silent, is refused, or is not wanted.
 */
import * as Effect from "effect/Effect"
import * as pg from "pg"
import { describe, expect, it } from "vitest"
import type { PostgresOptions } from "../../../src/stores/postgres/PostgresStore.ts"
import { reconnectDelay } from "../../../src/stores/postgres/notifications.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { event, inTime, numbersOf, range, recorder } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import type { RawQuery } from "../../support/postgres.ts"
import { ownSchema } from "../../support/postgres.ts"
import type { Message } from "../../support/postgresProxy.ts"
import { proxyTo } from "../../support/postgresProxy.ts"
import { errorResponse, readyForQuery } from "../../support/wireProtocol.ts"

/** A stream of a store behind a proxy, and another process's store beside it. */
const setUp = (options: PostgresOptions = {}) =>
  Effect.gen(function* () {
    const own = yield* ownSchema
    const proxy = yield* proxyTo(own.url)
    const theirs = yield* PostgresStore.make({ url: own.url, schema: own.schema })
    const start = Effect.gen(function* () {
      const mine = yield* PostgresStore.make({ url: proxy.url, schema: own.schema, pollInterval: 1_000, ...options })
      const received = recorder()
      const stream = yield* mine.streamAll(received.handler)
      return { mine, received, stream }
    })
    return { ...own, proxy, theirs, start }
  })

/** The sessions that listen to the log's channel. */
const listeners = (query: RawQuery, schema: string) =>
  query<{ pid: number }>("SELECT pid FROM pg_stat_activity WHERE query = $1 OR query LIKE $2", [
    `LISTEN "evolvent_${schema}"`,
    `%pg_notify%${schema}%`
  ])

/** Waits until so many stores listen, one of which is `theirs`. */
const listen = (query: RawQuery, schema: string, count: number) =>
  inTime(Effect.repeat(listeners(query, schema), { until: (rows) => rows.length === count }), `${count} stores listen`)

const isListen = ({ direction, text }: Message) => direction === "toServer" && text.startsWith("LISTEN")

/** Milliseconds from the call of an append by the others until the stream has it. */
const delayOf = (
  { theirs }: Effect.Success<ReturnType<typeof setUp>>,
  { received }: { readonly received: ReturnType<typeof recorder> }
) =>
  Effect.gen(function* () {
    const count = received.batches.length
    const started = performance.now()
    yield* theirs.append([event("Theirs")])
    yield* received.received(count + 1)
    return performance.now() - started
  })

const isInOrder = ({ received }: { readonly received: ReturnType<typeof recorder> }, count: number): void =>
  expect(numbersOf(received.batches.flat())).toEqual(range(1, count))

/** Well below the poll interval, and well beyond it. */
const [soon, polled] = [600, 10_000]

describe("another process's commits", () => {
  itEffect("are told at once", () =>
    Effect.gen(function* () {
      const both = yield* setUp()
      const mine = yield* both.start
      yield* listen(both.query, both.schema, 2)
      const delays: Array<number> = []
      for (let count = 0; count < 5; count++) delays.push(yield* delayOf(both, mine))
      expect(Math.min(...delays)).toBeLessThan(soon)
      isInOrder(mine, 5)
    })
  )

  itEffect("are told to a store on an application's pool, whose password is a field of its own", () =>
    Effect.gen(function* () {
      const { query, schema, url } = yield* ownSchema
      const { hostname, password, port, username } = new URL(url)
      const server = {
        host: hostname,
        port: Number(port),
        user: username,
        password,
        database: new URL(url).pathname.slice(1)
      }
      const pool = yield* Effect.acquireRelease(
        Effect.sync(() => new pg.Pool(server)),
        (opened) => Effect.promise(() => opened.end())
      )
      yield* PostgresStore.make({ pool, schema })
      yield* listen(query, schema, 1)
    })
  )

  itEffect("are told again after the listening connection was ended", () =>
    Effect.gen(function* () {
      const both = yield* setUp()
      const mine = yield* both.start
      const before = yield* listen(both.query, both.schema, 2)
      yield* both.query("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", [
        before.map(({ pid }) => pid)
      ])
      expect(yield* delayOf(both, mine)).toBeLessThan(polled)
      yield* listen(both.query, both.schema, 2)
      const delays: Array<number> = []
      for (let count = 0; count < 5; count++) delays.push(yield* delayOf(both, mine))
      expect(Math.min(...delays)).toBeLessThan(soon)
      isInOrder(mine, 6)
    })
  )

  itEffect("are seen while the listening connection is half open", () =>
    Effect.gen(function* () {
      const both = yield* setUp()
      const messages = both.proxy.record()
      const mine = yield* both.start
      yield* listen(both.query, both.schema, 2)
      yield* both.proxy.blackHole("both", messages.find(isListen)!.connection)
      for (let count = 0; count < 2; count++) expect(yield* delayOf(both, mine)).toBeLessThan(polled)
      isInOrder(mine, 2)
    })
  )

  itEffect("are told again after the listening connection fell silent at its start", () =>
    Effect.gen(function* () {
      const both = yield* setUp({ answerTimeout: 500 })
      let silenced = 0
      both.proxy.setRule(({ direction, text }) => {
        if (
          direction !== "toServer" ||
          !/^SELECT (pg_catalog.)?pg_backend_pid\(\) AS pid|^LISTEN/.test(text) ||
          silenced === 2
        )
          return "forward"
        silenced++
        return { blackHole: "both" }
      })
      yield* both.start
      yield* listen(both.query, both.schema, 2)
      expect(silenced).toBe(2)
    })
  )

  itEffect("are seen by a store that does not listen, and has no connection for it", () =>
    Effect.gen(function* () {
      const both = yield* setUp({ listen: false })
      const messages = both.proxy.record()
      const mine = yield* both.start
      for (let count = 0; count < 2; count++) expect(yield* delayOf(both, mine)).toBeLessThan(polled)
      expect(messages.some(isListen)).toBe(false)
      isInOrder(mine, 2)
    })
  )

  itEffect("are seen behind a pooler that refuses to listen", () =>
    Effect.gen(function* () {
      const both = yield* setUp()
      const refused = Buffer.concat([errorResponse("0A000", "LISTEN is not supported"), readyForQuery("I")])
      const refusing = new Set<number>()
      let refusals = 0
      both.proxy.setRule((message) => {
        if (isListen(message)) refusing.add(message.connection)
        if (message.direction === "toServer" || !refusing.has(message.connection)) return "forward"
        if (message.type !== "C") return { rewrite: Buffer.alloc(0) }
        refusing.delete(message.connection)
        refusals++
        return { rewrite: refused }
      })
      const mine = yield* both.start
      for (let count = 0; count < 2; count++) expect(yield* delayOf(both, mine)).toBeLessThan(polled)
      expect(refusals).toBeGreaterThan(0)
      isInOrder(mine, 2)
    })
  )
})

describe("a connection that listens", () => {
  it("is made anew soon, and ever later while it does not come to listen", () => {
    expect([0, 1, 2, 3, 6, 7, 8, 5_000].map(reconnectDelay)).toEqual([
      500, 500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000
    ])
  })
})
