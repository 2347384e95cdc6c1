/** What is wrong is caught, and shown with the fewest steps: stores that forget their lock, handlers that read on their own. */
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { describe, expect } from "vitest"
import { buyTicket } from "../../examples/tickets/buyTicket.ts"
import { TicketEvents } from "../../examples/tickets/events.ts"
import { openSale } from "../../examples/tickets/openSale.ts"
import * as Decider from "../../src/decider/Decider.ts"
import type { EventStore } from "../../src/stores/EventStore.ts"
import { fromReason, StoreUnavailable } from "../../src/stores/EventStoreError.ts"
import * as MemoryStore from "../../src/stores/memory/MemoryStore.ts"
import { FaultyStore, Serialisability } from "../../src/testing/index.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"
import { commands, neverOversold, opened, saleId, ticket } from "./serialisabilityTickets.ts"
import { readBeforehand, readIntoVariable } from "./wrongHandlers.ts"

const altered = (alter: (store: EventStore) => Partial<EventStore>): Serialisability.Options["store"] => ({
  make: Effect.map(MemoryStore.make(), (store) => ({ ...store, ...alter(store) }))
})

const memory = altered(() => ({}))

/** Checks the context, lets others go first, and appends without another look. */
const forgetful = (store: EventStore, pause: Effect.Effect<void>): EventStore => ({
  ...store,
  appendBatchesIf: (batches, context, expected, options) =>
    Effect.flatMap(store.query(context), ({ currentContextVersion }) =>
      currentContextVersion === expected
        ? Effect.andThen(
            pause,
            Effect.forEach(batches, (batch) => store.append(batch))
          )
        : store.appendBatchesIf(batches, context, expected, options)
    )
})

const withoutLock = (pause: Effect.Effect<void>) => altered((store) => forgetful(store, pause))

const buying = Serialisability.requests(buyTicket, ticket)
const oneSeat = fc.constant([Serialisability.request(openSale, { saleId, capacity: 1 })])

const failing = (options: Omit<Serialisability.Options, "seed">) =>
  Effect.map(Serialisability.check({ given: opened, ...options, seed: 7 }), (report) => {
    if (report.holds) throw new Error(`held in ${report.seen.runs} runs`)
    return report
  })

const sold = 'TicketSold { buyer: "ada", saleId: "s1", ticketId: "t1" }'
const soldOut =
  'SoldOut { _tag: "SoldOut", capacity: 1, message: "All 1 seats of the sale s1 are sold.", saleId: "s1" }'

describe("a store that forgets its lock", () => {
  itEffect("and yields between check and append is shown with one change of turn", () =>
    Effect.gen(function* () {
      const { explanation } = yield* failing({ store: withoutLock(Effect.yieldNow), commands })
      expect(explanation).toBe(`No serial order of the commands explains the log and the answers.

commands
  #1 OpenSale { capacity: 1, saleId: "s1" } (given)
  #2 BuyTicket { buyer: "ada", saleId: "s1", ticketId: "t1" } (B)
  #3 BuyTicket { buyer: "ada", saleId: "s1", ticketId: "t1" } (A)

steps
   1 B calls #2
   2 B reads for #2: finds 1, the log ends at 1
   3 B appends for #2, if its context is still at 1: under way
   4 A calls #3
   5 A reads for #3: finds 1, the log ends at 1
   6 A appends for #3, if its context is still at 1: under way
   7 A appends for #3, if its context is still at 1: records 2 ${sold}
   8 #3 was accepted, 2 ${sold}
   9 B appends for #2, if its context is still at 1: records 3 ${sold}
  10 #2 was accepted, 3 ${sold}

log
  1 SaleOpened { capacity: 1, saleId: "s1" } by #1
  2 ${sold} by #3
  3 ${sold} by #2

without an explanation
  #2 recorded 3 ${sold}, but on the log up to 2 its decider rejects with ${soldOut}`)
    })
  )

  for (const { make, name, reopen } of stores.filter((store) =>
    ["memory", "sqlite", "postgres"].includes(store.name)
  )) {
    itEffect(`and takes a moment between check and append is caught for real on ${name}, and oversells`, () =>
      Effect.gen(function* () {
        const wrong = Effect.map((store: EventStore) => forgetful(store, Effect.sleep(1)))
        const store = { make: wrong(make), ...(reopen && { reopen: Effect.map(reopen, wrong) }) }
        const options = { store, commands: buying, given: oneSeat, invariants: neverOversold, runs: 200 }
        const { problems } = yield* failing({ ...options, interleaving: "real" })
        expect(problems).toContainEqual(
          expect.stringMatching(
            /^#\d+ recorded \d+ TicketSold .*, but on the log up to \d+ its decider rejects with SoldOut/
          )
        )
        expect(problems).toContainEqual(
          expect.stringMatching(/^"never more tickets than seats" does not hold of the log up to \d+$/)
        )
      })
    )
  }

  itEffect("gives the same smallest run for the same seed", () =>
    Effect.gen(function* () {
      const options = { store: withoutLock(Effect.yieldNow), commands }
      const first = yield* failing(options)
      const again = yield* failing(options)
      expect(again.explanation).toBe(first.explanation)
      expect(again.seen).toEqual(first.seen)
    })
  )
})

