/** Feature slice: refund a ticket to the one who bought it. The decision depends on that ticket alone. */
import { Decider } from "evolvent"
import * as Schema from "effect/Schema"
import type { SaleId, TicketId } from "./events.ts"
import { TicketEvents } from "./events.ts"

export interface RefundTicket {
  readonly saleId: SaleId
  readonly ticketId: TicketId
  readonly buyer: string
}

export class NotTheirTicket extends Schema.TaggedError<NotTheirTicket>()("NotTheirTicket", {
  ticketId: Schema.String
}) {
  override get message() {
    return `The ticket ${this.ticketId} was not sold to them.`
  }
}

export const refundTicket = Decider.make({
  name: "RefundTicket",
  events: TicketEvents,
  context: ({ saleId, ticketId }: RefundTicket) =>
    TicketEvents.query(["TicketSold", "TicketRefunded"], { saleId, ticketId }),
  initial: { owner: undefined as string | undefined, wasRefunded: false },
  evolve: {
    TicketSold: (_, { buyer }) => ({ owner: buyer, wasRefunded: false }),
    TicketRefunded: (ticket) => ({ ...ticket, wasRefunded: true })
  },
  decide: ({ buyer, saleId, ticketId }, ticket) => {
    if (ticket.owner !== buyer) return Decider.reject(new NotTheirTicket({ ticketId }))
    return ticket.wasRefunded
      ? Decider.nothing
      : Decider.accept(TicketEvents.TicketRefunded({ saleId, ticketId, buyer }))
  }
})
