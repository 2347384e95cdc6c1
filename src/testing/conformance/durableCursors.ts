/** The cursors of durable streams: when they move, how long they last, and a log that has become shorter than they are (D2, D6, D7). */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Query from "../../stores/EventQuery.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
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
  times
} from "./expectations.ts"

const sold = (buyer: string) => event("Sold", { buyer })
const noRetry = { retry: Schedule.recurs(0) }

/** What the stored cursor of a durable stream says. */
const storedCursor = (store: EventStore, name: string): Effect.Effect<number | undefined, EventStoreError> =>
  Effect.map(
    store.workspace.transaction(({ cursors }) => cursors.read([`stream ${name}`])),
    ([row]) => row?.position
  )

const reaches = (store: EventStore, name: string, position: number) =>
  inTime(
    Effect.gen(function* () {
      while ((yield* storedCursor(store, name)) !== position) yield* Effect.sleep("2 millis")
    }),
    `the cursor reaches ${position}`
  )

export const durableCursors = [
  onStore("D2", "a durable stream that is registered again goes on after what was delivered", (store) =>
    Effect.gen(function* () {
      const [first, second, third] = [recorder(), recorder(), recorder()]
      yield* store.append([sold("ann"), sold("bob")])
      const stream = yield* store.streamAllDurable({ name: "all" }, first.handler)
      yield* inTime(stream.caughtUp, "the stream catches up")
      yield* stream.unsubscribe
      yield* store.append([sold("eve")])
      const again = yield* store.streamAllDurable({ name: "all" }, second.handler)
      yield* inTime(again.caughtUp, "the stream catches up")
      yield* again.unsubscribe
      const idle = yield* store.streamAllDurable({ name: "all" }, third.handler)
      yield* inTime(idle.caughtUp, "there is nothing to catch up with")
      yield* store.append([sold("dan")])
      yield* third.received(1)
      assert.deepStrictEqual([first.numbers(), second.numbers(), third.numbers()], [[[1, 2]], [[3]], [[4]]])
    })
  ),
  onStore("D2", "the cursor moves when the handler has succeeded, and not before", (store) =>
    Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      let started = 0
      yield* store.append([sold("ann")])
      yield* store.append([sold("bob"), event("Paid")])
      yield* store.streamAllDurable({ name: "all" }, (batch) => {
        started++
        return numbersOf(batch)[0] === 2 ? Deferred.await(release) : Effect.void
      })
      yield* eventually("the second delivery starts", () => started === 2)
      yield* store.append([sold("eve")])
      yield* Effect.forEach(range(1, 20), () => Effect.sleep("1 millis"))
      assert.equal(yield* storedCursor(store, "all"), 1)
      yield* Deferred.succeed(release, undefined)
      yield* reaches(store, "all", 4)
    })
  ),
  onStore("D2", "the cursor follows past what does not match", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* store.append(times(1_500, (index) => event("Noise", { index })))
      yield* store.streamToDurable({ name: "sales" }, Query.ofTypes("Sold"), recording.handler, { lease: "1 hour" })
      yield* reaches(store, "sales", 1_500)
      yield* store.append([sold("ann")])
      yield* store.append([event("Noise")])
      yield* reaches(store, "sales", 1_502)
      assert.deepStrictEqual(recording.numbers(), [[1_501]])
    })
  ),
  onStore("D2", "the cursor never passes a batch that was not delivered, whatever lies around it", (store) =>
    Effect.gen(function* () {
      const attempts: Array<ReadonlyArray<number>> = []
      yield* store.append([event("Noise"), sold("ann"), event("Noise")])
      yield* store.append(times(40, () => event("Noise")))
      yield* store.append([event("Noise"), sold("bob"), event("Noise")])
      yield* store.append(times(40, () => event("Noise")))
      const stream = yield* store.streamToDurable(
        { name: "sales" },
        Query.ofTypes("Sold"),
        (batch) => {
          attempts.push(numbersOf(batch))
          return numbersOf(batch)[0] === 45 ? Effect.fail("no") : Effect.void
        },
        { retry: Schedule.max([Schedule.spaced("60 millis"), Schedule.recurs(6)]) }
      )
      yield* eventuallyState(stream, "stopped")
      assert.deepStrictEqual(attempts, [[2], ...times(7, () => [45])])
      const cursor = (yield* storedCursor(store, "sales"))!
      assert.ok(cursor >= 2 && cursor < 45, `the cursor is at ${cursor}`)
    })
  ),
  onStore("D2", "the position of the status is the cursor's, and never goes back", (store) =>
    Effect.gen(function* () {
      const positions: Array<number> = []
      const recording = recorder()
      yield* Effect.forEach(range(1, 30), (index) => store.append(times(1 + (index % 4), () => sold("ann"))))
      const stream = yield* store.streamAllDurable({ name: "all" }, recording.handler)
      yield* inTime(
        Effect.gen(function* () {
          while (recording.batches.length < 30) {
            positions.push((yield* stream.status).position)
            yield* Effect.yieldNow
          }
        }),
        "all batches arrive"
      )
      yield* inTime(stream.caughtUp, "the stream catches up")
      const { failures, position, state } = yield* stream.status
      assert.deepStrictEqual([state, position, failures], ["running", numbersOf(yield* logOf(store)).length, 0])
      assert.deepStrictEqual(
        positions,
        [...positions].sort((a, b) => a - b)
      )
    })
  ),
  onLog("D6", "a cursor outlives the store that it was made with", (open) =>
    Effect.gen(function* () {
      const [first, second, third] = [recorder(), recorder(), recorder()]
      const one = yield* closable(open)
      yield* one.store.append([sold("ann"), event("Paid")])
      const stream = yield* one.store.streamToDurable({ name: "sales" }, Query.ofTypes("Sold"), first.handler)
      yield* inTime(stream.caughtUp, "the stream catches up")
      yield* one.close
      const two = yield* closable(open)
      yield* two.store.append([sold("bob"), event("Paid"), sold("eve")])
      yield* two.store.append([event("Paid")])
      yield* two.close
      const three = yield* closable(open)
      const again = yield* three.store.streamToDurable({ name: "sales" }, Query.ofTypes("Sold"), second.handler)
      yield* inTime(again.caughtUp, "the stream catches up")
      yield* three.close
      const four = yield* open
      yield* four.streamToDurable({ name: "sales" }, Query.ofTypes("Sold"), third.handler)
      yield* four.append([sold("dan")])
      yield* third.received(1)
      assert.deepStrictEqual([first.numbers(), second.numbers(), third.numbers()], [[[1]], [[3, 5]], [[7]]])
    })
  ),
  onLog("D6", "what does not match is not looked at again after reopening", (open) =>
    Effect.gen(function* () {
      const one = yield* closable(open)
      yield* one.store.append(times(300, () => event("Noise")))
      const stream = yield* one.store.streamToDurable({ name: "sales" }, Query.ofTypes("Sold"), () => Effect.void)
      yield* inTime(stream.caughtUp, "the stream catches up")
      yield* one.close
      assert.equal(yield* storedCursor(yield* open, "sales"), 300)
    })
  ),
  onStore("D7", "a cursor beyond the head is refused, and the store goes on working", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* store.append([sold("ann"), sold("bob")])
      const stream = yield* store.streamAllDurable({ name: "all" }, () => Effect.void)
      yield* inTime(stream.caughtUp, "the stream catches up")
      yield* stream.unsubscribe
      // As after an older backup was restored, or a replica promoted that lacked the last commits.
      yield* store.workspace.transaction(({ cursors }) => cursors.reset("stream all", 5))
      for (const start of ["beginning", "head"] as const) {
        const refused = store.streamAllDurable({ name: "all" }, recording.handler, { start })
        const reason = yield* failsWith("CursorAheadOfLog", refused)
        assert.deepStrictEqual([reason.stream, reason.cursor, reason.headSequenceNumber], ["all", 5, 2])
        const [row] = yield* store.workspace.transaction(({ cursors }) => cursors.read(["stream all"]))
        assert.equal(row!.held, false)
      }
      const other = yield* store.streamAllDurable({ name: "other" }, recording.handler)
      yield* inTime(other.caughtUp, "the other stream catches up")
      assert.deepStrictEqual(recording.numbers(), [[1, 2]])
      // The refused ones have left nothing behind: where the cursor is set right the name is free.
      yield* store.workspace.transaction(({ cursors }) => cursors.reset("stream all", 0))
      yield* store.streamAllDurable({ name: "all" }, recording.handler, noRetry)
      yield* recording.received(2)
    })
  )
]
