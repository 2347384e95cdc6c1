/** When a worker ends no handler starts any more, and those that run finish and are committed. */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { describe } from "vitest"
import * as Projection from "../../src/projections/Projection.ts"
import * as PostgresStore from "../../src/stores/postgres/PostgresStore.ts"
import { inTime, range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { ownSchema, rawConnection } from "../support/postgres.ts"
import {
  appendEach,
  byBuyer,
  databases,
  Events,
  eventuallyStatus,
  listing,
  makeModel,
  memory,
  numbersOf,
  sharedLog,
  sold,
  startWorker
} from "./sales.ts"

for (const under of [memory, ...databases]) {
  describe(under.name, () => {
    itEffect("the handlers of one projection stop while that of another is waited for", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const [started, mayFinish] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const calls: Array<number> = []
        const quick = Projection.elsewhere({
          name: "quick",
          events: Events,
          handle: (events) => {
            calls.push(...numbersOf(events))
          }
        })
        let finished = 0
        const slow = Projection.elsewhere({
          name: "slow",
          events: Events,
          handle: () =>
            Effect.gen(function* () {
              yield* Deferred.succeed(started, undefined)
              yield* Deferred.await(mayFinish)
              finished += 1
            })
        })
        yield* appendEach(store, [sold(), sold()])
        // Whichever comes first.
        const worker = yield* startWorker(store, [quick, slow, { ...quick, name: "quick too" }])
        yield* inTime(Deferred.await(started), "the handler runs")
        yield* worker.waitFor(quick, 2)
        yield* worker.waitFor("quick too", 2)
        const stopping = yield* Effect.forkScoped(worker.stop, { startImmediately: true })
        yield* eventuallyStatus(worker, "quick", "it has stopped", ({ state }) => state === "unsubscribed")
        const before = calls.length
        yield* appendEach(store, [sold(), sold(), sold()])
        const head = yield* store.workspace.head
        yield* store.workspace.awaitChange(head - 1)
        assert.equal(stopping.pollUnsafe(), undefined)
        yield* Deferred.succeed(mayFinish, undefined)
        yield* inTime(Fiber.join(stopping), "the worker ends")
        assert.deepStrictEqual([calls.length, finished], [before, 1])
        // What was finished is committed: it does not come again.
        const again = yield* startWorker(store, [slow])
        yield* again.waitFor(slow, 5)
        assert.equal(finished, 5)
      })
    )

    itEffect("a worker that ends in the middle of a replay starts none of the rest", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const [started, mayFinish] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        let isBroken = true
        const replayed: Array<number> = []
        const projection = Projection.elsewhere({
          name: "parking",
          events: Events,
          onFailure: "park",
          key: byBuyer,
          handle: (events) =>
            Effect.gen(function* () {
              if (isBroken) return yield* Effect.fail(new Error("bad"))
              replayed.push(...numbersOf(events))
              yield* Deferred.succeed(started, undefined)
              yield* Deferred.await(mayFinish)
            }),
          retry: Schedule.recurs(0)
        })
        yield* appendEach(
          store,
          range(1, 5).map(() => sold("bob"))
        )
        const worker = yield* startWorker(store, [projection])
        yield* worker.waitFor(projection, 5)
        isBroken = false
        yield* worker.replay(projection)
        yield* inTime(Deferred.await(started), "the replay has begun")
        const stopping = yield* Effect.forkScoped(worker.stop, { startImmediately: true })
        yield* Deferred.succeed(mayFinish, undefined)
        yield* inTime(Fiber.join(stopping), "the worker ends")
        assert.deepStrictEqual(replayed, [1])
      })
    )
  })
}

