/** What becomes of a projection whose handler fails, and of the events behind. */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { describe } from "vitest"
import { DecodeError } from "../../src/decider/EventCatalog.ts"
import { HandlerTimedOut, WaitTimedOut } from "../../src/projections/ProjectionError.ts"
import * as Projection from "../../src/projections/Projection.ts"
import type { EventStore } from "../../src/stores/EventStore.ts"
import { EventStoreError } from "../../src/stores/EventStoreError.ts"
import { event, eventually, inTime, range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import {
  appendEach,
  byBuyer,
  databases,
  Events,
  eventuallyStatus,
  listing,
  makeModel,
  makeNotes,
  memory,
  numbersOf,
  postgres,
  sharedLog,
  sold,
  startWorker
} from "./sales.ts"

const hangs = () => new Promise(() => undefined)

for (const under of [memory, ...databases]) {
  describe(under.name, () => {
    itEffect("a failing handler is tried again, then stops with its error, and nothing behind is handled", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const notes = makeNotes()
        let isBroken = true
        let tries = 0
        const times: Array<number> = []
        const projection = Projection.elsewhere({
          name: "failing",
          events: Events,
          retry: Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(3)]),
          handle: (events, run) => {
            assert.deepStrictEqual(run, { version: 1 })
            if (isBroken && numbersOf(events).includes(2)) {
              tries += 1
              times.push(performance.now())
              return Effect.fail(new Error(`try ${tries}`))
            }
            return notes.handle(events)
          }
        })
        yield* appendEach(store, [sold(), sold(), sold(), sold()])
        const worker = yield* startWorker(store, [projection])
        const status = yield* eventuallyStatus(worker, projection, "it stops", ({ state }) => state === "stopped")
        assert.equal(tries, 4)
        const pauses = times.slice(1).map((time, index) => time - times[index]!)
        assert.ok(
          pauses.every((pause) => pause >= 19),
          `${pauses}`
        )
        assert.deepStrictEqual(notes.calls, [[1]])
        assert.equal((status.lastError as Error).message, "try 4")
        assert.deepStrictEqual(
          [status.position, status.headSequenceNumber, status.lag, status.partitions[0]?.failures],
          [1, 4, 3, 4]
        )
        isBroken = false
        yield* worker.resume(projection)
        yield* worker.waitFor(projection, 4)
        assert.deepStrictEqual(notes.calls, [[1], [2], [3], [4]])
        assert.equal((yield* worker.status(projection)).lastError, undefined)
      })
    )

    itEffect("a projection that is about to try again says so, and ends at once", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const projection = Projection.elsewhere({
          name: "failing",
          events: Events,
          retry: Schedule.spaced("1 hour"),
          handle: () => Effect.fail(new Error("broken"))
        })
        yield* appendEach(store, [sold(), sold()])
        const worker = yield* startWorker(store, [projection])
        const status = yield* eventuallyStatus(worker, projection, "it retries", ({ state }) => state === "retrying")
        assert.deepStrictEqual([status.position, status.lag, status.partitions[0]?.failures], [0, 2, 1])
        assert.match(String(status.lastError), /broken/)
        yield* inTime(worker.stop, "it ends")
      })
    )

    itEffect("what has stopped is started once, however many ask for it at once", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        let starts = 0
        const slow: EventStore = {
          ...store,
          workspace: {
            ...store.workspace,
            follow: (options) =>
              Effect.andThen(
                Effect.suspend(() => (++starts > 1 ? Effect.sleep("200 millis") : Effect.void)),
                store.workspace.follow(options)
              )
          }
        }
        let isBroken = true
        const projection = Projection.elsewhere({
          name: "failing",
          events: Events,
          retry: Schedule.recurs(0),
          handle: () => (isBroken ? Effect.fail(new Error("broken")) : undefined)
        })
        yield* store.append([sold()])
        const worker = yield* startWorker(slow, [projection])
        yield* eventuallyStatus(worker, projection, "it stops", ({ state }) => state === "stopped")
        isBroken = false
        yield* Effect.forEach(range(1, 3), () => worker.resume(projection), { concurrency: "unbounded" })
        yield* worker.waitFor(projection, 1)
        assert.equal(starts, 2)
      })
    )

    itEffect("a handler that never settles fails after its time, and the batch is tried again", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        let tries = 0
        const projection = Projection.elsewhere({
          name: "slow",
          events: Events,
          timeout: "30 millis",
          retry: Schedule.recurs(2),
          handle: () => [hangs, () => Effect.never, () => Effect.uninterruptible(Effect.promise(hangs))][tries++]!()
        })
        yield* store.append([sold()])
        const worker = yield* startWorker(store, [projection])
        const { lastError, position } = yield* eventuallyStatus(
          worker,
          projection,
          "it stops",
          ({ state }) => state === "stopped"
        )
        assert.ok(lastError instanceof HandlerTimedOut)
        assert.deepStrictEqual([lastError.projection, lastError.afterMs, position, tries], ["slow", 30, 0, 3])
      })
    )

    itEffect("an event that the catalog cannot decode stops the projection, with its number and its type", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const notes = makeNotes()
        const projection = Projection.elsewhere({
          name: "strict",
          events: Events,
          retry: Schedule.recurs(0),
          handle: notes.handle
        })
        yield* appendEach(store, [sold(), event("Sold", { buyer: 7 }), sold()])
        const worker = yield* startWorker(store, [projection])
        const status = yield* eventuallyStatus(worker, projection, "it stops", ({ state }) => state === "stopped")
        assert.ok(status.lastError instanceof DecodeError)
        assert.match(status.lastError.message, /2/)
        assert.match(status.lastError.message, /Sold/)
        assert.deepStrictEqual([status.position, notes.calls], [1, [[1]]])
      })
    )

    itEffect("a defect of a handler counts as its failure", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        let tries = 0
        const projection = Projection.elsewhere({
          name: "dying",
          events: Events,
          retry: Schedule.recurs(1),
          handle: () => (++tries === 1 ? Effect.die(new Error("dead")) : Effect.void)
        })
        yield* store.append([sold()])
        const worker = yield* startWorker(store, [projection])
        yield* worker.waitFor(projection, 1)
        assert.equal(tries, 2)
      })
    )

    itEffect("a handler that is interrupted from within has failed, and a replay of it stops nothing", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        let tries = 0
        const projection = Projection.elsewhere({
          name: "interrupted",
          events: Events,
          onFailure: "park",
          key: byBuyer,
          retry: Schedule.recurs(0),
          handle: (events) => {
            if (!numbersOf(events).includes(1)) return
            tries += 1
            return Effect.interrupt
          }
        })
        yield* appendEach(store, [sold(), sold("bob")])
        const worker = yield* startWorker(store, [projection])
        yield* worker.waitFor(projection, 2)
        yield* worker.replay(projection)
        yield* eventually("it is replayed", () => tries === 2)
        yield* store.append([sold("bob")])
        yield* worker.waitFor(projection, 3)
        assert.deepStrictEqual(
          (yield* worker.deadLetters(projection)).map(({ sequenceNumber }) => sequenceNumber),
          [1]
        )
      })
    )

    itEffect("who waits for a stopped projection is not answered from a position that was set back since", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const projection = Projection.elsewhere({
          name: "failing",
          events: Events,
          retry: Schedule.recurs(0),
          handle: (events) => (numbersOf(events).includes(3) ? Effect.fail(new Error("broken")) : undefined)
        })
        yield* appendEach(store, [sold(), sold(), sold()])
        const worker = yield* startWorker(store, [projection])
        yield* eventuallyStatus(worker, projection, "it stops", ({ state }) => state === "stopped")
        yield* worker.waitFor(projection, 2)
        yield* store.workspace.transaction(({ cursors }) => cursors.reset("projection failing\u00011\u00010", 0))
        const error = yield* Effect.flip(worker.waitFor(projection, 2, { timeout: "50 millis" }))
        assert.ok(error instanceof WaitTimedOut)
      })
    )
  })
}

