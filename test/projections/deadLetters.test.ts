/** Events that are set aside: order is kept per key, the others go on, and nothing is lost that nobody drops. */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { describe } from "vitest"
import * as Projection from "../../src/projections/Projection.ts"
import type { ProjectionWorker } from "../../src/projections/ProjectionWorker.ts"
import type { EventStore } from "../../src/stores/EventStore.ts"
import { inTime, range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { Unreadable } from "./outboxes.ts"
import type { Handled } from "./sales.ts"
import {
  appendEach,
  byBuyer,
  databases,
  Events,
  eventuallyEqual,
  makeModel,
  makeNotes,
  memory,
  numbersOf,
  sharedLog,
  sold,
  startWorker
} from "./sales.ts"

/** A handler that refuses the numbers in `poison`, in a projection that parks, in the database where there is one. */
const parking = (store: EventStore, options: Partial<Projection.ProjectionOptions<typeof Events>> = {}) =>
  Effect.gen(function* () {
    const poison = new Set<number>()
    const refuse = (events: Handled) => {
      const bad = numbersOf(events).find((number) => poison.has(number))
      if (bad !== undefined) throw new Error(`bad ${bad}`)
    }
    const common = {
      events: Events,
      onFailure: "park" as const,
      key: byBuyer,
      retry: Schedule.recurs(1),
      ...options
    }
    const hasDatabase = yield* store.workspace.transaction(({ sql }) => Effect.succeed(sql !== undefined))
    if (!hasDatabase) {
      const seen: Array<number> = []
      const projection = Projection.elsewhere({
        ...common,
        name: "parking",
        handle: (events) => {
          refuse(events)
          seen.push(...numbersOf(events))
        }
      })
      return { poison, projection, numbers: Effect.sync(() => [...seen]) }
    }
    const model = yield* makeModel(store)
    const projection = Projection.make({
      ...common,
      name: model.table,
      setup: model.setup,
      reset: model.reset,
      handle: (events, transaction) => {
        refuse(events)
        return model.handle(events, transaction)
      }
    })
    return { poison, projection, numbers: Effect.orDie(model.numbers) }
  })

const lettersOf = (worker: ProjectionWorker, projection: Projection.Projection) =>
  Effect.map(worker.deadLetters(projection), (letters) =>
    letters.map(({ failure, key, sequenceNumber }) => [sequenceNumber, key, failure])
  )

for (const under of [memory, ...databases]) {
  describe(under.name, () => {
    itEffect("a bad event is parked with its failure, later ones of its key wait behind it, others go on", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const { numbers, poison, projection } = yield* parking(store)
        poison.add(2)
        yield* appendEach(store, ["ann", "bob", "ann", "bob", "cid"].map(sold))
        const worker = yield* startWorker(store, [projection])
        yield* worker.waitFor(projection, 5)
        assert.deepStrictEqual(yield* numbers, [1, 3, 5])
        assert.deepStrictEqual(yield* lettersOf(worker, projection), [
          [2, "bob", "Error: bad 2"],
          [4, "bob", undefined]
        ])
        assert.deepStrictEqual((yield* worker.deadLetters(projection, { after: 2, limit: 1 })).length, 1)
        assert.equal((yield* worker.status(projection)).state, "running")
      })
    )

    itEffect("a replay that succeeds handles the key's events in order, and later ones are handled at once", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const { numbers, poison, projection } = yield* parking(store)
        poison.add(1)
        yield* appendEach(store, ["bob", "bob", "ann", "bob"].map(sold))
        const worker = yield* startWorker(store, [projection])
        yield* worker.waitFor(projection, 4)
        assert.deepStrictEqual(yield* numbers, [3])
        poison.clear()
        assert.equal(yield* worker.replay(projection, { key: "ann" }), 0)
        assert.equal(yield* worker.replay(projection, { key: "bob" }), 3)
        yield* eventuallyEqual("they are replayed", numbers, [3, 1, 2, 4])
        yield* eventuallyEqual("none is left", lettersOf(worker, projection), [])
        yield* store.append([sold("bob")])
        yield* worker.waitFor(projection, 5)
        assert.deepStrictEqual(yield* numbers, [3, 1, 2, 4, 5])
      })
    )

    itEffect("a replay that fails again leaves the key's letters waiting, and other keys are replayed", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const { numbers, poison, projection } = yield* parking(store)
        for (const number of [1, 2]) poison.add(number)
        yield* appendEach(store, ["bob", "cid", "bob", "cid"].map(sold))
        const worker = yield* startWorker(store, [projection])
        yield* worker.waitFor(projection, 4)
        poison.delete(2)
        poison.add(3).delete(1)
        yield* worker.replay(projection)
        yield* eventuallyEqual("what can be is replayed", lettersOf(worker, projection), [[3, "bob", "Error: bad 3"]])
        assert.deepStrictEqual(yield* numbers, [1, 2, 4])
        assert.equal((yield* worker.status(projection)).state, "running")
      })
    )

    itEffect("a batch of several keys is parked whole, and replayed key by key", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const { numbers, poison, projection } = yield* parking(store)
        poison.add(2)
        yield* store.append(["ann", "bob", "ann"].map(sold))
        yield* appendEach(store, ["ann", "bob", "cid"].map(sold))
        const worker = yield* startWorker(store, [projection])
        yield* worker.waitFor(projection, 6)
        assert.deepStrictEqual(yield* numbers, [6])
        assert.deepStrictEqual(yield* lettersOf(worker, projection), [
          [1, "ann", "Error: bad 2"],
          [2, "bob", "Error: bad 2"],
          [3, "ann", "Error: bad 2"],
          [4, "ann", undefined],
          [5, "bob", undefined]
        ])
        yield* worker.replay(projection)
        yield* eventuallyEqual("ann's are replayed", numbers, [6, 1, 3, 4])
        yield* eventuallyEqual("bob's are not", lettersOf(worker, projection), [
          [2, "bob", "Error: bad 2"],
          [5, "bob", undefined]
        ])
      })
    )

    itEffect("of a batch that fails, what waits behind another letter anyway has no failure of its own", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const { poison, projection } = yield* parking(store)
        for (const number of [1, 3]) poison.add(number)
        yield* store.append([sold("bob")])
        yield* store.append(["bob", "ann"].map(sold))
        const worker = yield* startWorker(store, [projection])
        yield* worker.waitFor(projection, 3)
        assert.deepStrictEqual(yield* lettersOf(worker, projection), [
          [1, "bob", "Error: bad 1"],
          [2, "bob", undefined],
          [3, "ann", "Error: bad 3"]
        ])
      })
    )

    itEffect("what is dropped is never handled, and what waited behind it can be replayed", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const { numbers, poison, projection } = yield* parking(store)
        poison.add(2)
        yield* store.append(["bob", "bob", "bob"].map(sold))
        yield* store.append([sold("bob")])
        const worker = yield* startWorker(store, [projection])
        yield* worker.waitFor(projection, 4)
        yield* worker.discard(projection, [2])
        yield* worker.replay(projection)
        yield* eventuallyEqual("the others are replayed", numbers, [1, 3, 4])
        assert.deepStrictEqual(yield* lettersOf(worker, projection), [])
      })
    )

    itEffect("what is dropped while its replay reads it is never handled, and what waited behind it is", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const [isReading, mayRead] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const { page } = store.workspace
        const slowly = {
          ...store.workspace,
          page: ((...read) =>
            Deferred.succeed(isReading, undefined).pipe(
              Effect.andThen(Deferred.await(mayRead)),
              Effect.andThen(page(...read))
            )) as typeof page
        }
        const { calls, handle } = makeNotes()
        let isBroken = true
        const projection = Projection.elsewhere({
          name: "parking",
          events: Events,
          onFailure: "park",
          key: byBuyer,
          retry: Schedule.recurs(0),
          handle: (events) => (isBroken ? Effect.fail(new Unreadable()) : handle(events))
        })
        yield* appendEach(store, [sold(), sold()])
        const worker = yield* startWorker({ ...store, workspace: slowly }, [projection])
        yield* worker.waitFor(projection, 2)
        assert.deepStrictEqual(yield* lettersOf(worker, projection), [
          [1, "ann", "an error whose message cannot be read"],
          [2, "ann", undefined]
        ])
        isBroken = false
        yield* worker.replay(projection)
        yield* inTime(Deferred.await(isReading), "the replay has begun")
        yield* worker.discard(projection, [1])
        yield* Deferred.succeed(mayRead, undefined)
        yield* eventuallyEqual("none is left", lettersOf(worker, projection), [])
        assert.deepStrictEqual(calls, [[2]])
      })
    )

    itEffect("events of a parked key that are added while it is replayed are not left behind", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const { numbers, poison, projection } = yield* parking(store)
        poison.add(1)
        yield* appendEach(store, [sold("bob"), sold("bob")])
        const worker = yield* startWorker(store, [projection])
        yield* worker.waitFor(projection, 2)
        poison.clear()
        yield* Effect.all(
          [
            worker.replay(projection),
            appendEach(
              store,
              range(1, 20).map(() => sold("bob"))
            )
          ],
          {
            concurrency: "unbounded"
          }
        )
        yield* eventuallyEqual("all are handled, in order", numbers, range(1, 22))
        yield* eventuallyEqual("none is left", lettersOf(worker, projection), [])
      })
    )

    itEffect("a rebuild forgets what was set aside, and handles it again", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const { numbers, poison, projection } = yield* parking(store)
        poison.add(1)
        yield* appendEach(store, [sold("bob"), sold("bob")])
        const worker = yield* startWorker(store, [projection])
        yield* worker.waitFor(projection, 2)
        poison.clear()
        yield* worker.rebuild(projection)
        yield* worker.waitFor(projection, 2)
        assert.deepStrictEqual(yield* numbers, [1, 2])
        assert.deepStrictEqual(yield* lettersOf(worker, projection), [])
      })
    )
  })
}

