/** The proxy's faults, on a driver and a server that know nothing of it. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import { eventually } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "./it.ts"
import type { OwnSchema, RawConnection } from "./postgres.ts"
import { freshName, ownSchema, postgresUrl, rawConnection } from "./postgres.ts"
import type { Message } from "./postgresProxy.ts"
import { atMessage, forwardAll, proxyTo } from "./postgresProxy.ts"
import { commandComplete, errorResponse } from "./wireProtocol.ts"

const toServer = ({ direction }: Message) => direction === "toServer"
const toClient = ({ direction }: Message) => direction === "toClient"
const typesOf = (messages: ReadonlyArray<Message>, among: (message: Message) => boolean) =>
  messages
    .filter(among)
    .map(({ type }) => type)
    .join("")

/** A table to write to, looked at from outside the proxy. */
const setUp = Effect.gen(function* () {
  const own = yield* ownSchema
  yield* own.query(`CREATE SCHEMA "${own.schema}"`)
  yield* own.query(`CREATE TABLE "${own.schema}".log (number int)`)
  return { ...own, proxy: yield* proxyTo(own.url), table: `"${own.schema}".log` }
})

/** BEGIN, INSERT and COMMIT, as a store would send them. */
const transaction = ({ query }: RawConnection, table: string, number: number) =>
  Effect.gen(function* () {
    yield* query("BEGIN")
    yield* query(`INSERT INTO ${table} VALUES ($1)`, [number])
    yield* query("COMMIT")
  })

/** Waits until the server has no session of that name any more. */
const sessionEnds = ({ query }: OwnSchema, name: string) =>
  query("SELECT FROM pg_stat_activity WHERE application_name = $1", [name]).pipe(
    Effect.repeat({ until: (rows) => rows.length === 0 }),
    Effect.timeout("10 seconds")
  )