for (const under of databases) {
  describe(under.name, () => {
    itEffect("a delivery that waits for its transaction when the worker ends calls no handler", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const [waits, mayBegin] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const { transaction } = store.workspace
        let isBusy = false
        const busy = {
          ...store.workspace,
          // Only handlers and hooks may leave a transaction idle.
          transaction: ((work, options) =>
            isBusy && options?.idleMs !== undefined
              ? Deferred.succeed(waits, undefined).pipe(
                  Effect.andThen(Deferred.await(mayBegin)),
                  Effect.andThen(transaction(work, options))
                )
              : transaction(work, options)) as typeof transaction
        }
        let calls = 0
        const projection = Projection.make({ name: "waiting", events: Events, handle: () => void (calls += 1) })
        const worker = yield* startWorker({ ...store, workspace: busy }, [projection])
        isBusy = true
        yield* store.append([sold()])
        yield* inTime(Deferred.await(waits), "it waits for its transaction")
        const stopping = yield* Effect.forkScoped(worker.stop, { startImmediately: true })
        yield* eventuallyStatus(worker, projection, "it has stopped", ({ state }) => state === "unsubscribed")
        yield* Deferred.succeed(mayBegin, undefined)
        yield* inTime(Fiber.join(stopping), "the worker ends")
        assert.equal(calls, 0)
      })
    )

    itEffect("what a running handler wrote is committed, and the next worker goes on behind it at once", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const model = yield* makeModel(one)
        const [started, mayFinish] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const projection = listing(model, {
          handle: (events, transaction) =>
            Effect.gen(function* () {
              yield* model.handle(events, transaction)
              yield* Deferred.succeed(started, undefined)
              yield* Deferred.await(mayFinish)
            })
        })
        yield* one.append([sold()])
        // A lease that nobody could wait for: it has to be given back.
        const worker = yield* startWorker(one, [projection], { lease: "1 hour" })
        yield* inTime(Deferred.await(started), "the handler runs")
        const stopping = yield* Effect.forkScoped(worker.stop, { startImmediately: true })
        yield* Deferred.succeed(mayFinish, undefined)
        yield* inTime(Fiber.join(stopping), "the worker ends")
        assert.deepStrictEqual(yield* model.numbers, [1])
        yield* one.append([sold()])
        const next = yield* startWorker(other, [listing(model)], { lease: "1 hour" })
        yield* next.waitFor(model.table, 2)
        assert.deepStrictEqual(yield* model.numbers, [1, 2])
      })
    )
  })
}

describe("postgres", () => {
  itEffect("a worker that ends while it is about to take a lease leaves it to others", () =>
    Effect.gen(function* () {
      const own = yield* ownSchema
      const open = PostgresStore.make({ url: own.url, schema: own.schema })
      const store = yield* open
      const projection = Projection.elsewhere({ name: "taken", events: Events, handle: () => undefined })
      const long = { lease: "1 hour" } as const
      yield* Effect.flatMap(startWorker(store, [projection], long), ({ stop }) => stop)
      const leasedUntil = (time: string) =>
        own.query(`UPDATE "${own.schema}".cursors SET leased_until = ${time} WHERE cursor LIKE 'projection %'`)
      yield* leasedUntil("9e15")
      const waits = yield* startWorker(store, [projection], long)
      // From here on it writes nothing but to take the lease.
      yield* eventuallyStatus(waits, projection, "it is in use", ({ active }) => active)
      // That ends soon, and nobody may write by then.
      yield* leasedUntil("extract(epoch FROM clock_timestamp()) * 1000 + 1000")
      yield* own.query("BEGIN")
      yield* own.query(`LOCK TABLE "${own.schema}".cursors IN SHARE MODE`)
      const { query } = yield* rawConnection(own.url)
      const blocked = query("SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))", [
        (yield* own.query<{ readonly pid: number }>("SELECT pg_backend_pid() AS pid"))[0]!.pid
      ])
      yield* inTime(Effect.repeat(blocked, { until: (rows) => rows.length > 0 }), "it asks for the lease")
      const stopping = yield* Effect.forkScoped(waits.stop, { startImmediately: true })
      yield* own.query("COMMIT")
      yield* inTime(Fiber.join(stopping), "the worker ends")
      const other = yield* open
      const next = yield* startWorker(other, [projection], long)
      yield* eventuallyStatus(next, projection, "it runs", ({ state }) => state === "running")
    })
  )
})
