/** Feature slice: buy a ticket. The decision depends on the sale's seats and on nothing else. */
import { Decider } from "evolvent"
import * as Schema from "effect/Schema"
import type { SaleId, TicketId } from "./events.ts"
import { TicketEvents } from "./events.ts"
import { seats } from "./seatsLeft.ts"

export interface BuyTicket {
  readonly saleId: SaleId
  readonly ticketId: TicketId
  readonly buyer: string
}

export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", {
  saleId: Schema.String,
  capacity: Schema.Int
}) {
  override get message() {
    return `All ${this.capacity} seats of the sale ${this.saleId} are sold.`
  }
}

export const buyTicket = Decider.make({
  name: "BuyTicket",
  events: TicketEvents,
  view: ({ saleId }: BuyTicket) => seats(saleId),
  decide: ({ buyer, saleId, ticketId }, { capacity, sold }) =>
    sold < capacity
      ? Decider.accept(TicketEvents.TicketSold({ saleId, ticketId, buyer }))
      : Decider.reject(new SoldOut({ saleId, capacity }))
})
