/** Commands of one process that share a context do not race: they go through a lane, in order and together. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import { describe, expect } from "vitest"
import { buyTicket } from "../../examples/tickets/buyTicket.ts"
import { SaleId, TicketId } from "../../examples/tickets/events.ts"
import { openSale } from "../../examples/tickets/openSale.ts"
import { conflicts } from "../../src/dispatch/DispatchMetrics.ts"
import { recorder } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"
import { deposit, streamOf, takeNote, withdraw } from "./accounts.ts"
import { atOnce, dispatcherOn, makeGate, started, watch, watchedDispatcher } from "./watchedStore.ts"

const saleId = SaleId.make("s")
const buy = (number: number) => ({ saleId, ticketId: TicketId.make(`t${number}`), buyer: `b${number}` })

describe("the lane of a context", () => {
  for (const { name, make } of stores) {
    itEffect(`on ${name} takes 300 commands at once without a conflict, in few appends, each as its own batch`, () =>
      Effect.gen(function* () {
        const watched = watch(yield* make)
        const { dispatch, outcome } = yield* dispatcherOn(watched.store)
        yield* dispatch(openSale, { saleId, capacity: 100 })
        const before = (yield* Metric.value(conflicts)).count
        const delivered = recorder()
        yield* watched.foreign.streamAll(delivered.handler)
        const answers = yield* Effect.forEach(
          Array.from({ length: 300 }, (_, index) => buy(index)),
          (command) => outcome(buyTicket, command),
          { concurrency: "unbounded" }
        )
        expect(answers.map((answer) => answer._tag)).toEqual([
          ...Array<string>(100).fill("Accepted"),
          ...Array<string>(200).fill("Rejected")
        ])
        expect(answers.every((answer) => answer.attempts === 1)).toBe(true)
        expect((yield* Metric.value(conflicts)).count).toBe(before)
        expect(watched.appends.length).toBeLessThanOrEqual(4)
        expect(watched.queries.length).toBeLessThanOrEqual(3)
        yield* delivered.received(100)
        expect(delivered.batches.map((batch) => batch.length)).toEqual(Array<number>(100).fill(1))
      })
    )
  }

  itEffect("decides in the order in which the commands came", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      yield* dispatch(openSale, { saleId, capacity: 1_000 })
      const numbers = Array.from({ length: 600 }, (_, index) => index)
      yield* Effect.forEach(numbers, (number) => dispatch(buyTicket, buy(number)), { concurrency: "unbounded" })
      const { eventRecords } = yield* watched.foreign.query()
      expect(eventRecords.slice(1).map(({ payload }) => (payload as { buyer: string }).buyer)).toEqual(
        numbers.map((number) => `b${number}`)
      )
    })
  )

  itEffect("shows each command what the ones before it led to, whichever decider they are for", () =>
    Effect.gen(function* () {
      const { outcome, watched } = yield* watchedDispatcher()
      const answers = yield* atOnce([
        outcome(withdraw, { account: "a", amount: 1 }),
        outcome(deposit, { account: "a", amount: 10 }),
        outcome(withdraw, { account: "a", amount: 8 }),
        outcome(takeNote, { account: "a", text: "hello" }),
        outcome(withdraw, { account: "a", amount: 3 }),
        outcome(withdraw, { account: "a", amount: 2 }),
        outcome(deposit, { account: "a", amount: 0 })
      ])
      expect(answers).toMatchObject([
        { _tag: "Rejected", rejection: { balance: 0 } },
        { _tag: "Accepted", position: 1, state: { deposits: 1 } },
        { _tag: "Accepted", position: 2, state: { balance: 2 } },
        { _tag: "Accepted", position: 3, state: { notes: 1 } },
        { _tag: "Rejected", rejection: { balance: 2 } },
        { _tag: "Accepted", position: 4, state: { balance: 0 } },
        { _tag: "NothingToDo", position: 4, state: { deposits: 1 } }
      ])
      expect(watched.appends).toEqual([4])
    })
  )

  itEffect("gathers what comes while it is busy, and commits it together", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      const gate = yield* makeGate
      watched.beforeAppend = () => gate.pass
      const first = yield* started(dispatch(deposit, { account: "a", amount: 1 }))
      yield* gate.reached
      const others = yield* Effect.forEach([2, 3, 4], (amount) => started(dispatch(deposit, { account: "a", amount })))
      yield* gate.open
      yield* Fiber.joinAll([first, ...others])
      expect(watched.appends).toEqual([1, 3])
    })
  )

  itEffect("does not make commands of another context wait", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      const gate = yield* makeGate
      watched.beforeAppend = (_, context) => (JSON.stringify(context).includes('"slow"') ? gate.pass : Effect.void)
      const slow = yield* started(dispatch(deposit, { account: "slow", amount: 1 }))
      yield* gate.reached
      expect(yield* dispatch(deposit, { account: "quick", amount: 1 })).toMatchObject({ position: 1 })
      yield* gate.open
      expect(yield* Fiber.join(slow)).toMatchObject({ _tag: "Accepted", position: 2 })
    })
  )

  itEffect("is the same for the same context in another order of types and keys", () =>
    Effect.gen(function* () {
      const { dispatch, dispatchToStream, watched } = yield* watchedDispatcher()
      yield* atOnce([
        dispatch(deposit, { account: "a", amount: 1 }),
        dispatch(deposit, { amount: 2, account: "a" }),
        dispatch(deposit, { account: "b", amount: 1 }),
        dispatchToStream(deposit, streamOf("c"), { account: "c", amount: 1 }),
        dispatchToStream(withdraw, streamOf("c"), { account: "c", amount: 1 })
      ])
      expect(watched.appends.toSorted()).toEqual([1, 2, 2])
    })
  )

  itEffect("refuses a command when too many wait already, without looking at it", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher({ waitingPerContext: 2 })
      const gate = yield* makeGate
      watched.beforeAppend = () => gate.pass
      const first = yield* started(dispatch(deposit, { account: "a", amount: 1 }))
      yield* gate.reached
      const second = yield* started(dispatch(deposit, { account: "a", amount: 2 }))
      const error = yield* Effect.flip(dispatch(withdraw, { account: "a", amount: 3 }))
      expect(error).toMatchObject({ _tag: "Overloaded", decider: "Withdraw", waiting: 2 })
      const elsewhere = yield* started(dispatch(deposit, { account: "b", amount: 1 }))
      yield* gate.open
      yield* Fiber.joinAll([first, second, elsewhere])
      expect(yield* dispatch(withdraw, { account: "a", amount: 3 })).toMatchObject({ _tag: "Accepted" })
    })
  )

  itEffect("lets an interrupted command go that only waits, and nobody else", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      const gate = yield* makeGate
      watched.beforeAppend = () => gate.pass
      const first = yield* started(dispatch(deposit, { account: "a", amount: 1 }))
      yield* gate.reached
      const withdrawn = yield* started(dispatch(deposit, { account: "a", amount: 2 }))
      const last = yield* started(dispatch(deposit, { account: "a", amount: 3 }))
      yield* Fiber.interrupt(withdrawn)
      yield* gate.open
      yield* Fiber.joinAll([first, last])
      const { eventRecords } = yield* watched.foreign.query()
      expect(eventRecords.map(({ payload }) => (payload as { amount: number }).amount)).toEqual([1, 3])
      expect(yield* dispatch(deposit, { account: "a", amount: 4 })).toMatchObject({ state: { deposits: 3 } })
    })
  )

  itEffect("does not decide a command that is interrupted while the context is read, and goes on", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      const gate = yield* makeGate
      watched.beforeQuery = gate.pass
      const withdrawn = yield* started(dispatch(deposit, { account: "a", amount: 1 }))
      yield* gate.reached
      const next = yield* started(dispatch(deposit, { account: "a", amount: 2 }))
      yield* Fiber.interrupt(withdrawn)
      yield* gate.open
      expect(yield* Fiber.join(next)).toMatchObject({ position: 1, state: { deposits: 1 }, attempts: 1 })
    })
  )

  itEffect("finishes what it commits though the command was interrupted, and goes on", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      const gate = yield* makeGate
      watched.beforeAppend = () => gate.pass
      const first = yield* started(dispatch(deposit, { account: "a", amount: 1 }))
      yield* gate.reached
      yield* Fiber.interrupt(first)
      const second = yield* started(dispatch(deposit, { account: "a", amount: 2 }))
      yield* gate.open
      expect(yield* Fiber.join(second)).toMatchObject({ position: 2, state: { deposits: 2 }, attempts: 1 })
    })
  )

  itEffect("answers a command that is dispatched inside the answer of another one", () =>
    Effect.gen(function* () {
      const { dispatch } = yield* watchedDispatcher()
      const answer = yield* Effect.flatMap(dispatch(deposit, { account: "a", amount: 1 }), () =>
        dispatch(withdraw, { account: "a", amount: 1 })
      )
      expect(answer).toMatchObject({ _tag: "Accepted", position: 2 })
    })
  )

  itEffect("holds more commands than one round takes", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      const answers = yield* Effect.forEach(
        Array.from({ length: 1_000 }),
        () => Effect.exit(dispatch(deposit, { account: "a", amount: 1 })),
        { concurrency: "unbounded" }
      )
      expect(answers.every(Exit.isSuccess)).toBe(true)
      expect((yield* watched.foreign.query()).headSequenceNumber).toBe(1_000)
      expect(watched.appends.length).toBeLessThan(10)
      expect(watched.queries.length).toBe(1)
    })
  )
})
