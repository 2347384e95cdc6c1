/** A sale that is sold out is announced, also where announcing fails at first; one with seats left is not. */
import { dispatch, EventStore, layerDispatcher, MemoryStore, runOutbox } from "evolvent"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describe, expect } from "vitest"
import { Announcements, announceSoldOut } from "../../examples/tickets/announceSoldOut.ts"
import { buyTicket } from "../../examples/tickets/buyTicket.ts"
import { SaleId, TicketId } from "../../examples/tickets/events.ts"
import { openSale } from "../../examples/tickets/openSale.ts"
import { itEffect } from "../support/it.ts"

const buyAll = (sale: string, tickets: number) =>
  Effect.gen(function* () {
    const saleId = SaleId.make(sale)
    yield* dispatch(openSale, { saleId, capacity: 2 })
    for (let index = 0; index < tickets; index++) {
      yield* dispatch(buyTicket, { saleId, ticketId: TicketId.make(`${sale}-${index}`), buyer: "ada" })
    }
  })

describe("announcing that a sale is sold out", () => {
  itEffect("is done for a sale without seats, and is tried again when it fails", () =>
    Effect.gen(function* () {
      const said: Array<string> = []
      const announcements = Layer.succeed(Announcements, {
        soldOut: (saleId) =>
          Effect.sync(() => {
            said.push(saleId)
            if (said.length === 1) throw new Error("nobody listens")
          })
      })
      const program = Effect.gen(function* () {
        const announcing = yield* runOutbox(announceSoldOut)
        yield* buyAll("few", 1)
        yield* buyAll("all", 2)
        const head = (yield* (yield* EventStore).query()).headSequenceNumber!
        yield* announcing.settled(head)
        expect((yield* announcing.status).dead).toBe(0)
      })
      const services = Layer.provideMerge(Layer.merge(layerDispatcher(), announcements), MemoryStore.layer())
      yield* Effect.provide(Effect.scoped(program), services)
      expect(said.length).toBeGreaterThanOrEqual(2)
      expect(new Set(said)).toEqual(new Set(["all"]))
    })
  )
})
