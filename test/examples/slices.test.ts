/** The slices of the ticket sale, given and when, without a store. */
import { Decider } from "evolvent"
import { describe, expect, it } from "vitest"
import { buyTicket, SoldOut } from "../../examples/tickets/buyTicket.ts"
import { SaleId, TicketEvents, TicketId } from "../../examples/tickets/events.ts"
import { openSale, SaleAlreadyOpen } from "../../examples/tickets/openSale.ts"
import { NotTheirTicket, refundTicket } from "../../examples/tickets/refundTicket.ts"

const saleId = SaleId.make("s")
const opened = TicketEvents.SaleOpened({ saleId, capacity: 1 })
const ticket = { saleId, ticketId: TicketId.make("t1"), buyer: "ada" }
const sold = TicketEvents.TicketSold(ticket)
const refunded = TicketEvents.TicketRefunded(ticket)
const next = { saleId, ticketId: TicketId.make("t2"), buyer: "bob" }

describe("opening a sale", () => {
  it("opens it once", () => {
    const command = { saleId, capacity: 1 }
    expect(Decider.computeEvents(openSale, { given: [], command })).toEqual(Decider.accept(opened))
    expect(Decider.computeEvents(openSale, { given: [opened], command })).toEqual(Decider.nothing)
    expect(Decider.computeEvents(openSale, { given: [opened, sold], command: { saleId, capacity: 2 } })).toEqual(
      Decider.reject(new SaleAlreadyOpen({ saleId, capacity: 1 }))
    )
  })
})

describe("buying a ticket", () => {
  it("takes a seat while there is one, and a refunded seat again", () => {
    const accepted = Decider.accept(TicketEvents.TicketSold(next))
    expect(Decider.computeEvents(buyTicket, { given: [opened], command: next })).toEqual(accepted)
    expect(Decider.computeEvents(buyTicket, { given: [opened, sold, refunded], command: next })).toEqual(accepted)
  })

  it("is rejected when all seats are sold, and where no sale is open", () => {
    expect(Decider.computeEvents(buyTicket, { given: [opened, sold], command: next })).toEqual(
      Decider.reject(new SoldOut({ saleId, capacity: 1 }))
    )
    expect(Decider.computeEvents(buyTicket, { given: [], command: next })).toEqual(
      Decider.reject(new SoldOut({ saleId, capacity: 0 }))
    )
  })
})

describe("refunding a ticket", () => {
  it("gives it back once, to its buyer", () => {
    const refund = (given: ReadonlyArray<typeof opened | typeof sold | typeof refunded>, buyer = "ada") =>
      Decider.computeEvents(refundTicket, { given, command: { ...ticket, buyer } })
    const denied = Decider.reject(new NotTheirTicket({ ticketId: "t1" }))
    expect(refund([opened, sold])).toEqual(Decider.accept(refunded))
    expect(refund([opened, sold, refunded])).toEqual(Decider.nothing)
    expect(refund([opened, sold], "bob")).toEqual(denied)
    expect(refund([opened])).toEqual(denied)
  })
})
