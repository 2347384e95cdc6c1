/** The facts of a ticket sale. */
import { EventCatalog } from "evolvent"
import * as Schema from "effect/Schema"

export const SaleId = Schema.NonEmptyString.pipe(Schema.brand("SaleId"))
export type SaleId = typeof SaleId.Type

export const TicketId = Schema.NonEmptyString.pipe(Schema.brand("TicketId"))
export type TicketId = typeof TicketId.Type

export const TicketEvents = EventCatalog.make({
  SaleOpened: Schema.Struct({ saleId: SaleId, capacity: Schema.Int }),
  TicketSold: Schema.Struct({ saleId: SaleId, ticketId: TicketId, buyer: Schema.String }),
  TicketRefunded: Schema.Struct({ saleId: SaleId, ticketId: TicketId, buyer: Schema.String })
})
