/** A rebuild in place ends as if the projection had always been as it is, whoever runs it and whatever goes on meanwhile. */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe } from "vitest"
import { HookFailed } from "../../src/projections/ProjectionError.ts"
import * as Projection from "../../src/projections/Projection.ts"
import { inTime, range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import type { Model } from "./sales.ts"
import {
  appendEach,
  byBuyer,
  databases,
  Events,
  eventuallyStatus,
  lease,
  listing,
  makeModel,
  memory,
  numbersOf,
  sharedLog,
  sold,
  startWorker
} from "./sales.ts"

/** Ways to empty the model: each locks something else. */
const resets: ReadonlyArray<readonly [string, (model: Model) => string]> = [
  ["drops its table", ({ table }) => `DROP TABLE ${table}`],
  ["deletes its rows", ({ table }) => `DELETE FROM ${table}`]
]

for (const under of databases) {
  describe(under.name, () => {
    for (const [what, sql] of resets) {
      itEffect(`a rebuild that ${what} while another process handles events equals what was there before`, () =>
        Effect.gen(function* () {
          const open = yield* sharedLog(under)
          const [one, other] = [yield* open, yield* open]
          const model = yield* makeModel(one)
          const projection = listing(model, { reset: ({ execute }) => execute(sql(model)) })
          const runs = yield* startWorker(one, [projection])
          const asks = yield* startWorker(other, [projection])
          const state = { isAppending: true }
          const appending = yield* Effect.forkScoped(
            Effect.gen(function* () {
              let last = 0
              while (state.isAppending) {
                last = (yield* one.append([sold(), sold()])).lastSequenceNumber
                yield* Effect.sleep("5 millis")
              }
              return last
            })
          )
          for (const round of range(1, 4)) {
            yield* runs.waitFor(projection, round * 20, { timeout: "20 seconds" })
            yield* inTime(asks.rebuild(projection), "it is rebuilt")
          }
          state.isAppending = false
          const last = yield* inTime(Fiber.join(appending), "appending ends")
          yield* runs.waitFor(projection, last, { timeout: "20 seconds" })
          yield* asks.waitFor(projection, last, { timeout: "20 seconds" })
          assert.deepStrictEqual(yield* model.numbers, range(1, last))
          for (const worker of [runs, asks]) assert.equal((yield* worker.status(projection)).lastError, undefined)
        })
      )
    }

    itEffect("who waits right after a rebuild does not take the old position for the new one", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const model = yield* makeModel(store)
        const projection = listing(model)
        yield* appendEach(
          store,
          range(1, 10).map(() => sold())
        )
        const worker = yield* startWorker(store, [projection])
        yield* worker.waitFor(projection, 10)
        for (const _ of range(1, 3)) {
          yield* worker.rebuild(projection)
          yield* worker.waitFor(projection, 10)
          assert.deepStrictEqual(yield* model.numbers, range(1, 10))
        }
      })
    )

    itEffect("all partitions are rebuilt together", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const model = yield* makeModel(one)
        const projection = listing(model, { partitions: 3, key: byBuyer })
        const first = yield* startWorker(one, [projection])
        const second = yield* startWorker(other, [projection])
        yield* appendEach(
          one,
          range(1, 12).map((n) => sold(`buyer ${n}`))
        )
        yield* first.waitFor(projection, 12)
        yield* second.rebuild(projection)
        yield* second.waitFor(projection, 12)
        assert.deepStrictEqual(
          [...(yield* model.numbers)].sort((a, b) => a - b),
          range(1, 12)
        )
      })
    )

    itEffect("a rebuild whose hook fails changes nothing, and the projection goes on", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const model = yield* makeModel(store)
        const projection = listing(model, {
          reset: (transaction) => Effect.andThen(model.reset(transaction), Effect.fail(new Error("on second thoughts")))
        })
        const worker = yield* startWorker(store, [projection])
        yield* appendEach(store, [sold(), sold()])
        yield* worker.waitFor(projection, 2)
        const error = yield* Effect.flip(worker.rebuild(projection))
        assert.ok(error instanceof HookFailed)
        assert.equal(error.hook, "reset")
        yield* store.append([sold()])
        yield* worker.waitFor(projection, 3)
        assert.deepStrictEqual(yield* model.numbers, [1, 2, 3])
      })
    )

    itEffect("two rebuilds at once are one after the other", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const model = yield* makeModel(one)
        const projection = listing(model)
        const workers = [yield* startWorker(one, [projection]), yield* startWorker(other, [projection])] as const
        yield* appendEach(
          one,
          range(1, 10).map(() => sold())
        )
        yield* workers[0].waitFor(projection, 10)
        yield* inTime(
          Effect.forEach(workers, (worker) => worker.rebuild(projection), { concurrency: "unbounded" }),
          "both are done"
        )
        for (const worker of workers) yield* worker.waitFor(projection, 10)
        assert.deepStrictEqual(yield* model.numbers, range(1, 10))
      })
    )

    itEffect("what is elsewhere is emptied when no handler runs any more, in whichever process", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const [started, mayFinish] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        let elsewhere: Array<number> = []
        let isHeld = true
        const projection = Projection.elsewhere({
          name: "elsewhere",
          events: Events,
          reset: () => {
            elsewhere = []
          },
          handle: (events) =>
            Effect.gen(function* () {
              if (isHeld && numbersOf(events).includes(3)) {
                yield* Deferred.succeed(started, undefined)
                yield* Deferred.await(mayFinish)
              }
              elsewhere.push(...numbersOf(events))
            })
        })
        yield* appendEach(
          one,
          range(1, 4).map(() => sold())
        )
        yield* startWorker(one, [projection])
        yield* inTime(Deferred.await(started), "a handler runs")
        isHeld = false
        const asks = yield* startWorker(other, [projection])
        const rebuilding = yield* Effect.forkScoped(asks.rebuild(projection), { startImmediately: true })
        yield* eventuallyStatus(asks, projection, "it is paused", ({ state }) => state === "paused")
        assert.deepStrictEqual(elsewhere, [1, 2])
        yield* Deferred.succeed(mayFinish, undefined)
        yield* inTime(Fiber.join(rebuilding), "it is rebuilt")
        yield* asks.waitFor(projection, 4)
        assert.deepStrictEqual(elsewhere, [1, 2, 3, 4])
      })
    )

    itEffect("a rebuild that is given up while it waits for a handler leaves the projection running", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const [started, mayFinish] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const handled: Array<number> = []
        const projection = Projection.elsewhere({
          name: "held",
          events: Events,
          handle: (events) =>
            Effect.gen(function* () {
              handled.push(...numbersOf(events))
              yield* Deferred.succeed(started, undefined)
              yield* Deferred.await(mayFinish)
            })
        })
        yield* appendEach(one, [sold(), sold()])
        const runs = yield* startWorker(one, [projection])
        yield* inTime(Deferred.await(started), "a handler runs")
        const asks = yield* startWorker(other, [projection], { lease })
        const gaveUp = yield* Effect.timeoutOption(asks.rebuild(projection), "300 millis")
        assert.equal(gaveUp._tag, "None")
        yield* Deferred.succeed(mayFinish, undefined)
        yield* runs.waitFor(projection, 2)
        assert.deepStrictEqual(handled, [1, 2])
      })
    )
  })
}

