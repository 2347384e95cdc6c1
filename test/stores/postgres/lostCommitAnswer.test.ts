/**
 * The answer to a commit gets lost (I2): the connection breaks, falls silent or garbles, at every message of an append and
 * either way. The store finds out what happened; nothing is stored twice, and nothing that is stored is called a failure.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import { withTags } from "../../../src/stores/EventQuery.ts"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import type { PostgresOptions } from "../../../src/stores/postgres/PostgresStore.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { closable, eventually, inTime, range } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import type { RawQuery } from "../../support/postgres.ts"
import { ownSchema, rawConnection } from "../../support/postgres.ts"
import type { Action, Message, PostgresProxy } from "../../support/postgresProxy.ts"
import { forwardAll, proxyTo } from "../../support/postgresProxy.ts"
import type { Direction } from "../../support/wireProtocol.ts"
import { errorResponse } from "../../support/wireProtocol.ts"
import type { Answered } from "./answers.ts"
import { repeatableRead, roleWith } from "./roles.ts"
import { answered, appended, eventsOf, expectTrueAnswers, reasonOf, storedBatches } from "./answers.ts"

/** Short enough for many silent connections, long enough for a busy machine. */
const patience = { answerTimeout: 300, lockTimeout: 2_000, connectTimeout: 5_000, resolveTimeout: 15_000 }

/** A store that reaches its server through a proxy, and nothing but its calls on the wire. */
const throughProxy = (options: PostgresOptions = {}, isExplicit = false) =>
  Effect.gen(function* () {
    const own = yield* ownSchema
    const proxy = yield* proxyTo(isExplicit ? (yield* roleWith(own, repeatableRead)).url : own.url)
    const { schema } = own
    yield* PostgresStore.migrate({ url: own.url, schema })
    const store = yield* PostgresStore.make({ url: proxy.url, schema, listen: false, ...patience, ...options })
    return { ...own, proxy, store }
  })

/** A call, or several at once, under a name that is used once. */
type Calls = (store: EventStore, name: string) => Effect.Effect<ReadonlyArray<Answered>>

/** Each call continues a context of its own kind. */
const conditional = (context: string): Calls => {
  let version: number | null = null
  return (store, name) =>
    Effect.gen(function* () {
      const events = eventsOf(name, 2, [context])
      const call = yield* answered(
        name,
        2,
        store.appendIf(events, withTags(context), version, { headSequenceNumber: version })
      )
      if (call.exit._tag === "Success") version = call.exit.value.lastSequenceNumber
      return [call]
    })
}

const kinds: ReadonlyArray<readonly [name: string, calls: () => Calls]> = [
  ["an append", () => (store, name) => Effect.map(appended(store, name), (call) => [call])],
  ["an appendIf", () => conditional("context")],
  [
    "a group of five calls",
    () => {
      const contexts = [conditional("first"), conditional("second")]
      return (store, name) =>
        Effect.map(
          Effect.all(
            [
              ...range(1, 3).map((n) => Effect.map(appended(store, `${name}, ${n} of 5`, n), (call) => [call])),
              ...contexts.map((context, n) => context(store, `${name}, ${n + 4} of 5`))
            ],
            { concurrency: "unbounded" }
          ),
          (all) => all.flat()
        )
    }
  ]
]

const dropped = Buffer.alloc(0)
const shutDown = errorResponse("57P01", "terminating connection due to administrator command", "FATAL")

/** What can happen at a message, by name. */
const faults = (direction: Direction): ReadonlyArray<readonly [name: string, action: Action]> => [
  ["cut before it", { cut: "before" }],
  ["cut after it", { cut: "after" }],
  ["silence from it on", { blackHole: direction }],
  ["silence both ways", { blackHole: "both" }],
  ["it is dropped", { rewrite: dropped }],
  ...(direction === "toClient" ? [["the server says farewell instead", { rewrite: shutDown }] as const] : [])
]

/** Puts the fault at the `n`th message that way of the connection at hand; ends that connection once the call is sent anew. */
const faultAt = (proxy: PostgresProxy, direction: Direction, n: number, action: Action) =>
  Effect.gen(function* () {
    let seen = 0
    let faulty: number | undefined
    let other = false
    proxy.setRule((message) => {
      if (faulty !== undefined && message.connection !== faulty && isAppend(message)) other = true
      if (faulty !== undefined || message.direction !== direction || seen++ !== n) return "forward"
      faulty = message.connection
      return action
    })
    // What TCP does in the end: without it the server would wait for the rest of the statement, with the lock.
    yield* Effect.forkScoped(
      Effect.andThen(
        eventually("the call is sent anew", () => other),
        Effect.suspend(() => proxy.disconnect(faulty))
      )
    )
    return { hasHappened: () => faulty !== undefined }
  })

