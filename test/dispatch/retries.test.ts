/** How often a command is tried, and what is said when that was not enough. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { describe, expect } from "vitest"
import { RetriesExhausted } from "../../src/dispatch/Outcome.ts"
import type { EventStoreErrorReason } from "../../src/stores/EventStoreError.ts"
import {
  CommitUnknown,
  EventStoreError,
  fromReason,
  StorageFull,
  StoreBusy,
  StoreUnavailable
} from "../../src/stores/EventStoreError.ts"
import { itEffect } from "../support/it.ts"
import { deposit, depositEvent, Insufficient, withdraw, withdrawalEvent } from "./accounts.ts"
import type { Watched } from "./watchedStore.ts"
import { atOnce, watchedDispatcher } from "./watchedStore.ts"

const command = { account: "a", amount: 1 }

/** Makes every back-off as short as it can be. */
const withoutBackOff = Effect.provideService(Random.Random, { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => 0 })

/** Another process deposits before every append of the dispatcher. */
const interfere = ({ watched }: Watched, times = Number.POSITIVE_INFINITY): void => {
  watched.beforeAppend = () =>
    watched.appends.length <= times ? watched.foreign.append([depositEvent("a", 100)]) : Effect.void
}

const failing = (reason: EventStoreErrorReason, calls: ReadonlyArray<unknown>, times = Number.POSITIVE_INFINITY) =>
  Effect.suspend(() => (calls.length <= times ? Effect.fail(fromReason(reason)) : Effect.void))

describe("a command whose context keeps changing", () => {
  itEffect("is decided again until it fits, and says how often", () =>
    Effect.gen(function* () {
      const dispatcher = yield* watchedDispatcher()
      interfere(dispatcher, 3)
      const accepted = yield* dispatcher.dispatch(deposit, command)
      expect(accepted).toMatchObject({ attempts: 4, position: 4, state: { deposits: 4 } })
    })
  )

  itEffect("runs out of attempts and names what stood in the way", () =>
    Effect.gen(function* () {
      const dispatcher = yield* watchedDispatcher()
      interfere(dispatcher)
      const error = yield* Effect.flip(dispatcher.dispatch(deposit, command, { attempts: 3 }))
      expect(error).toEqual(
        new RetriesExhausted({
          decider: "Deposit",
          attempts: 3,
          ranOutOf: "attempts",
          inTheWay: [1, 2, 3].map((sequenceNumber) => ({ sequenceNumber, eventType: "Deposited" }))
        })
      )
      expect(error.message).toContain("Deposit ran out of attempts after 3 attempts; in the way stood Deposited at 1")
      expect(dispatcher.watched.appends.length).toBe(3)
      expect((yield* dispatcher.watched.foreign.query()).headSequenceNumber).toBe(3)
    })
  )

  itEffect("names the last ten events that stood in the way, after ten attempts where nothing else is said", () =>
    Effect.gen(function* () {
      const dispatcher = yield* withoutBackOff(watchedDispatcher())
      interfere(dispatcher)
      expect(yield* Effect.flip(dispatcher.dispatch(deposit, command))).toMatchObject({ attempts: 10 })
      const error = yield* Effect.flip(dispatcher.dispatch(deposit, command, { attempts: 12 }))
      expect(error).toMatchObject({ _tag: "RetriesExhausted", attempts: 12 })
      const numbers = error._tag === "RetriesExhausted" && error.inTheWay.map((event) => event.sequenceNumber)
      expect(numbers).toEqual([13, 14, 15, 16, 17, 18, 19, 20, 21, 22])
    })
  )

  itEffect("runs out of time", () =>
    Effect.gen(function* () {
      const dispatcher = yield* watchedDispatcher()
      interfere(dispatcher)
      const options = { attempts: 1_000_000, deadline: "20 millis" } as const
      const error = yield* Effect.flip(dispatcher.dispatch(deposit, command, options))
      expect(error).toMatchObject({ _tag: "RetriesExhausted", ranOutOf: "time" })
      const { attempts, inTheWay } = error as RetriesExhausted
      expect(attempts).toBe(dispatcher.watched.appends.length)
      expect(inTheWay.length).toBe(Math.min(10, attempts))
    })
  )

  itEffect("is decided once even when its time is over before it begins", () =>
    Effect.gen(function* () {
      const { dispatch } = yield* watchedDispatcher()
      expect(yield* dispatch(deposit, command, { deadline: 0 })).toMatchObject({ _tag: "Accepted", attempts: 1 })
      const nonsense = yield* Effect.flip(dispatch(deposit, command, { deadline: "nonsense" as never }))
      expect(nonsense).toMatchObject({ reason: { _tag: "InvalidInput", path: "options.deadline" } })
    })
  )

  itEffect("is not kept from others of its lane that may try longer", () =>
    Effect.gen(function* () {
      const dispatcher = yield* watchedDispatcher()
      interfere(dispatcher, 2)
      const [short, long] = yield* atOnce([
        Effect.flip(dispatcher.dispatch(deposit, command, { attempts: 2 })),
        dispatcher.dispatch(deposit, command, { attempts: 3 })
      ])
      expect(short).toMatchObject({ _tag: "RetriesExhausted", attempts: 2 })
      expect(long).toMatchObject({ _tag: "Accepted", attempts: 3 })
    })
  )

  itEffect("is rejected for good when the change makes it impossible", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      yield* dispatch(deposit, { account: "a", amount: 5 })
      watched.beforeAppend = () => watched.foreign.append([withdrawalEvent("a", 3)])
      const error = yield* Effect.flip(dispatch(withdraw, { account: "a", amount: 4 }))
      expect(error).toEqual(new Insufficient({ balance: 2 }))
      expect(watched.appends).toEqual([1, 1])
    })
  )
})

