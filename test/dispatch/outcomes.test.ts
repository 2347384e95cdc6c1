/** What a dispatched command comes to, on every store. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { describe, expect } from "vitest"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"
import { deposit, depositEvent, Insufficient, withdraw } from "./accounts.ts"
import { dispatcherOn } from "./watchedStore.ts"

for (const { name, make } of stores) {
  describe(`an outcome on ${name}`, () => {
    itEffect("says of an accepted command what was recorded, the state after it, its position and the attempts", () =>
      Effect.gen(function* () {
        const store = yield* make
        const { dispatch } = yield* dispatcherOn(store)
        yield* store.append([depositEvent("else", 1)])
        const accepted = yield* dispatch(deposit, { account: "a", amount: 5 })
        expect(accepted).toMatchObject({ _tag: "Accepted", state: { deposits: 1 }, position: 2, attempts: 1 })
        const { eventRecords } = yield* store.query()
        expect(accepted._tag === "Accepted" && accepted.eventRecords).toEqual(eventRecords.slice(1))
        expect(eventRecords[1]).toMatchObject({ eventType: "Deposited", payload: { account: "a", amount: 5 } })
      })
    )

    itEffect("names the version of the context where there is nothing to do, null for an empty one", () =>
      Effect.gen(function* () {
        const store = yield* make
        const { dispatch } = yield* dispatcherOn(store)
        const nothing = { _tag: "NothingToDo", attempts: 1 }
        expect(yield* dispatch(deposit, { account: "a", amount: 0 })).toEqual({
          ...nothing,
          state: { deposits: 0 },
          position: null
        })
        yield* store.append([depositEvent("a", 1), depositEvent("else", 1)])
        expect(yield* dispatch(deposit, { account: "a", amount: 0 })).toEqual({
          ...nothing,
          state: { deposits: 1 },
          position: 1,
          attempts: expect.any(Number)
        })
        expect((yield* store.query()).headSequenceNumber).toBe(2)
      })
    )

    itEffect("is a typed failure of dispatch when the domain rejects, and a value of outcome", () =>
      Effect.gen(function* () {
        const store = yield* make
        const { dispatch, outcome } = yield* dispatcherOn(store)
        yield* dispatch(deposit, { account: "a", amount: 2 })
        const rejection = new Insufficient({ balance: 2 })
        const result = yield* Effect.result(dispatch(withdraw, { account: "a", amount: 3 }))
        expect(result).toEqual(Result.fail(rejection))
        expect(yield* outcome(withdraw, { account: "a", amount: 3 })).toEqual({
          _tag: "Rejected",
          rejection,
          attempts: 1
        })
        expect((yield* store.query()).headSequenceNumber).toBe(1)
      })
    )

    itEffect("can be caught by its tag, rejections beside failures of dispatch", () =>
      Effect.gen(function* () {
        const { dispatch } = yield* dispatcherOn(yield* make)
        const balance = yield* dispatch(withdraw, { account: "a", amount: 3 }).pipe(
          Effect.as(-1),
          Effect.catchTag("Insufficient", (rejection) => Effect.succeed(rejection.balance))
        )
        expect(balance).toBe(0)
      })
    )
  })
}
