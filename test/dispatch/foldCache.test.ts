/** Folded contexts are kept: a command whose context is known costs no read, and is decided on the truth all the same. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import { buyTicket } from "../../examples/tickets/buyTicket.ts"
import { SaleId, TicketEvents, TicketId } from "../../examples/tickets/events.ts"
import { openSale } from "../../examples/tickets/openSale.ts"
import * as Decider from "../../src/decider/Decider.ts"
import * as EventQuery from "../../src/stores/EventQuery.ts"
import { itEffect } from "../support/it.ts"
import { AccountEvents, deposit, depositEvent, everything, takeNote, withdraw, withdrawalEvent } from "./accounts.ts"
import { started, watchedDispatcher } from "./watchedStore.ts"

const one = { account: "a", amount: 1 }

describe("a context that is known", () => {
  itEffect("is not read again", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      expect(yield* dispatch(deposit, one)).toMatchObject({ position: 1 })
      expect(watched.queries.length).toBe(1)
      for (let position = 2; position < 20; position++) {
        expect(yield* dispatch(deposit, one)).toMatchObject({ position, state: { deposits: position }, attempts: 1 })
      }
      expect(watched.queries.length).toBe(1)
    })
  )

  itEffect("is brought up to date by the tail of a conflict, without a read", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      yield* dispatch(deposit, one)
      yield* watched.foreign.append([depositEvent("a", 5), depositEvent("else", 1), depositEvent("a", 5)])
      const accepted = yield* dispatch(deposit, one)
      expect(accepted).toMatchObject({ position: 5, state: { deposits: 4 }, attempts: 2 })
      expect(watched.appends.length).toBe(3)
      expect(watched.queries.length).toBe(1)
    })
  )

  itEffect("is that of the command as it was dispatched, whatever becomes of the command", () =>
    Effect.gen(function* () {
      const { outcome, watched } = yield* watchedDispatcher()
      const depositOnce = Decider.make({
        name: "DepositOnce",
        events: AccountEvents,
        context: ({ where }: { where: { account: string } }) => EventQuery.withPayload(where),
        initial: 0,
        evolve: { Deposited: (deposits) => deposits + 1 },
        decide: ({ where }, deposits) =>
          deposits === 0
            ? Decider.accept(AccountEvents.Deposited({ ...where, amount: 1 }))
            : Decider.reject("deposited before")
      })
      yield* watched.foreign.append([depositEvent("a", 1)])
      const command = { where: { account: "a" } }
      const answer = yield* started(outcome(depositOnce, command))
      command.where.account = "b"
      expect(yield* Fiber.join(answer)).toMatchObject({ _tag: "Rejected" })
      expect(yield* outcome(depositOnce, { where: { account: "a" } })).toMatchObject({ _tag: "Rejected" })
    })
  )

  itEffect("stays known when others append elsewhere", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      yield* dispatch(deposit, one)
      yield* watched.foreign.append([depositEvent("else", 1)])
      expect(yield* dispatch(deposit, one)).toMatchObject({ position: 3, state: { deposits: 2 }, attempts: 1 })
      expect(watched.queries.length).toBe(1)
    })
  )

  itEffect("is compared with the log before a rejection is answered", () =>
    Effect.gen(function* () {
      const { dispatch, outcome, watched } = yield* watchedDispatcher()
      yield* dispatch(withdraw, { account: "a", amount: 0 })
      expect(yield* outcome(withdraw, one)).toMatchObject({ _tag: "Rejected", attempts: 1 })
      yield* watched.foreign.append([depositEvent("a", 1)])
      expect(yield* outcome(withdraw, one)).toMatchObject({ _tag: "Accepted", state: { balance: 0 }, attempts: 1 })
      yield* watched.foreign.append([depositEvent("a", 5), withdrawalEvent("a", 2)])
      expect(yield* outcome(withdraw, { account: "a", amount: 9 })).toMatchObject({
        _tag: "Rejected",
        rejection: { balance: 3 }
      })
    })
  )

  itEffect("does not turn a buyer away from a seat that another process has freed", () =>
    Effect.gen(function* () {
      const { dispatch, outcome, watched } = yield* watchedDispatcher()
      const saleId = SaleId.make("s")
      const sold = { saleId, ticketId: TicketId.make("t1"), buyer: "ada" }
      yield* dispatch(openSale, { saleId, capacity: 1 })
      yield* dispatch(buyTicket, sold)
      const wanted = { saleId, ticketId: TicketId.make("t2"), buyer: "bob" }
      expect(yield* outcome(buyTicket, wanted)).toMatchObject({ _tag: "Rejected" })
      const refunded = TicketEvents.TicketRefunded(sold)
      yield* watched.foreign.append([refunded])
      expect(yield* outcome(buyTicket, wanted)).toMatchObject({ _tag: "Accepted", position: 4 })
    })
  )

  itEffect("is compared with the log before NothingToDo is answered", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      yield* dispatch(deposit, one)
      yield* watched.foreign.append([depositEvent("a", 1)])
      const nothing = yield* dispatch(deposit, { account: "a", amount: 0 })
      expect(nothing).toEqual({ _tag: "NothingToDo", state: { deposits: 2 }, position: 2, attempts: 1 })
    })
  )

  itEffect("is compared with the log by reading only what is new", () =>
    Effect.gen(function* () {
      const { dispatch, outcome, watched } = yield* watchedDispatcher()
      yield* dispatch(withdraw, { account: "a", amount: 0 })
      yield* watched.foreign.append([depositEvent("else", 1)])
      yield* outcome(withdraw, one)
      yield* outcome(withdraw, one)
      expect(watched.queries.map((query) => query?.minSequenceNumber)).toEqual([undefined, 1, 2])
    })
  )

  itEffect("is known to every decider that has been through it", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      yield* dispatch(deposit, one)
      yield* dispatch(takeNote, { account: "a", text: "hello" })
      const reads = watched.queries.length
      expect(reads).toBeLessThanOrEqual(2)
      for (let round = 0; round < 3; round++) {
        expect(yield* dispatch(deposit, one)).toMatchObject({ state: { deposits: round + 2 }, attempts: 1 })
        yield* dispatch(takeNote, { account: "a", text: "hello" })
      }
      expect(watched.queries.length).toBe(reads)
    })
  )

  itEffect("keeps the fold of each decider apart", () =>
    Effect.gen(function* () {
      const { dispatch } = yield* watchedDispatcher()
      yield* dispatch(deposit, { account: "a", amount: 9 })
      expect(yield* dispatch(withdraw, { account: "a", amount: 4 })).toMatchObject({ state: { balance: 5 } })
      expect(yield* dispatch(everything, one)).toMatchObject({ state: 3 })
      expect(yield* dispatch(deposit, one)).toMatchObject({ state: { deposits: 3 } })
      expect(yield* dispatch(withdraw, one)).toMatchObject({ state: { balance: 6 } })
    })
  )
})

describe("the cache of contexts", () => {
  itEffect("can be turned off", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher({ cachedContexts: 0 })
      // A lane keeps its fold while it is busy; by the time that two others have been served it is idle and gone.
      for (let deposits = 1; deposits < 5; deposits++) {
        for (const account of ["a", "b", "c"]) {
          expect(yield* dispatch(deposit, { account, amount: 1 })).toMatchObject({ state: { deposits } })
        }
      }
      expect(watched.queries.length).toBe(12)
    })
  )

  itEffect("forgets the context that was not used for longest", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher({ cachedContexts: 2 })
      const reads = (account: string) =>
        Effect.map(dispatch(deposit, { account, amount: 1 }), () => watched.queries.length)
      const seen: Array<number> = []
      for (const account of ["a", "b", "a", "c", "a", "b", "a", "c"]) seen.push(yield* reads(account))
      expect(seen).toEqual([1, 2, 2, 3, 3, 4, 4, 5])
    })
  )
})