describe("a failure of the store", () => {
  itEffect("is tried again when it is retryable", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      watched.beforeAppend = () => failing(new StoreBusy({ waitedMs: 1 }), watched.appends, 2)
      expect(yield* dispatch(deposit, command)).toMatchObject({ _tag: "Accepted", attempts: 3, position: 1 })
      expect(watched.appends).toEqual([1, 1, 1])
    })
  )

  itEffect("is tried again when reading failed", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      watched.beforeQuery = failing(
        new StoreUnavailable({ code: "SQLITE_IOERR", operation: "read", retryable: true }),
        watched.queries,
        2
      )
      expect(yield* dispatch(deposit, command)).toMatchObject({ _tag: "Accepted", position: 1 })
      expect(watched.queries.length).toBe(3)
    })
  )

  itEffect("is what the command fails with when the attempts run out", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      const reason = new StoreUnavailable({ code: "SQLITE_IOERR", operation: "append", retryable: true })
      watched.beforeAppend = () => failing(reason, watched.appends)
      const error = yield* Effect.flip(dispatch(deposit, command, { attempts: 3 }))
      expect(error).toBeInstanceOf(EventStoreError)
      expect(error).toMatchObject({ reason })
      expect(watched.appends.length).toBe(3)
    })
  )

  itEffect("to read is what the command fails with when the time runs out", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      watched.beforeQuery = failing(new StoreBusy({ waitedMs: 1 }), watched.queries)
      const error = yield* Effect.flip(dispatch(deposit, command, { deadline: "20 millis" }))
      expect(error).toMatchObject({ _tag: "EventStoreError", reason: { _tag: "StoreBusy" } })
    })
  )

  itEffect("to read counts as an attempt: no command is tried more often than it asked for", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      watched.beforeQuery = failing(new StoreBusy({ waitedMs: 1 }), watched.queries)
      yield* Effect.flip(dispatch(deposit, command, { attempts: 3, deadline: "2 seconds" }))
      expect(watched.queries.length).toBe(3)
    })
  )

  itEffect("is not tried again when it is not retryable", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      watched.beforeAppend = () => failing(new StorageFull({ code: "SQLITE_FULL" }), watched.appends, 1)
      const error = yield* Effect.flip(dispatch(deposit, command))
      expect(error).toMatchObject({ _tag: "EventStoreError", reason: { _tag: "StorageFull" } })
      expect(watched.appends.length).toBe(1)
    })
  )

  itEffect("is never tried again when the commit may have happened, and the next command reads the context anew", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      yield* dispatch(deposit, command)
      watched.afterAppend = Effect.fail(fromReason(new CommitUnknown({ commitId: "c" })))
      const error = yield* Effect.flip(dispatch(deposit, command))
      expect(error).toMatchObject({ reason: { _tag: "CommitUnknown", mayHaveCommitted: true } })
      expect(watched.appends).toEqual([1, 1])
      watched.afterAppend = Effect.void
      expect(yield* dispatch(deposit, command)).toMatchObject({ position: 3, attempts: 1, state: { deposits: 3 } })
    })
  )
})

describe("options of dispatch", () => {
  itEffect("are refused when they make no sense", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      for (const attempts of [0, -1, 1.5, Number.NaN]) {
        const error = yield* Effect.flip(dispatch(deposit, command, { attempts }))
        expect(error).toMatchObject({ reason: { _tag: "InvalidInput", path: "options.attempts" } })
      }
      for (const options of [{ cachedContexts: -1 }, { cachedContexts: 0.5 }]) {
        const error = yield* Effect.flip(watchedDispatcher(options))
        expect(error).toMatchObject({ reason: { _tag: "InvalidInput", path: "options.cachedContexts" } })
      }
      const error = yield* Effect.flip(watchedDispatcher({ waitingPerContext: 0 }))
      expect(error).toMatchObject({ reason: { _tag: "InvalidInput", path: "options.waitingPerContext" } })
      expect(watched.queries).toEqual([])
    })
  )
})
