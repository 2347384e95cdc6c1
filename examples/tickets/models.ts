/** The query models of the sale: the worker that keeps them, and what they say when it is over. */
import { EventStore, layerProjectionWorker, ProjectionWorker } from "evolvent"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { SaleId } from "./events.ts"
import { TicketEvents } from "./events.ts"
import { myTicketsModel, ticketsHeld } from "./myTickets.ts"
import { seatsLeftInModel, seatsLeftModel } from "./seatsLeft.ts"
import type { RaceResult } from "./race.ts"
import type { StoreLocation } from "./stores.ts"

/** What the query models say of a sale. */
export interface Models {
  readonly seatsLeft: number
  readonly ticketsHeld: number
}

const projections = [seatsLeftModel, myTicketsModel]

/** The worker. The memory store has no database that query models could be in. */
export const layerModels = ({ store }: StoreLocation): Layer.Layer<ProjectionWorker, unknown, EventStore> =>
  layerProjectionWorker({ projections: store === "memory" ? [] : projections })

/** Waits until all of the sale is in the query models, and asks them; `undefined` where there are none. */
export const askModels = ({ store }: StoreLocation, saleId: SaleId) =>
  Effect.gen(function* () {
    if (store === "memory") return undefined
    const worker = yield* ProjectionWorker
    const last = yield* lastNumberOf(saleId)
    for (const projection of projections) yield* worker.waitFor(projection, last, { timeout: "1 minute" })
    const found: Models = { seatsLeft: yield* seatsLeftInModel(saleId), ticketsHeld: yield* ticketsHeld(saleId) }
    return found
  })

/** The number of the sale's last event. */
export const lastNumberOf = (saleId: SaleId) =>
  Effect.gen(function* () {
    const { currentContextVersion } = yield* (yield* EventStore).query(TicketEvents.queryAll({ saleId }))
    return currentContextVersion ?? 0
  })

/** What is wrong with the query models after a race; `undefined` when they say what the log says. */
export const brokenModels = (
  { recordedEvents }: RaceResult,
  left: number,
  said: Models | undefined
): string | undefined => {
  if (said === undefined) return undefined
  if (said.seatsLeft !== left) return `the query model says ${said.seatsLeft} seats are left, the log ${left}`
  return said.ticketsHeld === recordedEvents
    ? undefined
    : `the query model knows ${said.ticketsHeld} tickets, the log ${recordedEvents}`
}
