/** Wrong ways to sell tickets: handlers that decide on what they have read themselves, outside of the decider's query. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { BuyTicket } from "../../examples/tickets/buyTicket.ts"
import { buyTicket, SoldOut } from "../../examples/tickets/buyTicket.ts"
import { TicketEvents } from "../../examples/tickets/events.ts"
import { seats } from "../../examples/tickets/seatsLeft.ts"
import * as Decider from "../../src/decider/Decider.ts"
import * as View from "../../src/decider/View.ts"
import type { EventStore } from "../../src/stores/EventStore.ts"
import type { Serialisability } from "../../src/testing/index.ts"

const readSeats = (store: EventStore, { saleId }: BuyTicket) =>
  Effect.map(store.query(seats(saleId).query), ({ eventRecords }) =>
    Result.getOrThrow(View.fold(seats(saleId), eventRecords))
  )

const ofTicket = ({ saleId, ticketId }: BuyTicket) => TicketEvents.query("TicketSold", { saleId, ticketId })

/** Reads the seats first, and hands them to the decider in the command. */
export const readBeforehand: Serialisability.Via<BuyTicket> = ({ dispatcher, store }, command) =>
  Effect.flatMap(readSeats(store, command), (read) => dispatcher.outcome(buyWith, { ...command, ...read }))

const buyWith = Decider.make({
  name: "BuyTicketWith",
  events: TicketEvents,
  context: (command: BuyTicket & View.StateOf<ReturnType<typeof seats>>) => ofTicket(command),
  initial: {},
  evolve: {},
  decide: ({ buyer, capacity, saleId, sold, ticketId }) =>
    sold < capacity
      ? Decider.accept(TicketEvents.TicketSold({ saleId, ticketId, buyer }))
      : Decider.reject(new SoldOut({ saleId, capacity }))
})

/** Keeps the seats in a variable that the decider looks at. */
export const readIntoVariable = (): Serialisability.Via<BuyTicket> => {
  let known = { capacity: 0, sold: 0 }
  const buyFromVariable = Decider.make({
    name: "BuyTicketFromVariable",
    events: TicketEvents,
    context: ofTicket,
    initial: {},
    evolve: {},
    decide: (command: BuyTicket) => buyTicket.decide(command, known)
  })
  return ({ dispatcher, store }, command) =>
    Effect.flatMap(readSeats(store, command), (read) => {
      known = read
      return dispatcher.outcome(buyFromVariable, command)
    })
}
