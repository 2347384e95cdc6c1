/** The query models of the ticket sale follow the log: sold, refunded, sold again; and start over when they are rebuilt. */
import { dispatch, EventStore, layerDispatcher, ProjectionWorker } from "evolvent"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describe, expect } from "vitest"
import { buyTicket } from "../../examples/tickets/buyTicket.ts"
import { SaleId, TicketId } from "../../examples/tickets/events.ts"
import { askModels, brokenModels, layerModels } from "../../examples/tickets/models.ts"
import { myTickets, myTicketsModel } from "../../examples/tickets/myTickets.ts"
import { openSale } from "../../examples/tickets/openSale.ts"
import { refundTicket } from "../../examples/tickets/refundTicket.ts"
import { seatsLeft, seatsLeftModel } from "../../examples/tickets/seatsLeft.ts"
import type { StoreLocation } from "../../examples/tickets/stores.ts"
import { layerAt } from "../../examples/tickets/stores.ts"
import { itEffect } from "../support/it.ts"
import { ownSchema } from "../support/postgres.ts"
import { temporaryFile } from "../support/stores.ts"

const locations = {
  sqlite: Effect.map(temporaryFile, (file): StoreLocation => ({ store: "sqlite", file })),
  postgres: Effect.map(ownSchema, ({ schema, url }): StoreLocation => ({ store: "postgres", url, schema }))
}

const [summer, winter] = [SaleId.make("summer"), SaleId.make("winter")]
const ticket = (name: string) => ({ saleId: summer, ticketId: TicketId.make(name), buyer: `buyer of ${name}` })

for (const [name, locate] of Object.entries(locations)) {
  describe(`the query models on ${name}`, () => {
    itEffect("say what the log says, also after refunds and a rebuild", () =>
      Effect.gen(function* () {
        const location = yield* locate
        const program = Effect.gen(function* () {
          yield* dispatch(openSale, { saleId: summer, capacity: 3 })
          yield* dispatch(openSale, { saleId: winter, capacity: 9 })
          for (const sold of ["a", "b", "c"]) yield* dispatch(buyTicket, ticket(sold))
          yield* dispatch(refundTicket, ticket("b"))
          const expected = { seatsLeft: 1, ticketsHeld: 2 }
          expect(yield* seatsLeft(summer)).toBe(1)
          expect(yield* askModels(location, summer)).toEqual(expected)
          expect(yield* askModels(location, winter)).toEqual({ seatsLeft: 9, ticketsHeld: 0 })
          expect(yield* myTickets(summer, "buyer of a")).toEqual(["a"])
          expect(yield* myTickets(summer, "buyer of b")).toEqual([])
          const worker = yield* ProjectionWorker
          for (const projection of [seatsLeftModel, myTicketsModel]) yield* worker.rebuild(projection)
          expect(yield* askModels(location, summer)).toEqual(expected)
          yield* dispatch(buyTicket, ticket("d"))
          expect(yield* askModels(location, summer)).toEqual({ seatsLeft: 0, ticketsHeld: 3 })
          expect((yield* (yield* EventStore).query()).headSequenceNumber).toBe(7)
        })
        const layer = Layer.merge(layerDispatcher(), layerModels(location))
        yield* Effect.provide(program, Layer.provideMerge(layer, layerAt(location)))
      })
    )
  })
}

describe("what is wrong with query models", () => {
  const log = { recordedEvents: 2 } as Parameters<typeof brokenModels>[0]

  itEffect("is named, and nothing where they agree with the log or are not there", () =>
    Effect.sync(() => {
      expect(brokenModels(log, 1, { seatsLeft: 1, ticketsHeld: 2 })).toBeUndefined()
      expect(brokenModels(log, 1, undefined)).toBeUndefined()
      expect(brokenModels(log, 1, { seatsLeft: 0, ticketsHeld: 2 })).toContain("0 seats are left, the log 1")
      expect(brokenModels(log, 1, { seatsLeft: 1, ticketsHeld: 3 })).toContain("3 tickets, the log 2")
    })
  )
})
