/** The ticket sale as generated requests: one sale of few seats, so that commands get in each other's way. */
import * as fc from "fast-check"
import { buyTicket } from "../../examples/tickets/buyTicket.ts"
import { SaleId, TicketId } from "../../examples/tickets/events.ts"
import { openSale } from "../../examples/tickets/openSale.ts"
import { refundTicket } from "../../examples/tickets/refundTicket.ts"
import { seats } from "../../examples/tickets/seatsLeft.ts"
import { Serialisability } from "../../src/testing/index.ts"

export const saleId = SaleId.make("s1")

export const ticket = fc.record({
  saleId: fc.constant(saleId),
  ticketId: fc.constantFrom(...["t1", "t2"].map((id) => TicketId.make(id))),
  buyer: fc.constantFrom("ada", "bob")
})

/** The sale is open, with one seat to three. */
export const opened: fc.Arbitrary<ReadonlyArray<Serialisability.Request>> = fc
  .integer({ min: 1, max: 3 })
  .map((capacity) => [Serialisability.request(openSale, { saleId, capacity })])

export const commands: fc.Arbitrary<Serialisability.Request> = fc.oneof(
  {
    weight: 1,
    arbitrary: Serialisability.requests(openSale, fc.record({ saleId: fc.constant(saleId), capacity: fc.nat(3) }))
  },
  { weight: 4, arbitrary: Serialisability.requests(buyTicket, ticket) },
  { weight: 3, arbitrary: Serialisability.requests(refundTicket, ticket) }
)

export const neverOversold: Serialisability.Invariants = {
  "never more tickets than seats": Serialisability.always(seats(saleId), ({ capacity, sold }) => sold <= capacity)
}
