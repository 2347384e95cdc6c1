/** Status, pause and resume, and waiting for a position, in the process that runs a projection and in others. */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { describe } from "vitest"
import { UnknownProjection, WaitTimedOut } from "../../src/projections/ProjectionError.ts"
import * as Projection from "../../src/projections/Projection.ts"
import { hostile, inTime, range } from "../../src/testing/conformance/expectations.ts"
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
  numbersOf,
  sharedLog,
  sold,
  startWorker
} from "./sales.ts"

for (const under of [memory, ...databases]) {
  describe(under.name, () => {
    itEffect("the status tells position, head, lag in events and in time, rate, and which version is in use", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const [started, mayFinish] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const projection = Projection.elsewhere({
          name: "slow",
          version: 3,
          events: Events,
          handle: (events) =>
            Effect.gen(function* () {
              if (!numbersOf(events).includes(3)) return
              yield* Deferred.succeed(started, undefined)
              yield* Deferred.await(mayFinish)
            })
        })
        yield* appendEach(
          store,
          range(1, 5).map(() => sold())
        )
        const worker = yield* startWorker(store, [projection])
        yield* inTime(Deferred.await(started), "the handler runs")
        const { eventRecords } = yield* store.query()
        const age = Date.now() - eventRecords[2]!.occurredAt
        const status = yield* worker.status(projection)
        assert.deepStrictEqual(
          [status.name, status.version, status.active, status.state, status.position],
          ["slow", 3, false, "running", 2]
        )
        assert.deepStrictEqual([status.headSequenceNumber, status.lag, status.lastError], [5, 3, undefined])
        assert.ok(status.lagMs >= age && status.lagMs < age + 10_000, `${status.lagMs}`)
        assert.ok(status.rate > 0 && status.rate <= 2, `${status.rate}`)
        assert.deepStrictEqual(status.partitions, [
          { partition: 0, state: "running", position: 2, failures: 0, lastError: undefined }
        ])
        yield* Deferred.succeed(mayFinish, undefined)
        const done = yield* eventuallyStatus(worker, "slow", "it is in use", ({ active }) => active)
        assert.deepStrictEqual([done.position, done.lag, done.lagMs], [5, 0, 0])
        assert.equal((yield* worker.statuses).length, 1)
      })
    )

    itEffect("the status tells of one moment, whatever comes while the head is read", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const asked = yield* Deferred.make<void>()
        /** What happens after the head was read and before its reader has it. */
        let meanwhile: Effect.Effect<unknown, unknown> = Deferred.succeed(asked, undefined)
        const { workspace } = store
        const slowly = {
          ...store,
          workspace: {
            ...workspace,
            head: Effect.tap(workspace.head, () => Effect.orDie(Effect.suspend(() => meanwhile)))
          }
        }
        const mayFinish = yield* Deferred.make<void>()
        const handle = () => Deferred.await(mayFinish)
        const projection = Projection.elsewhere({ name: "slow", events: Events, handle })
        yield* store.append([sold()])
        const worker = yield* startWorker(slowly, [projection])
        // To be put in use it has to come as far as the log is long.
        yield* inTime(Deferred.await(asked), "the worker reads the head")
        meanwhile = Effect.gen(function* () {
          meanwhile = Effect.void
          yield* Deferred.succeed(mayFinish, undefined)
          yield* eventuallyStatus(worker, projection, "it is in use", ({ active }) => active)
        })
        const done = yield* worker.status(projection)
        assert.deepStrictEqual([done.active, done.position, done.headSequenceNumber, done.lag], [true, 1, 1, 0])
        meanwhile = Effect.gen(function* () {
          meanwhile = Effect.void
          yield* store.append([sold()])
          yield* worker.waitFor(projection, 2)
        })
        const ahead = yield* worker.status(projection)
        assert.deepStrictEqual([ahead.position, ahead.headSequenceNumber, ahead.lag, ahead.lagMs], [2, 2, 0, 0])
      })
    )

    itEffect(
      "who waits for the position of an append reads what it wrote; who waits too long is told where it is",
      () =>
        Effect.gen(function* () {
          const store = yield* under.make
          const notes = makeNotes()
          const projection = Projection.elsewhere({ name: "noted", events: Events, handle: notes.handle })
          const worker = yield* startWorker(store, [projection])
          for (const _ of range(1, 5)) {
            const { lastSequenceNumber } = yield* store.append([sold()])
            yield* worker.waitFor(projection, lastSequenceNumber)
            assert.equal(notes.calls.at(-1)?.[0], lastSequenceNumber)
          }
          const late = yield* Effect.flip(worker.waitFor(projection, 6, { timeout: "30 millis" }))
          assert.ok(late instanceof WaitTimedOut)
          assert.deepStrictEqual([late.projection, late.sequenceNumber, late.position], ["noted", 6, 5])
          for (const wrong of [undefined, Number.NaN, -1, 1.5, "6"]) {
            const refused = yield* Effect.flip(worker.waitFor(projection, hostile(wrong)))
            assert.ok(refused._tag === "EventStoreError" && refused.reason._tag === "InvalidInput", String(wrong))
          }
          const unknown = yield* Effect.flip(worker.waitFor("other", 1))
          assert.ok(unknown instanceof UnknownProjection)
        })
    )
  })
}

for (const under of databases) {
  describe(`${under.name}, two workers`, () => {
    itEffect("a position can be waited for in a process that does not run the projection", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const model = yield* makeModel(one)
        const projection = listing(model)
        yield* startWorker(one, [projection])
        const waits = yield* startWorker(other, [projection])
        for (const _ of range(1, 3)) {
          const { lastSequenceNumber } = yield* other.append([sold()])
          yield* waits.waitFor(projection, lastSequenceNumber)
          assert.equal((yield* model.numbers).at(-1), lastSequenceNumber)
        }
        assert.equal((yield* waits.status(projection)).state, "waiting")
      })
    )

    itEffect("a pause in one process halts the projection in another, idle or busy, and outlives both", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const model = yield* makeModel(one)
        const projection = listing(model)
        // A long lease: what others write is not learnt from renewing it.
        const long = { lease: "1 hour" } as const
        const runs = yield* startWorker(one, [projection], long)
        yield* one.append([sold()])
        yield* runs.waitFor(projection, 1)
        const asks = yield* startWorker(other, [projection], long)
        yield* asks.pause(projection)
        yield* eventuallyStatus(runs, projection, "the idle one pauses", ({ state }) => state === "paused")
        yield* asks.resume(projection)
        const state = { isAppending: true }
        yield* Effect.forkScoped(
          Effect.gen(function* () {
            while (state.isAppending) yield* Effect.orDie(other.append([sold()]))
          })
        )
        yield* asks.waitFor(projection, 20)
        yield* asks.pause(projection)
        yield* eventuallyStatus(runs, projection, "the busy one pauses", ({ state }) => state === "paused")
        yield* eventuallyStatus(asks, projection, "the other one pauses", ({ state }) => state === "paused")
        const { length } = yield* model.numbers
        yield* other.append([sold()])
        state.isAppending = false
        yield* runs.stop
        yield* asks.stop
        const third = yield* startWorker(one, [projection], long)
        const status = yield* eventuallyStatus(third, projection, "it is paused", ({ state }) => state === "paused")
        assert.equal(status.position, length)
        assert.equal((yield* model.numbers).length, length)
        yield* third.resume(projection)
        const { lastSequenceNumber } = yield* one.append([sold()])
        yield* third.waitFor(projection, lastSequenceNumber)
        assert.deepStrictEqual(yield* model.numbers, range(1, lastSequenceNumber))
      })
    )
  })
}