for (const under of databases) {
  describe(`${under.name}, two workers`, () => {
    itEffect("a replay that is asked for in one worker happens in the one that runs the projection", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const { numbers, poison, projection } = yield* parking(one)
        poison.add(1)
        yield* appendEach(one, [sold("bob"), sold("bob")])
        const runs = yield* startWorker(one, [projection])
        yield* runs.waitFor(projection, 2)
        const asks = yield* startWorker(other, [projection])
        assert.equal((yield* asks.status(projection)).state, "waiting")
        poison.clear()
        assert.equal(yield* asks.replay(projection), 2)
        yield* eventuallyEqual("they are replayed", numbers, [1, 2])
        assert.equal((yield* asks.status(projection)).state, "waiting")
      })
    )

    itEffect("a replay whose lease is lost meanwhile settles nothing: the next holder does it again", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const [started, mayFinish] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const calls: Array<ReadonlyArray<number>> = []
        let isBroken = true
        const projection = Projection.elsewhere({
          name: "parking",
          events: Events,
          onFailure: "park",
          key: byBuyer,
          retry: Schedule.recurs(0),
          handle: (events) =>
            Effect.gen(function* () {
              if (isBroken) return yield* Effect.fail(new Error("bad"))
              calls.push(numbersOf(events))
              yield* Deferred.succeed(started, undefined)
              yield* Deferred.await(mayFinish)
            })
        })
        yield* appendEach(one, [sold("bob"), sold("bob")])
        const worker = yield* startWorker(one, [projection])
        yield* worker.waitFor(projection, 2)
        isBroken = false
        yield* worker.replay(projection)
        yield* inTime(Deferred.await(started), "the replay has begun")
        yield* other.workspace.transaction(({ cursors }) => cursors.reset("projection parking\u00011\u00010", 2))
        yield* Deferred.succeed(mayFinish, undefined)
        yield* eventuallyEqual("none is left", lettersOf(worker, projection), [])
        assert.deepStrictEqual(calls, [[1], [1], [2]])
      })
    )
  })
}
