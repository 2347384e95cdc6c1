/** Where the store lets a decision be revised under its lock, a changed context costs no second append. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { describe, expect } from "vitest"
import { conflicts } from "../../src/dispatch/DispatchMetrics.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"
import { deposit, depositEvent, takeNote, withdraw, withdrawalEvent } from "./accounts.ts"
import { atOnce, dispatcherOn, watch } from "./watchedStore.ts"

for (const { name, make, makeWithMaxPayloadBytes } of stores) {
  const setUp = (open = make) =>
    Effect.gen(function* () {
      const watched = watch(yield* open)
      watched.revises = true
      const { dispatch, dispatchToStream, outcome } = yield* dispatcherOn(watched.store)
      yield* dispatch(deposit, { account: "a", amount: 5 })
      return { dispatch, dispatchToStream, outcome, watched }
    })

  /** Something that another process appends before the next append of the dispatcher. */
  const once = (watched: ReturnType<typeof watch>, ...events: ReadonlyArray<ReturnType<typeof depositEvent>>) => {
    watched.beforeAppend = () => {
      watched.beforeAppend = () => Effect.void
      return watched.foreign.append(events)
    }
  }

  describe(`a decision revised under the lock of ${name}`, () => {
    itEffect("is accepted on the changed context, in one append and without a read, and counts as a conflict", () =>
      Effect.gen(function* () {
        const { dispatch, watched } = yield* setUp()
        const reads = watched.queries.length
        const before = (yield* Metric.value(conflicts)).count
        once(watched, depositEvent("a", 1), depositEvent("else", 1))
        const accepted = yield* dispatch(deposit, { account: "a", amount: 7 })
        expect(accepted).toMatchObject({ _tag: "Accepted", position: 4, attempts: 2, state: { deposits: 3 } })
        expect(watched.appends).toEqual([1, 1])
        expect(watched.queries.length).toBe(reads)
        expect((yield* Metric.value(conflicts)).count).toBe(before + 1)
        expect(yield* dispatch(deposit, { account: "a", amount: 1 })).toMatchObject({ position: 5, attempts: 1 })
      })
    )

    itEffect("can become a rejection, and then nothing is recorded", () =>
      Effect.gen(function* () {
        const { outcome, watched } = yield* setUp()
        yield* outcome(withdraw, { account: "a", amount: 1 })
        once(watched, withdrawalEvent("a", 3))
        const rejected = yield* outcome(withdraw, { account: "a", amount: 2 })
        expect(rejected).toMatchObject({ _tag: "Rejected", rejection: { balance: 1 }, attempts: 2 })
        expect((yield* watched.foreign.query()).headSequenceNumber).toBe(3)
        expect(yield* outcome(withdraw, { account: "a", amount: 1 })).toMatchObject({ _tag: "Accepted", attempts: 1 })
      })
    )

    itEffect("is made anew for every command of the round", () =>
      Effect.gen(function* () {
        const { outcome, watched } = yield* setUp()
        yield* outcome(withdraw, { account: "a", amount: 0 })
        once(watched, withdrawalEvent("a", 3))
        const answers = yield* atOnce([
          outcome(withdraw, { account: "a", amount: 3 }),
          outcome(withdraw, { account: "a", amount: 2 }),
          outcome(withdraw, { account: "a", amount: 1 })
        ])
        expect(answers.map((answer) => answer._tag)).toEqual(["Rejected", "Accepted", "Rejected"])
        const { eventRecords } = yield* watched.foreign.query()
        expect(eventRecords.slice(2).map((record) => record.payload)).toEqual([
          { account: "a", amount: 3 },
          { account: "a", amount: 2 }
        ])
      })
    )

    itEffect("is not made when the attempts are used up", () =>
      Effect.gen(function* () {
        const { dispatch, watched } = yield* setUp()
        once(watched, depositEvent("a", 1))
        const error = yield* Effect.flip(dispatch(deposit, { account: "a", amount: 7 }, { attempts: 1 }))
        expect(error).toMatchObject({
          _tag: "RetriesExhausted",
          attempts: 1,
          inTheWay: [{ sequenceNumber: 2, eventType: "Deposited" }]
        })
        expect((yield* watched.foreign.query()).headSequenceNumber).toBe(2)
      })
    )

    itEffect("is made for the others where one has used up its attempts", () =>
      Effect.gen(function* () {
        const { dispatch, watched } = yield* setUp()
        once(watched, depositEvent("a", 1))
        const [error, accepted] = yield* atOnce([
          Effect.flip(dispatch(deposit, { account: "a", amount: 7 }, { attempts: 1 })),
          dispatch(deposit, { account: "a", amount: 8 })
        ])
        expect(error).toMatchObject({ _tag: "RetriesExhausted", attempts: 1, inTheWay: [{ sequenceNumber: 2 }] })
        expect(accepted).toMatchObject({ position: 3, attempts: 2, state: { deposits: 3 } })
        expect(watched.appends).toEqual([1, 2])
      })
    )

    itEffect("refuses a revision that the stream has left behind", () =>
      Effect.gen(function* () {
        const { dispatchToStream, watched } = yield* setUp()
        once(watched, depositEvent("a", 1))
        const command = { account: "a", amount: 1 }
        const error = yield* Effect.flip(dispatchToStream(deposit, "account:a", command, { expectedRevision: 1 }))
        expect(error).toMatchObject({ _tag: "WrongRevision", expected: 1, actual: 2 })
        expect((yield* watched.foreign.query()).headSequenceNumber).toBe(2)
      })
    )

    itEffect("fails for the one command whose events the store refuses", () =>
      Effect.gen(function* () {
        const { dispatch, watched } = yield* setUp(makeWithMaxPayloadBytes(200))
        once(watched, depositEvent("a", 1))
        const [first, error, last] = yield* atOnce([
          dispatch(deposit, { account: "a", amount: 1 }),
          Effect.flip(dispatch(takeNote, { account: "a", text: "x".repeat(200) })),
          dispatch(deposit, { account: "a", amount: 2 })
        ])
        expect(error).toMatchObject({ reason: { _tag: "LimitExceeded" } })
        expect([first, last]).toMatchObject([
          { _tag: "Accepted", position: 3 },
          { _tag: "Accepted", position: 4 }
        ])
      })
    )
  })
}