for (const under of databases) {
  describe(`${under.name}, two workers`, () => {
    itEffect("a worker that has stopped stands by again when another one came past the failure", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const model = yield* makeModel(one)
        let isBroken = true
        const broken = listing(model, {
          retry: Schedule.recurs(0),
          handle: (events, transaction) => {
            if (isBroken) throw new Error("broken here")
            return model.handle(events, transaction)
          }
        })
        yield* one.append([sold()])
        const first = yield* startWorker(one, [broken])
        yield* eventuallyStatus(first, broken, "it stops", ({ state }) => state === "stopped")
        const sound = listing(model)
        const second = yield* startWorker(other, [sound])
        yield* second.waitFor(sound, 1)
        yield* eventuallyStatus(first, broken, "it stands by", ({ state }) => state === "waiting")
        isBroken = false
        yield* second.stop
        yield* one.append([sold()])
        yield* first.waitFor(broken, 2)
        assert.deepStrictEqual(yield* model.numbers, [1, 2])
      })
    )

    itEffect("who waits for a stopped projection is answered when another worker comes to the number", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const model = yield* makeModel(one)
        const broken = listing(model, {
          retry: Schedule.recurs(0),
          handle: () => {
            throw new Error("broken here")
          }
        })
        yield* appendEach(one, [sold(), sold()])
        const first = yield* startWorker(one, [broken])
        yield* eventuallyStatus(first, broken, "it stops", ({ state }) => state === "stopped")
        let isAnswered = false
        yield* Effect.forkScoped(
          Effect.tap(first.waitFor(broken, 2, { timeout: "20 seconds" }), () => Effect.sync(() => (isAnswered = true)))
        )
        const second = yield* startWorker(other, [listing(model)])
        yield* second.waitFor(model.table, 2)
        yield* eventually("the waiter is answered", () => isAnswered)
        assert.deepStrictEqual(yield* model.numbers, range(1, 2))
      })
    )
  })
}

describe("postgres", () => {
  itEffect("a handler that leaves its transaction idle for more than a lease fails, and is no outage", () =>
    Effect.gen(function* () {
      const store = yield* postgres.make
      const model = yield* makeModel(store)
      const projection = listing(model, {
        retry: Schedule.recurs(1),
        handle: (events, transaction) => Effect.andThen(Effect.sleep("2 seconds"), model.handle(events, transaction))
      })
      yield* store.append([sold()])
      const worker = yield* startWorker(store, [projection], { lease: "300 millis" })
      const { lastError } = yield* eventuallyStatus(worker, projection, "it stops", ({ state }) => state === "stopped")
      assert.ok(lastError instanceof EventStoreError && lastError.reason._tag === "StoreUnavailable")
      assert.deepStrictEqual([lastError.reason.code, lastError.reason.retryable], ["25P03", false])
      assert.deepStrictEqual(yield* model.numbers, [])
    })
  )
})
