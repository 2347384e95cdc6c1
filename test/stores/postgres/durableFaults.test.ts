/**
 * Connections break while durable streams are delivered: at COMMIT, all of them again and again, with their server. Nothing is lost;
 * what moves in the transaction of its query model happens once; a batch comes twice only where it was not known whether it was over.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import type { EventBatch } from "../../../src/stores/Event.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import {
  event,
  eventually,
  inTime,
  logOf,
  numbersOf,
  range,
  recorder,
  times
} from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownSchema, ownServer } from "../../support/postgres.ts"
import type { Action, Message } from "../../support/postgresProxy.ts"
import { proxyTo } from "../../support/postgresProxy.ts"
import { caughtUp, count, countedIn, countOf, createCounter } from "../counting.ts"
import { roleWith } from "./roles.ts"

const appendPairs = (store: EventStore, pairs: number) =>
  Effect.forEach(range(1, pairs), (index) => store.append(times(2, () => event("Counted", { index }))))

/** The batches of pairs, in order; one that comes again comes right after itself. Gives how many do. */
const expectInOrder = (batches: ReadonlyArray<EventBatch>): number => {
  const numbers = batches.map(numbersOf)
  const distinct = numbers.filter(([first], index) => numbers[index - 1]?.[0] !== first)
  expect(distinct).toEqual(range(1, distinct.length).map((pair) => [2 * pair - 1, 2 * pair]))
  return numbers.length - distinct.length
}

const isCommit = ({ direction, text, type }: Message) =>
  direction === "toServer" ? type === "Q" && text === "COMMIT" : type === "C" && text === "COMMIT"

/** What happens at a COMMIT or its answer, and what has become of the transaction. */
const faults: ReadonlyArray<readonly [name: string, at: Message["direction"], action: Action]> = [
  ["is cut off before it is sent", "toServer", { cut: "before" }],
  ["is cut off when it is sent", "toServer", { cut: "after" }],
  ["is never answered, for the answer is cut off", "toClient", { cut: "before" }],
  ["is answered to nobody", "toClient", { blackHole: "both" }],
  ["gets a garbled answer", "toClient", { rewrite: Buffer.alloc(0) }]
]

describe("a COMMIT that moves a cursor", () => {
  for (const [name, direction, action] of faults) {
    itEffect(`that ${name} is done again only where it was undone`, () =>
      Effect.gen(function* () {
        const { schema, url } = yield* ownSchema
        const table = `"${schema}".counted`
        const proxy = yield* proxyTo(url)
        const direct = yield* PostgresStore.make({ url, schema })
        yield* createCounter(direct, table)
        const store = yield* PostgresStore.make({ url: proxy.url, schema, listen: false, answerTimeout: 250 })
        const received = recorder()
        let [attempts, seen, faulty] = [0, 0, 0]
        const counting = yield* count(store, table, { attempted: () => attempts++ })
        const stream = yield* store.streamAllDurable({ name: "all" }, received.handler)
        proxy.setRule((message) => {
          if (message.direction !== direction || !isCommit(message) || ++seen % 4 !== 0) return "forward"
          faulty++
          return action
        })
        yield* appendPairs(direct, 24)
        yield* caughtUp(counting)
        yield* inTime(stream.caughtUp, "the stream catches up")
        expect(faulty).toBeGreaterThan(8)
        // Where the cursor is moved by itself the move is done again, not the delivery.
        expect(yield* countedIn(direct, table)).toEqual(countOf(48))
        // The server had carried it out: that is found out, not tried again.
        if (direction === "toClient") expect(attempts).toBe(24)
        expect(expectInOrder(received.batches)).toBe(0)
        expect([(yield* counting.status).state, (yield* stream.status).state]).toEqual(["running", "running"])
      })
    )
  }
})

