/**
 * Feature slice: how many seats a sale has left. The view is shared with the decisions that depend on it; the query model is for those
 * who only want to know.
 */
import { EventStore, Projection, View } from "evolvent"
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

/** The query model: a row a sale, in the event store's database. */
export const seatsLeftModel = Projection.make({
  name: "seats left",
  events: TicketEvents,
  setup: (sql) =>
    sql.execute("CREATE TABLE IF NOT EXISTS ticket_seats (sale_id text PRIMARY KEY, seats_left bigint NOT NULL)"),
  reset: (sql) => sql.execute("DROP TABLE ticket_seats"),
  handle: (events, sql) => {
    const add = (saleId: SaleId, seats: number) =>
      sql.execute(
        `INSERT INTO ticket_seats AS s VALUES ($1, $2)
         ON CONFLICT (sale_id) DO UPDATE SET seats_left = s.seats_left + excluded.seats_left`,
        [saleId, seats]
      )
    return Effect.forEach(events, ({ event }) => {
      if (event.eventType === "SaleOpened") return add(event.payload.saleId, event.payload.capacity)
      return add(event.payload.saleId, event.eventType === "TicketSold" ? -1 : 1)
    })
  }
})

/** Asks the query model: as many as it knows of, 0 for a sale that it does not know. */
export const seatsLeftInModel = (saleId: SaleId) =>
  Effect.gen(function* () {
    const { workspace } = yield* EventStore
    const rows = yield* workspace.transaction(({ sql }) =>
      sql!.execute("SELECT seats_left FROM ticket_seats WHERE sale_id = $1", [saleId])
    )
    return Number(rows[0]?.["seats_left"] ?? 0)
  })
