/**
 * The promise of the whole: whatever two processes dispatch at once, never are more tickets out than there are seats, and
 * the log is a serial order of the commands that explains every answer.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { buyTicket } from "../../examples/tickets/buyTicket.ts"
import { SaleId, TicketId } from "../../examples/tickets/events.ts"
import { openSale } from "../../examples/tickets/openSale.ts"
import { refundTicket } from "../../examples/tickets/refundTicket.ts"
import * as Decider from "../../src/decider/Decider.ts"
import type { Outcome } from "../../src/dispatch/Outcome.ts"
import type { EventRecord } from "../../src/stores/Event.ts"
import type { EventStore } from "../../src/stores/EventStore.ts"
import * as MemoryStore from "../../src/stores/memory/MemoryStore.ts"
import * as SqliteStore from "../../src/stores/sqlite/SqliteStore.ts"
import { dispatcherOn, watch } from "./watchedStore.ts"

/** A command with its decider. */
interface Order {
  readonly decider: Decider.Any
  readonly command: object
}

const saleIds = ["s1", "s2"].map((id) => SaleId.make(id))
const ticketIds = ["t1", "t2", "t3", "t4", "t5"].map((id) => TicketId.make(id))
const sale = fc.constantFrom(...saleIds)
const ticket = fc.record({
  saleId: sale,
  ticketId: fc.constantFrom(...ticketIds),
  buyer: fc.constantFrom("ada", "bob")
})

const order: fc.Arbitrary<Order> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ saleId: sale, capacity: fc.nat(4) }).map(orderOf(openSale)) },
  { weight: 5, arbitrary: ticket.map(orderOf(buyTicket)) },
  { weight: 2, arbitrary: ticket.map(orderOf(refundTicket)) }
)

function orderOf(decider: Decider.Any): (command: object) => Order {
  return (command) => ({ decider, command })
}

/** Waves of orders; those of a wave are dispatched at once, each by the first or the second dispatcher. */
const waves = fc.array(fc.array(fc.tuple(order, fc.nat(1)), { minLength: 1, maxLength: 24 }), {
  minLength: 1,
  maxLength: 4
})

/** An answer, and how long the log was before and after the wave. */
interface Answered {
  readonly order: Order
  readonly outcome: Outcome<unknown, unknown>
  readonly before: number
  readonly after: number
}

const run = (stores: readonly [EventStore, EventStore], plan: ReadonlyArray<ReadonlyArray<readonly [Order, number]>>) =>
  Effect.gen(function* () {
    const dispatchers = [yield* dispatcherOn(stores[0]), yield* dispatcherOn(stores[1])]
    const head = Effect.map(stores[0].query(), (result) => result.headSequenceNumber ?? 0)
    const answers: Array<Answered> = []
    for (const wave of plan) {
      const before = yield* head
      const outcomes = yield* Effect.forEach(
        wave,
        ([{ command, decider }, by]) => dispatchers[by]!.outcome(decider, command, { attempts: 1_000 }),
        { concurrency: "unbounded" }
      )
      const after = yield* head
      answers.push(...outcomes.map((outcome, index) => ({ order: wave[index]![0], outcome, before, after })))
    }
    const { eventRecords } = yield* stores[1].query()
    return { answers, log: eventRecords }
  })

const decided = ({ command, decider }: Order, prefix: ReadonlyArray<EventRecord>) =>
  Result.getOrThrow(Decider.decideOn(decider, command, prefix))