describe("memory", () => {
  itEffect("a rebuild that has lost its turn empties nothing, and leaves the pause to whoever has the turn now", () =>
    Effect.gen(function* () {
      const store = yield* memory.make
      const { transaction } = store.workspace
      let hasPaused = false
      // As after a freeze: the turn is another's as soon as the projection is paused.
      const frozen: typeof transaction = (work, options) =>
        transaction((tx) => {
          const setPaused: typeof tx.cursors.setPaused = (cursor, paused) => {
            hasPaused = paused
            return tx.cursors.setPaused(cursor, paused)
          }
          return work({ ...tx, cursors: { ...tx.cursors, setPaused } })
        }, options).pipe(
          Effect.tap(() => (hasPaused ? transaction(({ cursors }) => cursors.reset("hooks rebuilt", 0)) : Effect.void))
        )
      let resets = 0
      const projection = Projection.elsewhere({
        name: "rebuilt",
        events: Events,
        reset: () => void (resets += 1),
        handle: () => undefined
      })
      const worker = yield* startWorker({ ...store, workspace: { ...store.workspace, transaction: frozen } }, [
        projection
      ])
      yield* store.append([sold()])
      yield* worker.waitFor(projection, 1)
      yield* Effect.flip(worker.rebuild(projection))
      assert.equal(resets, 0)
      const { position } = yield* eventuallyStatus(
        worker,
        projection,
        "it is paused",
        ({ state }) => state === "paused"
      )
      assert.equal(position, 1)
    })
  )

  itEffect("what is elsewhere is emptied and filled again", () =>
    Effect.gen(function* () {
      const store = yield* memory.make
      let elsewhere: Array<number> = []
      const projection = Projection.elsewhere({
        name: "elsewhere",
        events: Events,
        reset: () => Effect.sync(() => (elsewhere = [])),
        handle: (events) => Promise.resolve().then(() => elsewhere.push(...numbersOf(events)))
      })
      const worker = yield* startWorker(store, [projection])
      yield* appendEach(store, [sold(), sold()])
      yield* worker.waitFor(projection, 2)
      yield* worker.rebuild(projection)
      yield* worker.waitFor(projection, 2)
      assert.deepStrictEqual(elsewhere, [1, 2])
    })
  )
})