describe("deliveries", () => {
  itEffect("go on when every session is terminated again and again", () =>
    Effect.gen(function* () {
      const own = yield* ownSchema
      const { query, schema, url } = own
      const table = `"${schema}".counted`
      const role = yield* roleWith(own, {})
      const direct = yield* PostgresStore.make({ url, schema })
      yield* createCounter(direct, table)
      const store = yield* PostgresStore.make({ url: role.url, schema })
      const received = recorder()
      const counting = yield* count(store, table)
      const stream = yield* store.streamAllDurable({ name: "all" }, received.handler)
      const terminations = 15
      for (const round of range(1, terminations)) {
        const least = received.batches.length + 3
        yield* appendPairs(direct, 4)
        yield* eventually(`batches arrive in round ${round}`, () => received.batches.length >= least)
        const ended = yield* query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", [
          role.role
        ])
        expect(ended.length).toBeGreaterThan(0)
      }
      yield* appendPairs(direct, 4)
      yield* caughtUp(counting)
      yield* inTime(stream.caughtUp, "the stream catches up")
      const log = yield* logOf(direct)
      expect(yield* countedIn(direct, table)).toEqual(countOf(log.length))
      expect(expectInOrder(received.batches)).toBe(0)
      expect(received.batches.length * 2).toBe(log.length)
      expect([(yield* counting.status).state, (yield* stream.status).state]).toEqual(["running", "running"])
    })
  )

  itEffect(
    "go on when the server is restarted under them, cleanly or by a crash",
    () =>
      Effect.gen(function* () {
        const server = yield* ownServer()
        const schema = "restarted"
        const table = "public.counted"
        const store = yield* PostgresStore.make({ url: server.url, schema })
        yield* createCounter(store, table)
        const received = recorder()
        const counting = yield* count(store, table)
        const stream = yield* store.streamAllDurable({ name: "all" }, (batch) =>
          Effect.andThen(received.handler(batch), Effect.sleep("2 millis"))
        )
        for (const mode of ["fast", "immediate"] as const) {
          yield* appendPairs(store, 25)
          const least = received.batches.length + 5
          yield* eventually("some batches arrive", () => received.batches.length >= least)
          yield* server.restart(mode)
        }
        yield* Effect.retry(appendPairs(store, 10), { while: ({ retryable }) => retryable, times: 20 })
        yield* caughtUp(counting)
        yield* inTime(stream.caughtUp, "the stream catches up")
        const log = yield* logOf(store)
        expect(yield* countedIn(store, table)).toEqual(countOf(log.length))
        expect(expectInOrder(received.batches)).toBe(0)
        expect((yield* stream.status).state).toBe("running")
      }),
    { timeout: 60_000 }
  )

  itEffect("are noticed by the timer when the connection that listens is lost", () =>
    Effect.gen(function* () {
      const { query, schema, url } = yield* ownSchema
      const writing = yield* PostgresStore.make({ url, schema, listen: false })
      const reading = yield* PostgresStore.make({ url, schema, pollInterval: 50 })
      const received = recorder()
      yield* reading.streamAllDurable({ name: "all" }, received.handler)
      const listeners = `SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN "evolvent_${schema}"'`
      let ended = 0
      for (const round of range(1, 4)) {
        ended += (yield* query(listeners)).length
        yield* writing.append([event("Counted", { round })])
        yield* received.received(round)
      }
      expect(ended).toBeGreaterThan(0)
      expect(received.numbers()).toEqual([[1], [2], [3], [4]])
    })
  )

  itEffect("need one connection, also while a transaction takes longer than the lease", () =>
    Effect.gen(function* () {
      const { schema, url } = yield* ownSchema
      const table = `"${schema}".counted`
      const store = yield* PostgresStore.make({ url, schema, listen: false, maxConnections: 1, connectTimeout: 400 })
      yield* createCounter(store, table)
      yield* store.append([event("Counted")])
      // The head is asked for before the claim, not within it.
      const stream = yield* store.streamAllDurable({ name: "new" }, () => Effect.void, { start: "head" })
      yield* stream.unsubscribe
      let attempts = 0
      const counting = yield* count(store, table, {
        leaseMs: 300,
        attempted: () => attempts++,
        afterwards: Effect.suspend(() => (attempts === 1 ? Effect.sleep("900 millis") : Effect.void))
      })
      yield* eventually("the delivery begins", () => attempts === 1)
      yield* inTime(counting.reached(1), "the event is counted")
      yield* Effect.retry(store.append([event("Counted")]), { while: ({ retryable }) => retryable, times: 20 })
      yield* inTime(counting.reached(2), "the other event is counted")
      expect(yield* countedIn(store, table)).toEqual(countOf(2))
      expect(attempts).toBe(2)
    })
  )

  itEffect("have their lease from when it was had, however long it was waited for", () =>
    Effect.gen(function* () {
      const { schema, url } = yield* ownSchema
      const store = yield* PostgresStore.make({ url, schema, listen: false })
      const claim = { cursor: "mine", query: "all", start: 0, owner: "me", leaseMs: 400 }
      const release = yield* Deferred.make<void>()
      yield* store.workspace.transaction(({ cursors }) => cursors.ensure(claim))
      const blocking = yield* Effect.forkScoped(
        store.workspace.transaction(({ cursors }) =>
          Effect.andThen(cursors.setPaused("mine", false), Deferred.await(release))
        ),
        { startImmediately: true }
      )
      const claiming = yield* Effect.forkScoped(
        store.workspace.transaction(({ cursors }) =>
          Effect.flatMap(cursors.claim(claim), ({ _tag }) =>
            Effect.map(cursors.read(["mine"]), ([row]) => [_tag, row!.held])
          )
        )
      )
      yield* Effect.sleep("700 millis")
      expect(claiming.pollUnsafe()).toBeUndefined()
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(blocking)
      expect(yield* inTime(Fiber.join(claiming), "the lease is granted")).toEqual(["Held", true])
    })
  )
})
