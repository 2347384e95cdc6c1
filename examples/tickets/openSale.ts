/** Feature slice: open a sale. Opening it again with the same capacity changes nothing. */
import { Decider } from "evolvent"
import * as Schema from "effect/Schema"
import type { SaleId } from "./events.ts"
import { TicketEvents } from "./events.ts"

export interface OpenSale {
  readonly saleId: SaleId
  readonly capacity: number
}

export class SaleAlreadyOpen extends Schema.TaggedError<SaleAlreadyOpen>()("SaleAlreadyOpen", {
  saleId: Schema.String,
  capacity: Schema.Int
}) {
  override get message() {
    return `The sale ${this.saleId} is open already, with ${this.capacity} seats.`
  }
}

export const openSale = Decider.make({
  name: "OpenSale",
  events: TicketEvents,
  context: (command: OpenSale) => TicketEvents.query("SaleOpened", { saleId: command.saleId }),
  initial: { capacity: undefined as number | undefined },
  evolve: {
    SaleOpened: (_, { capacity }) => ({ capacity })
  },
  decide: ({ capacity, saleId }, sale) => {
    if (sale.capacity === undefined) return Decider.accept(TicketEvents.SaleOpened({ saleId, capacity }))
    if (sale.capacity === capacity) return Decider.nothing
    return Decider.reject(new SaleAlreadyOpen({ saleId, capacity: sale.capacity }))
  }
})
