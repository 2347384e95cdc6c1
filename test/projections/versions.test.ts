/** A new version of a projection catches up beside the old one, and is put in use once. */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { describe } from "vitest"
import { HookFailed } from "../../src/projections/ProjectionError.ts"
import * as Projection from "../../src/projections/Projection.ts"
import { eventually, inTime, range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import {
  appendEach,
  databases,
  Events,
  eventuallyStatus,
  listing,
  makeModel,
  makeNotes,
  memory,
  sharedLog,
  sold,
  startWorker
} from "./sales.ts"

for (const under of databases) {
  describe(under.name, () => {
    itEffect("version 2 catches up beside version 1, is put in use once, and version 1 goes on where it runs", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other, third] = [yield* open, yield* open, yield* open]
        const [old, fresh] = [yield* makeModel(one), yield* makeModel(one)]
        const name = old.table
        const [reached, mayGoOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        let activations = 0
        const version1 = listing(old)
        const version2 = listing(fresh, {
          name,
          version: 2,
          handle: (events, transaction) =>
            Effect.gen(function* () {
              assert.equal(transaction.version, 2)
              if (events[0]!.record.sequenceNumber === 3 && under.name !== "sqlite") {
                yield* Deferred.succeed(reached, undefined)
                yield* Deferred.await(mayGoOn)
              }
              yield* fresh.handle(events, transaction)
            }),
          activate: (transaction) =>
            Effect.suspend(() => {
              activations += 1
              return transaction.execute(`CREATE VIEW ${name}_view AS SELECT number FROM ${fresh.table}`)
            })
        })
        yield* Effect.addFinalizer(() =>
          Effect.ignore(one.workspace.transaction(({ sql }) => sql!.execute(`DROP VIEW ${name}_view`)))
        )
        yield* appendEach(
          one,
          range(1, 4).map(() => sold())
        )
        const worker1 = yield* startWorker(one, [version1])
        yield* eventuallyStatus(worker1, version1, "version 1 is in use", ({ active }) => active)
        const worker2 = yield* startWorker(other, [version2])
        if (under.name !== "sqlite") {
          yield* inTime(Deferred.await(reached), "version 2 is on its way")
          assert.deepStrictEqual(
            [(yield* worker2.status(name)).active, (yield* worker1.status(name)).active, activations],
            [false, true, 0]
          )
        }
        yield* Deferred.succeed(mayGoOn, undefined)
        yield* eventuallyStatus(worker2, version2, "version 2 is in use", ({ active }) => active)
        yield* eventuallyStatus(worker1, version1, "version 1 is in use no more", ({ active }) => !active)
        const worker3 = yield* startWorker(third, [version2, version1])
        yield* eventuallyStatus(worker3, name, "a name means its highest version", ({ version }) => version === 2)
        assert.equal((yield* worker3.status(version1)).version, 1)
        const { lastSequenceNumber } = yield* one.append([sold()])
        yield* worker1.waitFor(version1, lastSequenceNumber)
        yield* worker2.waitFor(version2, lastSequenceNumber)
        assert.deepStrictEqual([yield* old.numbers, yield* fresh.numbers], [range(1, 5), range(1, 5)])
        assert.equal(activations, 1)
        yield* worker1.stop
        yield* worker2.stop
        const again = yield* startWorker(one, [version1])
        assert.equal((yield* again.status(version1)).active, false)
      })
    )

    itEffect("an activate that fails is undone, shown, and tried again", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const model = yield* makeModel(store)
        let tries = 0
        const projection = listing(model, {
          activate: (transaction) =>
            Effect.suspend(() => {
              tries += 1
              const mark = transaction.execute(`INSERT INTO ${model.table} VALUES (${1_000 + tries}, 0, 'activated')`)
              return tries === 1 ? Effect.andThen(mark, Effect.fail(new Error("not yet"))) : mark
            })
        })
        const worker = yield* startWorker(store, [projection])
        const status = yield* eventuallyStatus(
          worker,
          projection,
          "it is shown",
          ({ lastError }) => lastError !== undefined
        )
        assert.ok(status.lastError instanceof HookFailed)
        assert.deepStrictEqual([status.lastError.hook, status.state, status.active], ["activate", "running", false])
        yield* store.append([sold()])
        yield* worker.waitFor(projection, 1)
        const later = yield* eventuallyStatus(worker, projection, "it is in use", ({ active }) => active)
        assert.equal(later.lastError, undefined)
        assert.deepStrictEqual(
          [...(yield* model.numbers)].sort((a, b) => a - b),
          [1, 1_002]
        )
      })
    )

    itEffect("a version that starts at the head leaves out what was before, in all partitions alike", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const model = yield* makeModel(store)
        yield* appendEach(
          store,
          range(1, 3).map((n) => sold(`buyer ${n}`))
        )
        const projection = listing(model, {
          start: "head",
          partitions: 2,
          key: ({ payload }) => JSON.stringify(payload)
        })
        const worker = yield* startWorker(store, [projection])
        yield* appendEach(
          store,
          range(4, 6).map((n) => sold(`buyer ${n}`))
        )
        yield* worker.waitFor(projection, 6)
        assert.deepStrictEqual(
          [...(yield* model.numbers)].sort((a, b) => a - b),
          [4, 5, 6]
        )
      })
    )
  })
}

for (const under of [memory, ...databases]) {
  describe(`${under.name}, elsewhere`, () => {
    itEffect("a version is put in use by its hook, when all that was there is handled", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const notes = makeNotes()
        const activated: Array<ReadonlyArray<number>> = []
        const projection = Projection.elsewhere({
          name: "elsewhere",
          version: 2,
          events: Events,
          activate: ({ version }) => {
            activated.push([version, ...notes.calls.flat()])
          },
          handle: notes.handle
        })
        yield* appendEach(store, [sold(), sold()])
        const worker = yield* startWorker(store, [projection])
        yield* eventuallyStatus(worker, projection, "it is in use", ({ active }) => active)
        assert.deepStrictEqual(activated, [[2, 1, 2]])
        yield* worker.stop
        const again = yield* startWorker(store, [projection])
        assert.equal((yield* again.status(projection)).active, true)
        yield* eventually("no more", () => activated.length === 1)
      })
    )
  })
}
