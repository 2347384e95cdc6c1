import * as Schema from "effect/Schema"
import * as Decider from "../../src/decider/Decider.ts"
import * as EventCatalog from "../../src/decider/EventCatalog.ts"

export const SaleId = Schema.String.pipe(Schema.brand("SaleId"))
export const saleId = SaleId.make("s1")

export const TicketEvents = EventCatalog.make({
  SaleOpened: Schema.Struct({ saleId: SaleId, capacity: Schema.Int }),
  TicketSold: EventCatalog.event(Schema.Struct({ saleId: SaleId, buyer: Schema.String }), {
    version: 2,
    upcasts: { 1: (old: { readonly saleId: string }) => ({ ...old, buyer: "unknown" }) },
    tags: (payload) => [`sale:${payload.saleId}`]
  })
})

export interface BuyTicket {
  readonly saleId: typeof SaleId.Type
  readonly buyer: string
}

export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { saleId: SaleId, capacity: Schema.Int }) {}
export class NotOpen extends Schema.TaggedError<NotOpen>()("NotOpen", { saleId: SaleId }) {}

export const buyTicket = Decider.make({
  name: "BuyTicket",
  events: TicketEvents,
  context: (command: BuyTicket) => TicketEvents.query(["SaleOpened", "TicketSold"], { saleId: command.saleId }),
  initial: { capacity: 0, sold: 0 },
  evolve: {
    SaleOpened: (state, event) => ({ ...state, capacity: event.capacity }),
    TicketSold: (state) => ({ ...state, sold: state.sold + 1 })
  },
  decide: (command, state) =>
    state.sold < state.capacity
      ? Decider.accept(TicketEvents.TicketSold({ saleId: command.saleId, buyer: command.buyer }))
      : Decider.reject(new SoldOut({ saleId: command.saleId, capacity: state.capacity }))
})
