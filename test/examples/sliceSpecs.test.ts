/** The slices of the ticket sale as specs: given, when, then. */
import * as Schema from "effect/Schema"
import { Spec } from "evolvent/testing"
import { describe, it } from "vitest"
import { buyTicket, SoldOut } from "../../examples/tickets/buyTicket.ts"
import { SaleId, TicketEvents, TicketId } from "../../examples/tickets/events.ts"
import { openSale, SaleAlreadyOpen } from "../../examples/tickets/openSale.ts"
import { NotTheirTicket, refundTicket } from "../../examples/tickets/refundTicket.ts"
import { seats } from "../../examples/tickets/seatsLeft.ts"

const saleId = SaleId.make("s")
const opened = TicketEvents.SaleOpened({ saleId, capacity: 1 })
const ticket = { saleId, ticketId: TicketId.make("t1"), buyer: "ada" }
const sold = TicketEvents.TicketSold(ticket)
const refunded = TicketEvents.TicketRefunded(ticket)
const next = { saleId, ticketId: TicketId.make("t2"), buyer: "bob" }
const elsewhere = TicketEvents.TicketSold({ ...next, saleId: SaleId.make("other") })

describe("opening a sale", () => {
  const spec = Spec.of(openSale)

  it("opens it", () => {
    spec.when({ saleId, capacity: 1 }).then(opened)
  })

  it("changes nothing where it is open with that capacity", () => {
    spec.given(opened, sold).when({ saleId, capacity: 1 }).thenNothing()
  })

  it("is rejected where it is open with another capacity", () => {
    spec
      .given(opened)
      .when({ saleId, capacity: 2 })
      .thenRejects(new SaleAlreadyOpen({ saleId, capacity: 1 }))
  })
})

describe("buying a ticket", () => {
  const spec = Spec.of(buyTicket).given(opened, elsewhere)

  it("takes a seat while there is one, and a refunded seat again", () => {
    spec.when(next).then(TicketEvents.TicketSold(next))
    spec.given(sold, refunded).when(next).then(TicketEvents.TicketSold(next))
  })

  it("is rejected where all seats are sold", () => {
    spec
      .given(sold)
      .when(next)
      .thenRejects(new SoldOut({ saleId, capacity: 1 }))
  })

  it("is rejected where no sale is open", () => {
    Spec.of(buyTicket).when(next).thenRejects(Schema.is(SoldOut))
  })
})

describe("refunding a ticket", () => {
  const spec = Spec.of(refundTicket).given(opened, sold)

  it("gives it back once", () => {
    spec.when(ticket).then(refunded)
    spec.given(refunded).when(ticket).thenNothing()
  })

  it("is rejected for anybody but its buyer", () => {
    const denied = new NotTheirTicket({ ticketId: "t1" })
    spec.when({ ...ticket, buyer: "bob" }).thenRejects(denied)
    Spec.of(refundTicket).given(opened).when(ticket).thenRejects(denied)
  })
})

describe("the seats of a sale", () => {
  it("are those that are sold and not refunded, of this sale", () => {
    const spec = Spec.ofView(seats(saleId)).given(opened, elsewhere, sold)
    spec.thenState({ capacity: 1, sold: 1 })
    spec.given(refunded).thenState({ capacity: 1, sold: 0 })
  })
})
