/** Query models elsewhere: at least once, in order, with the numbers to tell what came before. */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { describe } from "vitest"
import * as Projection from "../../src/projections/Projection.ts"
import type { ProjectionStatus } from "../../src/projections/ProjectionStatus.ts"
import * as SqliteStore from "../../src/stores/sqlite/SqliteStore.ts"
import { range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { temporaryFile } from "../support/stores.ts"
import {
  appendEach,
  byBuyer,
  databases,
  Events,
  eventuallyEqual,
  eventuallyStatus,
  makeNotes,
  numbersOf,
  sharedLog,
  sold,
  startWorker
} from "./sales.ts"

for (const under of databases) {
  describe(under.name, () => {
    itEffect("a batch whose position could not be kept comes again, and none is left out", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const notes = makeNotes()
        const [started, mayFinish] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const held = Projection.elsewhere({
          name: "held",
          events: Events,
          handle: (events) =>
            Effect.gen(function* () {
              yield* notes.handle(events)
              if (!numbersOf(events).includes(2)) return
              yield* Deferred.succeed(started, undefined)
              yield* Deferred.await(mayFinish)
            })
        })
        yield* appendEach(one, [sold(), sold(), sold()])
        const first = yield* startWorker(one, [held])
        yield* Deferred.await(started)
        // As after a freeze: the lease is another's before the handler is done.
        const cursor = "projection held\u00011\u00010"
        yield* other.workspace.transaction(({ cursors }) => cursors.reset(cursor, 1))
        const elsewhere = makeNotes()
        const second = yield* startWorker(other, [
          Projection.elsewhere({ name: "held", events: Events, handle: elsewhere.handle })
        ])
        yield* second.waitFor("held", 3)
        yield* Deferred.succeed(mayFinish, undefined)
        yield* one.append([sold()])
        yield* first.waitFor(held, 4)
        assert.deepStrictEqual(elsewhere.calls.flat().slice(0, 2), [2, 3])
        assert.deepStrictEqual(notes.calls.slice(0, 2), [[1], [2]])
        const all = new Set([...notes.calls, ...elsewhere.calls].flat())
        assert.deepStrictEqual(
          [...all].sort((a, b) => a - b),
          range(1, 4)
        )
      })
    )
  })
}

describe("a handler that has succeeded while the cursor could not be moved", () => {
  const start = (onFailure: "stop" | "park", retry: Schedule.Schedule<unknown>, unless = "false") =>
    Effect.gen(function* () {
      const store = yield* SqliteStore.make({ file: yield* temporaryFile })
      const execute = (text: string) => store.workspace.transaction(({ sql }) => sql!.execute(text))
      yield* execute(
        `CREATE TRIGGER full BEFORE UPDATE ON evolvent_cursors WHEN NEW.position > OLD.position AND NOT ${unless}
         BEGIN SELECT RAISE(ABORT, 'full'); END`
      )
      yield* store.append([sold()])
      const { calls, handle } = makeNotes()
      const noted = Projection.elsewhere({ name: "noted", events: Events, handle, onFailure, key: byBuyer, retry })
      const worker = yield* startWorker(store, [noted])
      return { calls, mend: execute("DROP TRIGGER full"), noted, store, worker }
    })

  const startFailing = Effect.gen(function* () {
    const started = yield* start("stop", Schedule.spaced("5 millis"))
    const hasFailed = ({ partitions }: ProjectionStatus) => partitions[0]!.failures >= 3
    yield* eventuallyStatus(started.worker, "noted", "the move has failed", hasFailed)
    return started
  })

  itEffect("is not called again", () =>
    Effect.gen(function* () {
      const { calls, mend, noted, store, worker } = yield* startFailing
      yield* mend
      yield* store.append([sold()])
      yield* worker.waitFor(noted, 2)
      assert.deepStrictEqual(calls, [[1], [2]])
    })
  )

  itEffect("is not called again after a pause either", () =>
    Effect.gen(function* () {
      const { calls, mend, noted, store, worker } = yield* startFailing
      yield* mend
      yield* worker.pause(noted)
      yield* eventuallyStatus(worker, noted, "it pauses", ({ state }) => state === "paused")
      yield* worker.resume(noted)
      yield* store.append([sold()])
      yield* worker.waitFor(noted, 2)
      assert.deepStrictEqual(calls, [[1], [2]])
    })
  )

  itEffect("is called again by a rebuild", () =>
    Effect.gen(function* () {
      const { calls, mend, noted, worker } = yield* startFailing
      yield* mend
      yield* worker.rebuild(noted)
      yield* worker.waitFor(noted, 1)
      assert.deepStrictEqual(calls, [[1], [1]])
    })
  )

  itEffect("has its events not parked", () =>
    Effect.gen(function* () {
      const parked = "EXISTS (SELECT 1 FROM evolvent_dead_letters)"
      const { calls, noted, worker } = yield* start("park", Schedule.recurs(1), parked)
      const { position } = yield* eventuallyStatus(worker, noted, "it stops", ({ state }) => state === "stopped")
      assert.deepStrictEqual([position, yield* worker.deadLetters(noted), calls], [0, [], [[1]]])
    })
  )
})

itEffect("a dead letter that was handled again is not handled once more because it could not be removed", () =>
  Effect.gen(function* () {
    const store = yield* SqliteStore.make({ file: yield* temporaryFile })
    const execute = (text: string) => store.workspace.transaction(({ sql }) => sql!.execute(text))
    yield* execute("CREATE TRIGGER full BEFORE DELETE ON evolvent_dead_letters BEGIN SELECT RAISE(ABORT, 'full'); END")
    const notes = makeNotes()
    let isMended = false
    const noted = Projection.elsewhere({
      name: "noted",
      events: Events,
      handle: (events) => (isMended ? notes.handle(events) : Effect.fail("not yet")),
      onFailure: "park",
      key: byBuyer,
      retry: Schedule.recurs(0)
    })
    yield* appendEach(store, [sold("ann"), sold("bob")])
    const worker = yield* startWorker(store, [noted])
    yield* worker.waitFor(noted, 2)
    isMended = true
    yield* worker.replay(noted)
    const failures = Effect.map(worker.deadLetters(noted), (letters) =>
      letters.map(({ failure }) => failure?.includes("StoreUnavailable"))
    )
    yield* eventuallyEqual("they could not be removed", failures, [true, true])
    yield* execute("DROP TRIGGER full")
    yield* worker.replay(noted)
    yield* eventuallyEqual("none is left", worker.deadLetters(noted), [])
    assert.deepStrictEqual(notes.calls, [[1], [2]])
  })
)
