/** What dispatch makes of faults: what may be tried again is, what may have been committed never is. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { describe, expect } from "vitest"
import { buyTicket } from "../../examples/tickets/buyTicket.ts"
import { SaleId, TicketEvents, TicketId } from "../../examples/tickets/events.ts"
import { openSale } from "../../examples/tickets/openSale.ts"
import type { EventStore } from "../../src/stores/EventStore.ts"
import { EventStoreError } from "../../src/stores/EventStoreError.ts"
import * as MemoryStore from "../../src/stores/memory/MemoryStore.ts"
import { FaultyStore } from "../../src/testing/index.ts"
import { dispatcherOn } from "../dispatch/watchedStore.ts"
import { itEffect } from "../support/it.ts"

const saleId = SaleId.make("s1")
const buy = (ticketId: string) => ({ saleId, ticketId: TicketId.make(ticketId), buyer: "ada" })
const rival = Result.getOrThrow(TicketEvents.encode(TicketEvents.TicketSold(buy("rival"))))

/** A sale of 100 seats that is open, and a dispatcher on it whose store has faults. */
const selling = (plan: FaultyStore.FaultPlan) =>
  Effect.gen(function* () {
    const right = yield* MemoryStore.make()
    yield* (yield* dispatcherOn(right)).dispatch(openSale, { saleId, capacity: 100 })
    const store = FaultyStore.make(right, plan)
    return { right, store, dispatcher: yield* dispatcherOn(store) }
  })

const soldIn = (store: EventStore) =>
  Effect.map(store.query(TicketEvents.query("TicketSold")), ({ eventRecords }) =>
    eventRecords.map(({ payload }) => (payload as { readonly ticketId: string }).ticketId)
  )

describe("dispatch", () => {
  itEffect("tries again what recorded nothing, and records it once", () =>
    Effect.gen(function* () {
      const appends = FaultyStore.inOrder(FaultyStore.unavailable, FaultyStore.busy, FaultyStore.conflict)
      const queries = FaultyStore.on(1, FaultyStore.unavailable)
      const { dispatcher, right, store } = yield* selling({ appends, queries })
      const done = yield* dispatcher.dispatch(buyTicket, buy("t1"))
      expect(done).toMatchObject({ _tag: "Accepted", attempts: 5 })
      expect(yield* soldIn(right)).toEqual(["t1"])
      expect(store.struck.map(({ fault }) => fault._tag)).toEqual(["Failure", "Failure", "Failure", "Conflict"])
    })
  )

  for (const fault of [FaultyStore.lostAnswer, FaultyStore.lostAppend]) {
    const committed = fault.committed ? "committed" : "not committed"
    itEffect(`surfaces CommitUnknown where the append was ${committed}, without a second append`, () =>
      Effect.gen(function* () {
        const { dispatcher, right, store } = yield* selling({ appends: FaultyStore.on(1, fault) })
        const error = yield* Effect.flip(dispatcher.dispatch(buyTicket, buy("t1")))
        expect(error).toBeInstanceOf(EventStoreError)
        const { mayHaveCommitted, reason } = error as EventStoreError
        expect({ mayHaveCommitted, tag: reason._tag }).toEqual({ mayHaveCommitted: true, tag: "CommitUnknown" })
        expect(yield* soldIn(right)).toEqual(fault.committed ? ["t1"] : [])
        expect(store.struck.length).toBe(1)
        // The fold that is kept is not the one from before the append whose fate is unknown.
        const next = yield* dispatcher.dispatch(buyTicket, buy("t2"))
        expect(next.state.sold).toBe(fault.committed ? 2 : 1)
      })
    )
  }

  itEffect("gives up under endless conflicts with RetriesExhausted, and has recorded nothing", () =>
    Effect.gen(function* () {
      const { dispatcher, right, store } = yield* selling({ appends: FaultyStore.always(FaultyStore.conflict) })
      const error = yield* Effect.flip(dispatcher.dispatch(buyTicket, buy("t1"), { attempts: 4 }))
      expect(error).toMatchObject({ _tag: "RetriesExhausted", attempts: 4, ranOutOf: "attempts", inTheWay: [] })
      expect(store.struck.length).toBe(4)
      expect(yield* soldIn(right)).toEqual([])
    })
  )

  itEffect("decides again on what others were quicker to record", () =>
    Effect.gen(function* () {
      const appends = FaultyStore.inOrder(FaultyStore.overtakenBy(rival), FaultyStore.overtakenBy(rival, rival))
      const { dispatcher, right } = yield* selling({ appends })
      const first = yield* dispatcher.dispatch(buyTicket, buy("t1"))
      expect(first).toMatchObject({ attempts: 2, state: { sold: 2 } })
      const second = yield* dispatcher.dispatch(buyTicket, buy("t2"))
      expect(second).toMatchObject({ attempts: 2, state: { sold: 5 } })
      expect(yield* soldIn(right)).toEqual(["rival", "t1", "rival", "rival", "t2"])
    })
  )

  itEffect("fails at once where trying again does not help", () =>
    Effect.gen(function* () {
      const { dispatcher, right, store } = yield* selling({
        queries: FaultyStore.always(FaultyStore.unavailableForGood)
      })
      const error = yield* Effect.flip(dispatcher.dispatch(buyTicket, buy("t1")))
      expect(error).toMatchObject({ reason: { _tag: "StoreUnavailable", retryable: false } })
      expect(store.struck.length).toBe(1)
      expect(yield* soldIn(right)).toEqual([])
    })
  )

  itEffect("answers with the store's failure when the attempts run out on it", () =>
    Effect.gen(function* () {
      const { dispatcher, store } = yield* selling({ appends: FaultyStore.always(FaultyStore.busy) })
      const error = yield* Effect.flip(dispatcher.dispatch(buyTicket, buy("t1"), { attempts: 3 }))
      expect(error).toMatchObject({ reason: { _tag: "StoreBusy" } })
      expect(store.struck.length).toBe(3)
    })
  )

  itEffect("records nothing twice whatever the plan, and exactly what it was told to have recorded", () =>
    Effect.gen(function* () {
      let unknown = 0
      for (const plan of fc.sample(FaultyStore.plans(), { seed: 3, numRuns: 40 })) {
        const { dispatcher, right } = yield* selling(plan)
        const tickets = Array.from({ length: 12 }, (_, index) => `t${index}`)
        const told: Array<string> = []
        const perhaps: Array<string> = []
        for (const ticketId of tickets) {
          const result = yield* Effect.result(dispatcher.dispatch(buyTicket, buy(ticketId), { attempts: 50 }))
          if (Result.isSuccess(result)) told.push(ticketId)
          else if (result.failure instanceof EventStoreError && result.failure.mayHaveCommitted) perhaps.push(ticketId)
        }
        const sold = yield* soldIn(right)
        expect(new Set(sold).size).toBe(sold.length)
        expect(sold).toEqual(expect.arrayContaining(told))
        expect([...told, ...perhaps]).toEqual(expect.arrayContaining([...sold]))
        expect(told.length + perhaps.length).toBe(tickets.length)
        unknown += perhaps.length
      }
      expect(unknown).toBeGreaterThan(10)
    })
  )
})
