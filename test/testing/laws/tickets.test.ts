/** The laws on the slices of the ticket sale: never more tickets out than seats, whatever the commands. */
import { Decider } from "evolvent"
import * as Schema from "effect/Schema"
import { Laws } from "evolvent/testing"
import { describe, expect, it } from "vitest"
import { buyTicket, SoldOut } from "../../../examples/tickets/buyTicket.ts"
import type { BuyTicket } from "../../../examples/tickets/buyTicket.ts"
import { SaleId, TicketEvents, TicketId } from "../../../examples/tickets/events.ts"
import { openSale } from "../../../examples/tickets/openSale.ts"
import { refundTicket } from "../../../examples/tickets/refundTicket.ts"
import { told } from "./told.ts"

const Opening = Schema.Struct({ saleId: SaleId, capacity: Schema.Int })
const Ticket = Schema.Struct({ saleId: SaleId, ticketId: TicketId, buyer: Schema.String })

const application = (buying: typeof buyTicket = buyTicket) =>
  [
    Laws.commands(openSale, Opening),
    Laws.commands(buying, Ticket, { weight: 2 }),
    Laws.commands(refundTicket, Ticket)
  ] as const

type Log = ReadonlyArray<Laws.InLog<Laws.EventIn<ReturnType<typeof application>>>>

const rules = {
  "never oversold": (log: Log) => {
    const left = new Map<string, number>()
    for (const { eventType, payload } of log) {
      const seats = left.get(payload.saleId) ?? 0
      if (eventType === "SaleOpened") left.set(payload.saleId, Math.max(0, payload.capacity))
      else left.set(payload.saleId, eventType === "TicketSold" ? seats - 1 : seats + 1)
    }
    const sale = [...left].find(([, seats]) => seats < 0)
    return sale === undefined || `${-sale[1]} tickets too many of the sale ${sale[0]}`
  },
  "no ticket refunded that is not sold": (log: Log) => {
    const sold = new Map<string, number>()
    for (const { eventType, payload } of log) {
      if (eventType === "SaleOpened") continue
      const key = `${payload.saleId}/${payload.ticketId}`
      sold.set(key, (sold.get(key) ?? 0) + (eventType === "TicketSold" ? 1 : -1))
    }
    return ![...sold.values()].some((times) => times < 0)
  }
}

const slices = [openSale, buyTicket, refundTicket]

describe("the slices of the ticket sale", () => {
  it("read enough, and never oversell", () => {
    for (const decider of slices) {
      Laws.assert(Laws.sufficiency({ decider, commands: application(), invariants: rules, seed: 1, runs: 300 }))
    }
    Laws.assert(Laws.invariants({ commands: application(), invariants: rules, seed: 2, runs: 300 }))
  })

  it("read nothing in vain", () => {
    for (const decider of slices) Laws.assert(Laws.tightness({ decider, commands: application(), seed: 1 }))
  })

  it("are pure, and their events come back as they were", () => {
    for (const decider of slices) Laws.assert(Laws.purity({ decider, commands: application(), seed: 1, runs: 300 }))
    Laws.assert(Laws.codec({ catalog: TicketEvents, seed: 1, runs: 300 }))
  })
})

describe("the laws catch a ticket sale that", () => {
  it("'counts the tickets of the buyer': its predicate is too narrow, and it oversells", () => {
    const selfish = Decider.make({
      name: "BuyTicket",
      events: TicketEvents,
      context: ({ buyer, saleId }: BuyTicket) => ({
        filters: [
          ...TicketEvents.query("SaleOpened", { saleId }).filters!,
          ...TicketEvents.query(["TicketSold", "TicketRefunded"], { saleId, buyer }).filters!
        ]
      }),
      initial: { capacity: 0, sold: 0 },
      evolve: {
        SaleOpened: (state, { capacity }) => ({ ...state, capacity }),
        TicketSold: (state) => ({ ...state, sold: state.sold + 1 }),
        TicketRefunded: (state) => ({ ...state, sold: state.sold - 1 })
      },
      decide: ({ buyer, saleId, ticketId }, { capacity, sold }) =>
        sold < capacity
          ? Decider.accept(TicketEvents.TicketSold({ saleId, ticketId, buyer }))
          : Decider.reject(new SoldOut({ saleId, capacity }))
    })
    const commands = application(selfish)
    const verdict = Laws.sufficiency({ decider: selfish, commands, invariants: rules, seed: 1 })
    expect(told(verdict)).toMatchInlineSnapshot(`
      [
        "BuyTicket does not read enough: the invariant "never oversold" is broken: 1 tickets too many of the sale a",
        "OpenSale { capacity: 1, saleId: "a" }",
        "  1 SaleOpened { capacity: 1, saleId: "a" }",
        "BuyTicket { buyer: "b", saleId: "a", ticketId: "a" }",
        "  2 TicketSold { buyer: "b", saleId: "a", ticketId: "a" }",
        "BuyTicket { buyer: "a", saleId: "a", ticketId: "a" }",
        "  3 TicketSold { buyer: "a", saleId: "a", ticketId: "a" }",
      ]
    `)
    expect(verdict.findings[0]!.missing).toMatchObject({ by: "predicate", event: { eventType: "TicketSold" } })
    expect(verdict.findings[0]!.missing!.suggestion).toMatchInlineSnapshot(
      `"leave out buyer in the payload of: TicketSold | TicketRefunded, payload { buyer: "a", saleId: "a" }"`
    )
  })
})