describe("the proxy", () => {
  itEffect("passes on a session as it is: large values, prepared statements, errors, notifications", () =>
    Effect.gen(function* () {
      const direct = yield* rawConnection(yield* postgresUrl)
      const proxied = yield* rawConnection((yield* proxyTo(yield* postgresUrl)).url)
      const channel = freshName()
      const session = ({ client, query }: RawConnection) =>
        Effect.gen(function* () {
          const heard: Array<string | undefined> = []
          client.on("notification", ({ payload }) => heard.push(payload))
          yield* query(`LISTEN ${channel}`)
          const large = yield* query("SELECT $1::text AS value", ["\u{1F39F}".repeat(500_000)])
          const many = yield* query("SELECT n, repeat('x', n) AS x FROM generate_series(1, 1000) AS n")
          const error = yield* Effect.flip(query("SELECT 1 / 0"))
          const named = { name: "twice", text: "SELECT $1::int * 2 AS twice" }
          const twice = yield* Effect.forEach([1, 2], (number) =>
            Effect.promise(() => client.query({ ...named, values: [number] }))
          )
          yield* query(`NOTIFY ${channel}, 'done'`)
          yield* eventually("the notification arrives", () => heard.length > 0)
          yield* query(`UNLISTEN ${channel}`)
          return { large, many, code: error.code, twice: twice.map(({ rows }) => rows as unknown), heard }
        })
      const expected = yield* session(direct)
      expect(expected.code).toBe("22012")
      expect(yield* session(proxied)).toEqual(expected)
    })
  )

  itEffect("shows every message with its letter, place and text", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyTo(yield* postgresUrl)
      const opening = proxy.record()
      yield* rawConnection(proxy.url)
      const { query } = yield* rawConnection(proxy.url)
      const messages = proxy.record()
      expect(opening[0]).toMatchObject({ type: "startup", direction: "toServer", connection: 0, index: 0 })
      yield* query("SELECT 1 AS one")
      expect([typesOf(messages, toServer), typesOf(messages, toClient)]).toEqual(["Q", "TDCZ"])
      yield* query("SELECT $1::int AS one", [1])
      expect([typesOf(messages, toServer), typesOf(messages, toClient)]).toEqual(["QPBDES", "TDCZ12TDCZ"])
      expect(messages.every(({ connection }) => connection === 1)).toBe(true)
      expect(messages[0]?.text).toBe("SELECT 1 AS one")
      expect(messages.filter(({ text }) => text === "SELECT 1").map(({ type }) => type)).toEqual(["C", "C"])
      const indexes = messages.filter(toClient).map(({ index }) => index)
      expect(indexes).toEqual(indexes.map((_, place) => indexes[0]! + place))
    })
  )

  itEffect("carries many connections at once, each its own answers, and forgets them when they end", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyTo(yield* postgresUrl)
      yield* Effect.forEach(
        Array.from({ length: 40 }, (_, number) => number),
        (number) =>
          Effect.gen(function* () {
            const { query } = yield* rawConnection(proxy.url)
            for (let round = 0; round < 10; round++) {
              expect(yield* query("SELECT $1::int AS number", [number * 100 + round])).toEqual([
                { number: number * 100 + round }
              ])
            }
            expect(proxy.connections()).toBeGreaterThan(0)
          }).pipe(Effect.scoped),
        { concurrency: "unbounded" }
      )
      yield* eventually("all connections have ended", () => proxy.connections() === 0)
    })
  )

  itEffect("refuses new connections and leaves those that are open, until it accepts again", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyTo(yield* postgresUrl)
      const first = yield* rawConnection(proxy.url)
      yield* proxy.refuse
      const refused = yield* Effect.flip(Effect.scoped(rawConnection(proxy.url)))
      expect(refused.code).toBe("ECONNREFUSED")
      expect(yield* first.query("SELECT 1 AS one")).toEqual([{ one: 1 }])
      yield* proxy.accept
      const second = yield* rawConnection(proxy.url)
      expect(yield* second.query("SELECT 1 AS one")).toEqual([{ one: 1 }])
      yield* proxy.disconnect()
      yield* Effect.flip(first.query("SELECT 1"))
      yield* Effect.flip(second.query("SELECT 1"))
    })
  )
})

describe("a cut", () => {
  /** The transaction over a connection of its own, with the cut at its `n`th message that way; what is stored afterwards. */
  const cutAt = (direction: "toServer" | "toClient", cut: "before" | "after") =>
    Effect.gen(function* () {
      const { proxy, table, ...own } = yield* setUp
      const among = direction === "toServer" ? toServer : toClient
      const run = (number: number, n: number | undefined) =>
        Effect.gen(function* () {
          const name = freshName()
          const connection = yield* rawConnection(proxy.url, { application_name: name })
          proxy.setRule(n === undefined ? forwardAll : atMessage(n, among, { cut }))
          const messages = proxy.record()
          const exit = yield* Effect.exit(transaction(connection, table, number))
          proxy.setRule(forwardAll)
          if (n !== undefined) yield* sessionEnds(own, name)
          const stored = yield* own.query(`SELECT FROM ${table} WHERE number = $1`, [number])
          return {
            messages: messages.filter(among),
            isAnswered: exit._tag === "Success",
            isStored: stored.length === 1
          }
        }).pipe(Effect.scoped)
      const whole = yield* run(0, undefined)
      expect(whole).toMatchObject({ isAnswered: true, isStored: true })
      const cuts = yield* Effect.forEach(whole.messages, (_, n) => run(n + 1, n))
      return { whole: whole.messages, cuts }
    })

  const outcomes = (cuts: ReadonlyArray<{ readonly isAnswered: boolean; readonly isStored: boolean }>) =>
    cuts.map(({ isAnswered, isStored }) => (isAnswered ? "answered" : isStored ? "stored" : "nothing"))

  itEffect("before any message to the server leaves nothing behind", () =>
    Effect.gen(function* () {
      const { cuts, whole } = yield* cutAt("toServer", "before")
      expect(whole.map(({ type }) => type).join("")).toBe("QPBDESQ")
      expect(outcomes(cuts)).toEqual(Array.from(whole, () => "nothing"))
      // What came before the cut has been passed on.
      expect(cuts.map(({ messages }) => messages.length)).toEqual(whole.map((_, n) => n + 1))
    })
  )

  itEffect("after the COMMIT to the server loses only its answer", () =>
    Effect.gen(function* () {
      const { cuts, whole } = yield* cutAt("toServer", "after")
      expect(outcomes(cuts)).toEqual(whole.map(({ text }) => (text === "COMMIT" ? "stored" : "nothing")))
    })
  )

  itEffect("before the answer to a COMMIT comes too late to undo it", () =>
    Effect.gen(function* () {
      const { cuts, whole } = yield* cutAt("toClient", "before")
      const committed = whole.findIndex(({ text }) => text === "COMMIT")
      expect(outcomes(cuts)).toEqual(whole.map((_, n) => (n < committed ? "nothing" : "stored")))
    })
  )

  itEffect("after the last answer changes nothing", () =>
    Effect.gen(function* () {
      const { cuts, whole } = yield* cutAt("toClient", "after")
      const committed = whole.findIndex(({ text }) => text === "COMMIT")
      const expected = whole.map((_, n) => (n < committed ? "nothing" : n === committed ? "stored" : "answered"))
      expect(outcomes(cuts)).toEqual(expected)
    })
  )
})

