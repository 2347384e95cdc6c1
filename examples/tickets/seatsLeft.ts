/** Feature slice: how many seats a sale has left. The view is shared with the decisions that depend on it. */
import { EventStore, View } from "evolvent"
import * as Effect from "effect/Effect"
import type { SaleId } from "./events.ts"
import { TicketEvents } from "./events.ts"

export const seats = View.make({
  name: "Seats",
  events: TicketEvents,
  query: (saleId: SaleId) => TicketEvents.query(["SaleOpened", "TicketSold", "TicketRefunded"], { saleId }),
  initial: { capacity: 0, sold: 0 },
  evolve: {
    SaleOpened: (state, { capacity }) => ({ ...state, capacity }),
    TicketSold: (state) => ({ ...state, sold: state.sold + 1 }),
    TicketRefunded: (state) => ({ ...state, sold: state.sold - 1 })
  }
})

/** Asks the log itself. */
export const seatsLeft = (saleId: SaleId) =>
  Effect.gen(function* () {
    const store = yield* EventStore
    const view = seats(saleId)
    const { eventRecords } = yield* store.query(view.query)
    const { capacity, sold } = yield* Effect.fromResult(View.fold(view, eventRecords))
    return capacity - sold
  })
