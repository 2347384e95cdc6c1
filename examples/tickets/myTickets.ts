/** Feature slice: the tickets that somebody has. */
import { EventStore, Projection } from "evolvent"
import * as Effect from "effect/Effect"
import type { SaleId } from "./events.ts"
import { TicketEvents, TicketId } from "./events.ts"

/** The query model: a row a ticket that is sold and not refunded, in the event store's database. */
export const myTicketsModel = Projection.make({
  name: "my tickets",
  events: TicketEvents,
  query: TicketEvents.query(["TicketSold", "TicketRefunded"]),
  setup: (sql) =>
    sql.execute(
      `CREATE TABLE IF NOT EXISTS ticket_holders
         (sale_id text NOT NULL, ticket_id text NOT NULL, buyer text NOT NULL, PRIMARY KEY (sale_id, ticket_id))`
    ),
  reset: (sql) => sql.execute("DROP TABLE ticket_holders"),
  handle: (events, sql) =>
    Effect.forEach(events, ({ event }) => {
      const { eventType, payload } = event
      if (eventType === "TicketSold") {
        const { buyer, saleId, ticketId } = payload
        return sql.execute("INSERT INTO ticket_holders VALUES ($1, $2, $3)", [saleId, ticketId, buyer])
      }
      if (eventType === "TicketRefunded") {
        const { saleId, ticketId } = payload
        return sql.execute("DELETE FROM ticket_holders WHERE sale_id = $1 AND ticket_id = $2", [saleId, ticketId])
      }
      return Effect.void
    })
})

export const myTickets = (saleId: SaleId, buyer: string) =>
  Effect.gen(function* () {
    const { workspace } = yield* EventStore
    const rows = yield* workspace.transaction(({ sql }) =>
      sql!.execute("SELECT ticket_id FROM ticket_holders WHERE sale_id = $1 AND buyer = $2 ORDER BY ticket_id", [
        saleId,
        buyer
      ])
    )
    return rows.map((row) => TicketId.make(row["ticket_id"] as string))
  })

/** How many tickets of a sale are in somebody's hands. */
export const ticketsHeld = (saleId: SaleId) =>
  Effect.gen(function* () {
    const { workspace } = yield* EventStore
    const rows = yield* workspace.transaction(({ sql }) =>
      sql!.execute("SELECT count(*) AS held FROM ticket_holders WHERE sale_id = $1", [saleId])
    )
    return Number(rows[0]!["held"])
  })