describe("a black hole", () => {
  itEffect("swallows answers while the server goes on, and keeps the end of the connection to itself", () =>
    Effect.gen(function* () {
      const { proxy, table, ...own } = yield* setUp
      const name = freshName()
      const connection = yield* rawConnection(proxy.url, { application_name: name })
      proxy.setRule(atMessage(0, ({ text }) => text === "COMMIT", { blackHole: "toClient" }))
      const call = yield* Effect.forkScoped(transaction(connection, table, 1), { startImmediately: true })
      yield* own
        .query(`SELECT FROM ${table}`)
        .pipe(Effect.repeat({ until: (rows) => rows.length === 1 }), Effect.timeout("10 seconds"))
      yield* own.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", [name])
      yield* sessionEnds(own, name)
      // A round trip through the proxy's event loop, after which the end would have come.
      yield* rawConnection(proxy.url)
      expect(call.pollUnsafe()).toBeUndefined()
      yield* proxy.disconnect()
      yield* Effect.flip(Fiber.join(call))
    })
  )

  itEffect("swallows what goes to the server while the server can still be heard", () =>
    Effect.gen(function* () {
      const { proxy, table, ...own } = yield* setUp
      const channel = freshName()
      const connection = yield* rawConnection(proxy.url)
      const heard: Array<string | undefined> = []
      connection.client.on("notification", ({ payload }) => heard.push(payload))
      yield* connection.query(`LISTEN ${channel}`)
      proxy.setRule(atMessage(0, toServer, { blackHole: "toServer" }))
      const call = yield* Effect.forkScoped(connection.query(`INSERT INTO ${table} VALUES (1)`), {
        startImmediately: true
      })
      yield* own.query(`NOTIFY ${channel}, 'still here'`)
      yield* eventually("the server is heard", () => heard.length > 0)
      expect(yield* own.query(`SELECT FROM ${table}`)).toEqual([])
      expect(call.pollUnsafe()).toBeUndefined()
    })
  )

  itEffect("leaves the server's session open when the driver has gone", () =>
    Effect.gen(function* () {
      const { proxy, ...own } = yield* setUp
      const name = freshName()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { query } = yield* rawConnection(proxy.url, { application_name: name })
          yield* query("BEGIN")
          yield* proxy.blackHole("both")
        })
      )
      // A round trip through the proxy's event loop, after which the end would have come.
      yield* rawConnection(proxy.url)
      const session = own.query("SELECT state FROM pg_stat_activity WHERE application_name = $1", [name])
      expect(yield* session).toEqual([{ state: "idle in transaction" }])
      yield* proxy.disconnect(0)
      yield* sessionEnds(own, name)
      expect(proxy.connections()).toBe(1)
    })
  )
})