describe("a decision on what was read outside of the query", () => {
  itEffect("by a handler that queries before it dispatches is shown with the two reads that see one seat", () =>
    Effect.gen(function* () {
      const buying = Serialisability.requests(buyTicket, ticket, readBeforehand)
      const options = { store: memory, commands: buying, invariants: neverOversold }
      const { explanation } = yield* failing(options)
      expect(explanation).toBe(`No serial order of the commands explains the log and the answers.

commands
  #1 OpenSale { capacity: 1, saleId: "s1" } (given)
  #2 BuyTicket { buyer: "ada", saleId: "s1", ticketId: "t1" } (A, with a handler of its own)
  #3 BuyTicket { buyer: "ada", saleId: "s1", ticketId: "t1" } (A, with a handler of its own)

steps
  1 A calls #2
  2 A reads for #2: finds 1, the log ends at 1
  3 A calls #3
  4 A reads for #3: finds 1, the log ends at 1
  5 A reads: finds nothing, the log ends at 1
  6 A appends for #2, if its context is still empty: records 2 ${sold}
  7 #2 was accepted, 2 ${sold}
  8 A appends for #3, if its context is still at 2: records 3 ${sold}
  9 #3 was accepted, 3 ${sold}

log
  1 SaleOpened { capacity: 1, saleId: "s1" } by #1
  2 ${sold} by #2
  3 ${sold} by #3

without an explanation
  #3 recorded 3 ${sold}, but on the log up to 2 its decider rejects with ${soldOut}
  "never more tickets than seats" does not hold of the log up to 3`)
    })
  )

  itEffect("by a decider that looks at a shared variable is caught", () =>
    Effect.gen(function* () {
      const buying = Serialisability.requests(buyTicket, ticket, readIntoVariable())
      const { problems } = yield* failing({ store: memory, commands: buying })
      expect(problems).toEqual([`#3 recorded 3 ${sold}, but on the log up to 2 its decider rejects with ${soldOut}`])
    })
  )

  itEffect("is not there when the same handler dispatches the decider that reads its seats", () =>
    Effect.gen(function* () {
      const buying = Serialisability.requests(buyTicket, ticket, ({ dispatcher }, command) =>
        dispatcher.outcome(buyTicket, command)
      )
      const { seen } = yield* Serialisability.assert({
        store: memory,
        given: opened,
        commands: buying,
        seed: 7,
        runs: 60
      })
      expect(seen.contended).toBeGreaterThan(5)
    })
  )

  itEffect("by a decider that counts its own calls is called what it is", () =>
    Effect.gen(function* () {
      let calls = 0
      const fickle = { ...buyTicket, decide: () => (calls++ % 3 === 0 ? Decider.nothing : Decider.accept(anySold)) }
      const anySold = TicketEvents.TicketSold({ saleId: "s1", ticketId: "t1", buyer: "ada" } as never)
      const { problems } = yield* failing({ store: memory, commands: Serialisability.requests(fickle, ticket) })
      expect(problems.join("\n")).toContain(
        "asked twice about the same state it decides differently, so it depends on something else"
      )
    })
  )
})

describe("also caught", () => {
  itEffect("is a store that says unavailable when it has committed: the retry records twice", () =>
    Effect.gen(function* () {
      const lost = fromReason(new StoreUnavailable({ code: "LOST", operation: "answer", retryable: true }))
      const store = altered((right) => {
        let appends = 0
        return {
          appendBatchesIf: (...parameters) =>
            Effect.tap(right.appendBatchesIf(...parameters), () => (++appends === 2 ? Effect.fail(lost) : Effect.void))
        }
      })
      const { problems } = yield* failing({ store, commands })
      expect(problems).toEqual([`#2 recorded 2 ${sold}, but was rejected with ${soldOut}`])
    })
  )

  itEffect("is a command that gives up, unless that is tolerated", () =>
    Effect.gen(function* () {
      const faults = fc.constant({ appends: FaultyStore.always(FaultyStore.conflict) })
      const options = { store: memory, commands, faults, attempts: 3 }
      const { problems } = yield* failing(options)
      expect(problems).toEqual([
        "#2 failed with RetriesExhausted: BuyTicket ran out of attempts after 3 attempts. Dispatch it again, or make its context smaller."
      ])
      const { seen } = yield* Serialisability.assert({
        ...options,
        given: opened,
        tolerates: () => true,
        runs: 30,
        seed: 7
      })
      expect(seen.failed).toBeGreaterThan(20)
      expect(seen.accepted).toBe(30)
    })
  )

  itEffect("is a decider that throws, though failures are tolerated", () =>
    Effect.gen(function* () {
      const broken = {
        ...buyTicket,
        decide: () => {
          throw new Error("no seats today")
        }
      }
      const requests = Serialisability.requests(broken, ticket)
      const { problems } = yield* failing({ store: memory, commands: requests, tolerates: () => true })
      expect(problems).toEqual(["#2 failed with Error: no seats today"])
    })
  )

  itEffect("is an invariant that right deciders break, on the smallest log", () =>
    Effect.gen(function* () {
      const invariants = { "at most one ticket is sold": (log: ReadonlyArray<unknown>) => log.length <= 2 }
      const { history, problems } = yield* failing({ store: memory, commands, invariants })
      expect(problems).toEqual(['"at most one ticket is sold" does not hold of the log up to 3'])
      expect(history.commands.length).toBe(3)
    })
  )

  itEffect("is a command that is never answered, in turns and for real", () =>
    Effect.gen(function* () {
      const store = altered((right) => {
        let appends = 0
        return {
          appendBatchesIf: (...parameters) => (++appends === 1 ? right.appendBatchesIf(...parameters) : Effect.never)
        }
      })
      for (const interleaving of ["turns", "real"] as const) {
        const { problems } = yield* failing({ store, commands, interleaving, patience: "200 millis" })
        expect(problems.length).toBeGreaterThan(0)
        for (const problem of problems) expect(problem).toMatch(/^#\d+ was never answered$/)
      }
    })
  )
})
