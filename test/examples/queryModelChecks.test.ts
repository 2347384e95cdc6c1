/** The query models of the ticket sale come to the same rows, wherever their worker crashes. */
import { EventStore } from "evolvent"
import { ProjectionCheck } from "evolvent/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Context from "effect/Context"
import * as fc from "fast-check"
import * as Result from "effect/Result"
import { describe, expect } from "vitest"
import { SaleId, TicketEvents, TicketId } from "../../examples/tickets/events.ts"
import { myTicketsModel } from "../../examples/tickets/myTickets.ts"
import { seatsLeftModel } from "../../examples/tickets/seatsLeft.ts"
import type { StoreLocation } from "../../examples/tickets/stores.ts"
import { layerAt } from "../../examples/tickets/stores.ts"
import { itEffect } from "../support/it.ts"
import { ownSchema } from "../support/postgres.ts"
import { temporaryFile } from "../support/stores.ts"

const saleId = SaleId.make("s")

/** A sale that is opened, and tickets of which some are refunded, one append a ticket. */
const sales = fc.array(fc.boolean(), { maxLength: 3 }).map((refunds) => [
  [TicketEvents.SaleOpened({ saleId, capacity: 5 })],
  ...refunds.map((isRefunded, index) => {
    const ticket = { saleId, ticketId: TicketId.make(`t${index}`), buyer: `b${index % 2}` }
    return [TicketEvents.TicketSold(ticket), ...(isRefunded ? [TicketEvents.TicketRefunded(ticket)] : [])]
  })
])

const appends = sales.map((list) =>
  list.map((events) => events.map((event) => Result.getOrThrow(TicketEvents.encode(event))))
)

const opened = (location: StoreLocation) =>
  Effect.map(Layer.build(layerAt(location)), (context) => Context.get(context, EventStore))

const stores = {
  sqlite: { runs: 4, open: Effect.flatMap(temporaryFile, (file) => opened({ store: "sqlite", file })) },
  postgres: {
    runs: 1,
    open: Effect.flatMap(ownSchema, ({ schema, url }) => opened({ store: "postgres", url, schema }))
  }
}

const rowsOf = (table: string) => (store: EventStore) =>
  store.workspace.transaction(({ sql }) => sql!.execute(`SELECT * FROM ${table} ORDER BY 1, 2`))

for (const [name, { open, runs }] of Object.entries(stores)) {
  describe(`on ${name}, whatever happens, the same`, () => {
    itEffect("seats are left", () =>
      Effect.gen(function* () {
        const verdict = yield* ProjectionCheck.check({
          projection: seatsLeftModel,
          open,
          appends,
          model: rowsOf("ticket_seats"),
          runs
        })
        ProjectionCheck.assert(verdict)
        expect(verdict.runs).toBe(runs)
      })
    )

    itEffect("tickets are in the same hands", () =>
      Effect.gen(function* () {
        const verdict = yield* ProjectionCheck.check({
          projection: myTicketsModel,
          open,
          appends,
          model: rowsOf("ticket_holders"),
          runs
        })
        ProjectionCheck.assert(verdict)
        expect(verdict.runs).toBe(runs)
      })
    )
  })
}