/** Each accepted batch is what its decider decides on the log before it, and the log holds nothing else. */
const checkAccepted = (answers: ReadonlyArray<Answered>, log: ReadonlyArray<EventRecord>): void => {
  let explained = 0
  for (const { after, before, order: accepted, outcome } of answers) {
    if (outcome._tag !== "Accepted") continue
    const [first] = outcome.eventRecords
    const prefix = log.slice(0, first!.sequenceNumber - 1)
    const { decision } = decided(accepted, prefix)
    expect(outcome.eventRecords).toEqual(log.slice(prefix.length, outcome.position))
    expect(decision._tag === "Accept" && decision.events).toEqual(
      outcome.eventRecords.map(({ eventType, payload }) => ({ eventType, payload }))
    )
    expect(outcome.state).toEqual(decided(accepted, log.slice(0, outcome.position)).state)
    expect(first!.sequenceNumber).toBeGreaterThan(before)
    expect(outcome.position).toBeLessThanOrEqual(after)
    explained += outcome.eventRecords.length
  }
  expect(explained).toBe(log.length)
}

/** Every other answer was right at some moment while its wave was under way. */
const checkOthers = (answers: ReadonlyArray<Answered>, log: ReadonlyArray<EventRecord>): void => {
  for (const { after, before, order: other, outcome } of answers) {
    if (outcome._tag === "Accepted") continue
    const moments = Array.from({ length: after - before + 1 }, (_, index) => log.slice(0, before + index))
    const right = moments.some((prefix) => {
      const { decision, state } = decided(other, prefix)
      return outcome._tag === "Rejected"
        ? decision._tag === "Reject" && JSON.stringify(decision.rejection) === JSON.stringify(outcome.rejection)
        : decision._tag === "Accept" &&
            decision.events.length === 0 &&
            JSON.stringify(state) === JSON.stringify(outcome.state)
    })
    expect(right, JSON.stringify({ other, outcome })).toBe(true)
  }
}

const checkNeverOversold = (log: ReadonlyArray<EventRecord>): void => {
  for (const saleId of saleIds) {
    let capacity = 0
    let out = 0
    for (const { eventType, payload } of log) {
      const event = payload as { readonly saleId: string; readonly capacity: number }
      if (event.saleId !== saleId) continue
      if (eventType === "SaleOpened") capacity = event.capacity
      else out += eventType === "TicketSold" ? 1 : -1
      expect(out).toBeLessThanOrEqual(capacity)
    }
  }
}

type Pair = Effect.Effect<readonly [EventStore, EventStore], unknown, Scope.Scope>

/** Without revision under the lock every interference is a conflict that comes back to the dispatcher. */
const pairs: ReadonlyArray<{ readonly name: string; readonly runs: number; readonly pair: Pair }> = [
  {
    name: "one memory store",
    runs: 100,
    pair: Effect.map(MemoryStore.make(), (store) => [store, store] as const)
  },
  {
    name: "one memory store that reports conflicts",
    runs: 60,
    pair: Effect.map(MemoryStore.make(), (store) => [watch(store).store, watch(store).store] as const)
  },
  {
    name: "two SQLite stores on one file",
    runs: 25,
    pair: Effect.map(twoOnOneFile(), (both) => both)
  },
  {
    name: "two SQLite stores on one file that report conflicts",
    runs: 25,
    pair: Effect.map(twoOnOneFile(), ([a, b]) => [watch(a).store, watch(b).store] as const)
  }
]

function twoOnOneFile(): Pair {
  return Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "evolvent-"))),
      (made) => Effect.sync(() => rmSync(made, { recursive: true }))
    )
    const open = SqliteStore.make({ file: join(folder, "log.sqlite"), synchronous: "NORMAL", indexEvery: 4 })
    return [yield* open, yield* open] as const
  })
}

describe("two dispatchers", () => {
  for (const { name, pair, runs } of pairs) {
    it(`on ${name} never oversell, and the log explains every answer`, async () => {
      let accepted = 0
      await fc.assert(
        fc.asyncProperty(waves, async (plan) => {
          const { answers, log } = await Effect.runPromise(
            Effect.scoped(Effect.flatMap(pair, (stores) => run(stores, plan)))
          )
          checkAccepted(answers, log)
          checkOthers(answers, log)
          checkNeverOversold(log)
          accepted += log.length
        }),
        { numRuns: runs }
      )
      expect(accepted).toBeGreaterThan(runs)
    })
  }
})
