/** Several stores of one log: one of them delivers a durable stream, the others wait and take over, and nobody who was fenced moves it (D5). */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Query from "../../stores/EventQuery.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import { onLog, onStore } from "./ConformanceCase.ts"
import {
  closable,
  event,
  eventually,
  eventuallyState,
  failsWith,
  inTime,
  logOf,
  numbersOf,
  range,
  recorder,
  stateOf,
  times
} from "./expectations.ts"

const sold = (buyer: string) => event("Sold", { buyer })
const ignore = () => Effect.void

const cursorOf = (store: EventStore, name: string) =>
  Effect.map(
    store.workspace.transaction(({ cursors }) => cursors.read([`stream ${name}`])),
    ([row]) => row?.position
  )

export const durableTakeover = [
  onLog(
    "D5",
    "of several stores exactly one delivers, each batch once and in order, while all of them append",
    (open) =>
      Effect.gen(function* () {
        const stores = [yield* open, yield* open, yield* open]
        const received: Array<number> = []
        const by = new Set<number>()
        yield* stores[0]!.append([sold("ann")])
        const streams = yield* Effect.forEach(stores, (store, index) =>
          store.streamAllDurable({ name: "all" }, (batch) =>
            Effect.sync(() => {
              by.add(index)
              received.push(...numbersOf(batch))
            })
          )
        )
        yield* Effect.all(
          times(60, (index) => stores[index % 3]!.append([event("Sold", { index }), event("Paid", { index })])),
          { concurrency: "unbounded" }
        )
        // Those who wait catch up too: by what the other one delivers.
        yield* inTime(Effect.all(streams.map(({ caughtUp }) => caughtUp)), "the streams catch up")
        assert.deepStrictEqual(received, range(1, 121))
        assert.deepStrictEqual([...by], [0])
        assert.deepStrictEqual(yield* Effect.forEach(streams, stateOf), ["running", "waiting", "waiting"])
      })
  ),
  onLog("D5", "who waits takes over when the other one unsubscribes, however long the lease", (open) =>
    Effect.gen(function* () {
      const [one, other] = [yield* open, yield* open]
      const [first, second] = [recorder(), recorder()]
      const options = { lease: "1 hour" } as const
      const active = yield* one.streamAllDurable({ name: "all" }, first.handler, options)
      const waiting = yield* other.streamAllDurable({ name: "all" }, second.handler, options)
      assert.equal(yield* stateOf(waiting), "waiting")
      yield* one.append([sold("ann")])
      yield* first.received(1)
      yield* active.unsubscribe
      yield* one.append([sold("bob")])
      yield* second.received(1)
      yield* eventuallyState(waiting, "running")
      assert.deepStrictEqual([first.numbers(), second.numbers()], [[[1]], [[2]]])
    })
  ),
  onLog("D5", "who waits takes over when the other store is closed, however long the lease", (open) =>
    Effect.gen(function* () {
      const [one, other] = [yield* closable(open), yield* open]
      const [first, second] = [recorder(), recorder()]
      const options = { lease: "1 hour" } as const
      yield* one.store.streamAllDurable({ name: "all" }, first.handler, options)
      yield* other.streamAllDurable({ name: "all" }, second.handler, options)
      yield* other.append([sold("ann")])
      yield* first.received(1)
      yield* one.close
      yield* other.append([sold("bob")])
      yield* second.received(1)
      assert.deepStrictEqual([first.numbers(), second.numbers()], [[[1]], [[2]]])
    })
  ),
  onLog("D5", "a stream that is handed to and fro loses nothing and repeats nothing", (open) =>
    Effect.gen(function* () {
      const stores = [yield* open, yield* open]
      const received: Array<number> = []
      const state = { isEnough: false }
      const append = Effect.gen(function* () {
        while (!state.isEnough) {
          yield* stores[1]!.append([sold("ann"), sold("bob")])
          yield* Effect.sleep("1 millis")
        }
      })
      const hand = Effect.forEach(range(1, 5), (turn) =>
        Effect.gen(function* () {
          const least = received.length + 6
          const stream = yield* stores[turn % 2]!.streamAllDurable(
            { name: "all" },
            (batch) => Effect.andThen(Effect.yieldNow, () => Effect.sync(() => received.push(...numbersOf(batch)))),
            { lease: "1 hour" }
          )
          yield* eventually("some batches arrive", () => received.length >= least)
          yield* stream.unsubscribe
        })
      ).pipe(Effect.ensuring(Effect.sync(() => (state.isEnough = true))))
      yield* Effect.all([append, hand], { concurrency: "unbounded" })
      const last = yield* stores[0]!.streamAllDurable({ name: "all" }, (batch) =>
        Effect.sync(() => received.push(...numbersOf(batch)))
      )
      yield* inTime(last.caughtUp, "the last one catches up")
      assert.deepStrictEqual(received, numbersOf(yield* logOf(stores[0]!)))
    })
  ),
  onLog("D4", "a name belongs to its query in every store", (open) =>
    Effect.gen(function* () {
      const [one, other] = [yield* open, yield* open]
      yield* one.streamToDurable({ name: "sales" }, Query.ofTypes("Sold"), ignore)
      yield* failsWith("DurableStreamMismatch", other.streamToDurable({ name: "sales" }, Query.ofTypes("Paid"), ignore))
      yield* failsWith("DurableStreamMismatch", other.streamAllDurable({ name: "sales" }, ignore))
      const waiting = yield* other.streamToDurable({ name: "sales" }, Query.ofTypes("Sold"), ignore)
      assert.equal(yield* stateOf(waiting), "waiting")
    })
  ),
  onLog("D5", "a lease is kept while a handler takes longer than it", (open) =>
    Effect.gen(function* () {
      const [one, other] = [yield* open, yield* open]
      const [first, second] = [recorder(), recorder()]
      const release = yield* Deferred.make<void>()
      const options = { lease: "1 second" } as const
      yield* one.append([sold("ann")])
      yield* one.append([sold("bob")])
      yield* one.streamAllDurable(
        { name: "all" },
        (batch) => Effect.andThen(first.handler(batch), Deferred.await(release)),
        options
      )
      yield* first.received(1)
      const waiting = yield* other.streamAllDurable({ name: "all" }, second.handler, options)
      yield* Effect.sleep("2500 millis")
      assert.deepStrictEqual([yield* stateOf(waiting), second.batches], ["waiting", []])
      yield* Deferred.succeed(release, undefined)
      yield* first.received(2)
      assert.deepStrictEqual([first.numbers(), second.numbers()], [[[1], [2]], []])
    })
  ),
  onStore("D5", "a handler that was fenced moves nothing: its batch is delivered again", (store) =>
    Effect.gen(function* () {
      const attempts: Array<ReadonlyArray<number>> = []
      const release = yield* Deferred.make<void>()
      yield* store.append([sold("ann")])
      yield* store.append([sold("bob")])
      const stream = yield* store.streamAllDurable(
        { name: "all" },
        (batch) =>
          Effect.suspend(() => {
            attempts.push(numbersOf(batch))
            return attempts.length === 2 ? Effect.uninterruptible(Deferred.await(release)) : Effect.void
          }),
        { lease: "1 minute" }
      )
      yield* eventually("the second delivery starts", () => attempts.length === 2)
      // A new epoch, as after a takeover: this one was frozen, and knows nothing of it.
      yield* store.workspace.transaction(({ cursors }) => cursors.reset("stream all", 1))
      yield* Deferred.succeed(release, undefined)
      yield* eventually("the batch is delivered again", () => attempts.length === 3)
      yield* inTime(stream.caughtUp, "the stream catches up")
      assert.deepStrictEqual([attempts, yield* cursorOf(store, "all")], [[[1], [2], [2]], 2])
      assert.equal(yield* stateOf(stream), "running")
    })
  ),
  onStore("D5", "a handler that still runs when its stream was fenced is interrupted", (store) =>
    Effect.gen(function* () {
      let [begun, interrupted] = [0, 0]
      yield* store.append([sold("ann")])
      yield* store.streamAllDurable(
        { name: "all" },
        () =>
          Effect.suspend(() => (++begun === 1 ? Effect.never : Effect.void)).pipe(
            Effect.onInterrupt(() => Effect.sync(() => interrupted++))
          ),
        { lease: "150 millis" }
      )
      yield* eventually("the delivery starts", () => begun === 1)
      yield* store.workspace.transaction(({ cursors }) => cursors.reset("stream all", 0))
      yield* eventually("the batch is delivered again", () => begun === 2)
      assert.equal(interrupted, 1)
    })
  ),
  onStore("D5", "a stream whose cursor is paused delivers nothing more until it is resumed", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      const pause = (paused: boolean) =>
        store.workspace.transaction(({ cursors }) => cursors.setPaused("stream all", paused))
      const state = { isEnough: false }
      // Deliveries without a break: the pause has to be noticed between two of them.
      const append = Effect.gen(function* () {
        while (!state.isEnough) {
          yield* store.append([sold("ann")])
          yield* Effect.sleep("1 millis")
        }
      }).pipe(Effect.ensuring(Effect.sync(() => (state.isEnough = true))))
      const appending = yield* Effect.forkChild(append)
      const stream = yield* store.streamAllDurable({ name: "all" }, recording.handler, { lease: "1 hour" })
      yield* recording.received(5)
      yield* pause(true)
      yield* eventuallyState(stream, "paused")
      const seen = recording.batches.length
      const head = (yield* store.append([sold("bob")])).lastSequenceNumber
      yield* Effect.sleep("20 millis")
      assert.equal(recording.batches.length, seen)
      yield* pause(false)
      yield* eventually("deliveries go on", () => recording.batches.length > seen)
      state.isEnough = true
      yield* inTime(Fiber.join(appending), "the appends end")
      yield* inTime(stream.caughtUp, "the stream catches up")
      assert.ok(recording.batches.length >= head)
      assert.deepStrictEqual(numbersOf(recording.batches.flat()), range(1, recording.batches.length))
    })
  ),
  onStore("D5", "a stream that rests notices that its cursor was paused or set back, however long the lease", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* store.append([sold("ann")])
      const stream = yield* store.streamAllDurable({ name: "all" }, recording.handler, { lease: "1 hour" })
      yield* inTime(stream.caughtUp, "the stream catches up")
      yield* store.workspace.transaction(({ cursors }) => cursors.setPaused("stream all", true))
      yield* eventuallyState(stream, "paused")
      yield* store.workspace.transaction(({ cursors }) => cursors.setPaused("stream all", false))
      yield* eventuallyState(stream, "running")
      yield* store.workspace.transaction(({ cursors }) => cursors.reset("stream all", 0))
      yield* recording.received(2)
      assert.deepStrictEqual(recording.numbers(), [[1], [1]])
    })
  )
]
