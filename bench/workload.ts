/** The events of the benchmarks: 6 payload scalars and 2 tags each, ten events to an order. */
import type { EventQuery, EventStore, NewEvent } from "evolvent"
import * as Effect from "effect/Effect"

/** Events of one order: what a context read returns. */
export const eventsPerOrder = 10

const channels = ["web", "app", "box office"]

/** An event of order number `order`. */
export const orderEvent = (order: number, index: number): NewEvent => ({
  eventType: "TicketSold",
  payload: {
    orderId: `order-${order}`,
    saleId: `sale-${order % 997}`,
    buyer: `buyer-${(order * 7919) % 50_021}`,
    seat: index % 20_011,
    priceInCents: 1_000 + (index % 9_000),
    channel: channels[index % 3]!
  },
  tags: [`order:${order}`, `sale:${order % 997}`]
})

/** The context of a decision on an order. */
export const contextOf = (order: number): EventQuery.EventQuery => ({
  filters: [{ eventTypes: ["TicketSold"], payloadPredicates: [{ orderId: `order-${order}` }] }]
})

/** A thousand events of a log; those of an order lie as far apart as the log is long. */
export const orderChunk = (first: number, logSize: number): ReadonlyArray<NewEvent> =>
  Array.from({ length: 1_000 }, (_, index) => orderEvent((first + index) % (logSize / eventsPerOrder), first + index))

/** Makes an empty log one of so many events. */
export const fill = (logSize: number) => (store: EventStore) =>
  Effect.gen(function* () {
    for (let first = 0; first < logSize; first += 1_000) yield* store.append(orderChunk(first, logSize))
  })