describe("other answers", () => {
  itEffect("turn the tag of a COMMIT into that of a ROLLBACK", () =>
    Effect.gen(function* () {
      const { proxy, query, table } = yield* setUp
      const connection = yield* rawConnection(proxy.url)
      const isCommitted = (message: Message) => toClient(message) && message.text === "COMMIT"
      proxy.setRule(atMessage(0, isCommitted, { rewrite: commandComplete("ROLLBACK") }))
      yield* connection.query(`BEGIN; INSERT INTO ${table} VALUES (1)`)
      const result = yield* Effect.promise(() => connection.client.query("COMMIT"))
      expect(result.command).toBe("ROLLBACK")
      expect(yield* query(`SELECT number FROM ${table}`)).toEqual([{ number: 1 }])
      yield* connection.query("BEGIN")
      expect((yield* Effect.promise(() => connection.client.query("COMMIT"))).command).toBe("COMMIT")
    })
  )

  itEffect("turn success into an error that the driver reports as the server's", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyTo(yield* postgresUrl)
      const { query } = yield* rawConnection(proxy.url)
      const isComplete = (message: Message) => toClient(message) && message.type === "C"
      proxy.setRule(atMessage(0, isComplete, { rewrite: errorResponse("40001", "try again") }))
      const error = yield* Effect.flip(query("SELECT 1"))
      expect({ code: error.code, message: error.message }).toEqual({ code: "40001", message: "try again" })
      expect(yield* query("SELECT 1 AS one")).toEqual([{ one: 1 }])
    })
  )
})

describe("a message that is held", () => {
  itEffect("waits, and so does what comes behind it, but no other connection; then all arrive in order", () =>
    Effect.gen(function* () {
      const { proxy, query, table } = yield* setUp
      const held = yield* rawConnection(proxy.url)
      const other = yield* rawConnection(proxy.url)
      const gate = yield* Deferred.make<void>()
      const isFirst = (message: Message) => toServer(message) && message.connection === 0
      proxy.setRule(atMessage(0, isFirst, { hold: Deferred.await(gate) }))
      const messages = proxy.record()
      const calls = yield* Effect.forEach([1, 2], (number) =>
        Effect.forkScoped(held.query(`INSERT INTO ${table} VALUES ($1)`, [number]), { startImmediately: true })
      )
      yield* eventually("the first message is held", () => messages.some(isFirst))
      yield* other.query(`INSERT INTO ${table} VALUES (0)`)
      expect(messages.filter(isFirst).length).toBe(1)
      expect(yield* query(`SELECT number FROM ${table}`)).toEqual([{ number: 0 }])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.joinAll(calls)
      expect(yield* query(`SELECT number FROM ${table}`)).toEqual([0, 1, 2].map((number) => ({ number })))
    })
  )

  itEffect("meets what was decided for afterwards", () =>
    Effect.gen(function* () {
      const { proxy, query, table } = yield* setUp
      const connection = yield* rawConnection(proxy.url)
      const gate = yield* Deferred.make<void>()
      const isCommit = (message: Message) => toServer(message) && message.text === "COMMIT"
      proxy.setRule(atMessage(0, isCommit, { hold: Deferred.await(gate), afterwards: { cut: "before" } }))
      const messages = proxy.record()
      const call = yield* Effect.forkScoped(transaction(connection, table, 1), { startImmediately: true })
      yield* eventually("the COMMIT is held", () => messages.some(isCommit))
      expect(call.pollUnsafe()).toBeUndefined()
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.flip(Fiber.join(call))
      expect(yield* query(`SELECT FROM ${table}`)).toEqual([])
    })
  )
})