const isAppend = ({ direction, text, type }: Message) =>
  direction === "toServer" && (type === "B" || type === "P") && /_append|\.append(_one)?\(/.test(text)

describe("a fault at every message", { concurrent: true }, () => {
  for (const [kind, makeCalls] of kinds) {
    for (const isExplicit of kind === "a group of five calls" ? [false, true] : [false]) {
      const how = isExplicit ? " in a transaction that the store opens" : ""
      itEffect(
        `of ${kind}${how} is found out about, and the store goes on`,
        () =>
          Effect.gen(function* () {
            const { proxy, query, schema, store } = yield* throughProxy({}, isExplicit)
            const calls = makeCalls()
            const all: Array<Answered> = []
            const run = (name: string) => Effect.map(calls(store, name), (some) => (all.push(...some), some))
            yield* run("cold")
            const recorded = proxy.record()
            yield* run("warm")
            const expected = isExplicit ? ["QBESQ", "CZ2DCZCZ"] : ["BES", "2DCZ"]
            expect([typesOf(recorded, "toServer"), typesOf(recorded, "toClient")]).toEqual(expected)
            const messages = [...recorded]
            for (const direction of ["toServer", "toClient"] as const) {
              for (const [n, { type }] of messages.filter((it) => it.direction === direction).entries()) {
                for (const [fault, action] of faults(direction)) {
                  const name = `${direction} ${n} ${type}: ${fault}`
                  const some = yield* Effect.scoped(
                    Effect.gen(function* () {
                      const { hasHappened } = yield* faultAt(proxy, direction, n, action)
                      // On a busy machine a connection may be given up before it comes to the message.
                      return yield* inTime(
                        Effect.repeat(
                          Effect.suspend(() => run(`${name}, at ${all.length}`)),
                          { until: hasHappened }
                        ),
                        `it happens: ${name}`
                      )
                    })
                  )
                  proxy.setRule(forwardAll)
                  yield* proxy.disconnect()
                  // Nothing but the truth, and the truth can be found out.
                  const mayFail = fault === "it is dropped" || isExplicit
                  for (const call of some) expectFineReason(call, mayFail)
                  yield* goesOn(() => run(`after ${name}, at ${all.length}`))
                }
              }
            }
            yield* expectTrueAnswers(query, schema, all)
          }),
        { timeout: 60_000 }
      )
    }
  }
})

/** A store that opens its transactions itself may meet a connection that has ended without knowing: then it says so. */
const goesOn = (run: () => Effect.Effect<ReadonlyArray<Answered>>) =>
  inTime(
    Effect.repeat(Effect.suspend(run), { until: (some) => some.every((call) => !hasFailed(call)) }),
    "the store goes on"
  )

const hasFailed = (call: Answered): boolean => reasonOf(call) !== undefined

const typesOf = (messages: ReadonlyArray<Message>, direction: Direction) =>
  messages
    .filter((message) => message.direction === direction)
    .map(({ type }) => type)
    .join("")

const expectFineReason = (call: Answered, mayFail: boolean): void => {
  const reason = reasonOf(call)
  if (!mayFail) expect(reason, call.name).toBeUndefined()
  if (reason !== undefined) expect(["StoreUnavailable"], call.name).toContain(reason._tag)
}

describe("an answer that does not come", () => {
  /** Keeps everything that the connection of the next append has to say from the server, until the gate opens. */
  const holdNextAppend = ({ proxy }: { readonly proxy: PostgresProxy }) =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      let held: number | undefined
      const hold = (message: Message): Action => {
        if (held !== undefined || !isAppend(message)) return "forward"
        held = message.connection
        return { hold: Deferred.await(gate) }
      }
      proxy.setRule(hold)
      return {
        hold,
        isHeld: (message: Message) => message.connection === held,
        release: Deferred.succeed(gate, undefined)
      }
    })

  /** Waits until the server is done with whatever the store has sent on connections that it has given up. */
  const sessionsEnd = ({ proxy }: { readonly proxy: PostgresProxy }, most: number) =>
    eventually("the given up connections end", () => proxy.connections() <= most)

  const start = (calls: Effect.Effect<Answered>) => Effect.forkScoped(calls, { startImmediately: true })

  itEffect("because the server cannot be reached any more is CommitUnknown, with the id to look for", () =>
    Effect.gen(function* () {
      const { proxy, query, schema, store } = yield* throughProxy({ resolveTimeout: 400 })
      const all = [yield* appended(store, "before")]
      proxy.setRule((message) =>
        message.direction === "toClient" && message.type === "C" ? { cut: "before" } : "forward"
      )
      yield* proxy.refuse
      const lost = yield* appended(store, "lost")
      all.push(lost)
      const [, stored] = yield* storedBatches(query, schema)
      expect(reasonOf(lost)).toMatchObject({
        _tag: "CommitUnknown",
        commitId: stored?.commitId,
        mayHaveCommitted: true
      })
      expect(stored?.name).toBe("lost")
      all.push(yield* appended(store, "while nothing can be reached"))
      expect(reasonOf(all[2]!)).toMatchObject({ _tag: "StoreUnavailable", retryable: true, mayHaveCommitted: false })
      proxy.setRule(forwardAll)
      yield* proxy.accept
      all.push(yield* appended(store, "after"))
      expect(reasonOf(all[3]!)).toBeUndefined()
      yield* expectTrueAnswers(query, schema, all)
    })
  )

  itEffect("within a time that is longer than the one to find out leaves that time untouched", () =>
    Effect.gen(function* () {
      const { proxy, query, schema, store } = yield* throughProxy({ answerTimeout: 1_000, resolveTimeout: 900 })
      const all = [yield* appended(store, "before")]
      proxy.setRule((message) => (message.type === "D" ? { blackHole: "toClient" } : "forward"))
      const call = yield* start(appended(store, "silence"))
      yield* eventuallyStored(query, schema, 2)
      proxy.setRule(forwardAll)
      all.push(yield* Fiber.join(call))
      expect(reasonOf(all[1]!)).toBeUndefined()
      yield* expectTrueAnswers(query, schema, all)
    })
  )

  itEffect("because the append is still on its way when it is sent again: one of the two is stored", () =>
    Effect.gen(function* () {
      const setUp = yield* throughProxy()
      const { query, schema, store } = setUp
      const all = [yield* appended(store, "before")]
      const { release } = yield* holdNextAppend(setUp)
      all.push(yield* appended(store, "late"))
      expect(reasonOf(all[1]!)).toBeUndefined()
      yield* release
      yield* sessionsEnd(setUp, 1)
      all.push(yield* appended(store, "after"))
      yield* expectTrueAnswers(query, schema, all)
    })
  )

  itEffect("because the append comes through while the store looks for it is no conflict with itself", () =>
    Effect.gen(function* () {
      const setUp = yield* throughProxy()
      const { proxy, query, schema, store } = setUp
      const call = conditional("context")
      const all = [...(yield* call(store, "before"))]
      const { hold, isHeld, release } = yield* holdNextAppend(setUp)
      const arrives = Effect.andThen(release, eventuallyStored(query, schema, 2))
      // The context is read after the ids have been looked for: in between the append arrives.
      const isReadOfContext = ({ text, type }: Message) => type === "B" && /_read\b/.test(text)
      proxy.setRule((message) =>
        !isHeld(message) && isReadOfContext(message) ? { hold: Effect.orDie(arrives) } : hold(message)
      )
      const messages = proxy.record()
      all.push(...(yield* call(store, "late")))
      expect(reasonOf(all[1]!)).toBeUndefined()
      expect(messages.filter(isAppend).filter(({ type }) => type === "B").length).toBe(1)
      proxy.setRule(forwardAll)
      all.push(...(yield* call(store, "after")))
      expect(reasonOf(all[2]!)).toBeUndefined()
      yield* expectTrueAnswers(query, schema, all)
    })
  )

  itEffect("is CommitUnknown when it is still on its way and the log is locked, and not StoreBusy", () =>
    Effect.gen(function* () {
      const setUp = yield* throughProxy({ lockTimeout: 100, resolveTimeout: 900, answerTimeout: 300 })
      const { proxy, query, schema, store, url } = setUp
      const all = [yield* appended(store, "before")]
      const locked = yield* rawConnection(url)
      yield* locked.query("BEGIN")
      yield* locked.query(`SELECT pg_advisory_xact_lock('"${schema}".events'::regclass::oid::int4, 1)`)
      const { release } = yield* holdNextAppend(setUp)
      const late = yield* appended(store, "late")
      all.push(late)
      expect(reasonOf(late)).toMatchObject({ _tag: "CommitUnknown", mayHaveCommitted: true })
      yield* locked.query("ROLLBACK")
      yield* release
      yield* eventuallyStored(query, schema, 2)
      yield* sessionsEnd({ proxy }, 2)
      all.push(yield* appended(store, "after"))
      expect(reasonOf(all[2]!)).toBeUndefined()
      yield* expectTrueAnswers(query, schema, all)
    })
  )

  itEffect("in time for the store to close is CommitUnknown, and the connections end", () =>
    Effect.gen(function* () {
      const own = yield* throughProxy()
      const { store, close } = yield* closable(
        PostgresStore.make({ url: own.proxy.url, schema: own.schema, listen: false, ...patience, answerTimeout: 300 })
      )
      const all = [yield* appended(store, "before")]
      own.proxy.setRule((message) => (message.type === "D" ? { blackHole: "toClient" } : "forward"))
      const call = yield* start(appended(store, "silence"))
      yield* eventuallyStored(own.query, own.schema, 2)
      yield* inTime(close, "the store closes")
      all.push(yield* Fiber.join(call))
      expect(reasonOf(all[1]!)?._tag).toBe("CommitUnknown")
      yield* expectTrueAnswers(own.query, own.schema, all)
    })
  )
})

/** Waits until the log holds so many batches. */
const eventuallyStored = (query: RawQuery, schema: string, count: number) =>
  inTime(
    Effect.repeat(storedBatches(query, schema), { until: (batches) => batches.length >= count }),
    `${count} batches are stored`
  )
