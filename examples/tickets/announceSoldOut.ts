/**
 * Feature slice: announce that a sale is sold out. A reactor asks after each ticket that somebody looks; looking and announcing are
 * effects, carried out through the outbox. They may be repeated, so whoever announces has to say it once a sale.
 */
import { Decider, dispatch, Outbox, Reactor } from "evolvent"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { SaleId } from "./events.ts"
import { TicketEvents } from "./events.ts"
import { seats } from "./seatsLeft.ts"

/** Tells people. Saying the same twice has no effect. */
export interface Announcements {
  readonly soldOut: (saleId: SaleId) => Effect.Effect<void>
}

export const Announcements: Context.Service<Announcements, Announcements> =
  Context.Service<Announcements>("tickets/Announcements")

/** Never leads to anything: who dispatches it gets the state as it is now, which the dispatcher mostly knows without a read. */
const lookAtSeats = Decider.make({
  name: "LookAtSeats",
  events: TicketEvents,
  view: ({ saleId }: { readonly saleId: SaleId }) => seats(saleId),
  decide: () => Decider.nothing
})

const afterEachTicket = Reactor.make({
  name: "announce sold out",
  events: TicketEvents,
  query: TicketEvents.query("TicketSold"),
  react: { TicketSold: ({ saleId }) => [{ saleId }] }
})

export const announceSoldOut = Outbox.make({
  reactor: afterEachTicket,
  start: "beginning",
  carryOut: ({ saleId }) =>
    Effect.gen(function* () {
      const { state } = yield* dispatch(lookAtSeats, { saleId })
      if (state.sold < state.capacity) return
      yield* (yield* Announcements).soldOut(saleId)
    })
})
