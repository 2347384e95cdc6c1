/** The race: more buyers than seats, many of them at once. Never may more tickets be sold than there are seats. */
import { dispatch, dispatchConflicts, EventStore } from "evolvent"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { buyTicket } from "./buyTicket.ts"
import { SaleId, TicketEvents, TicketId } from "./events.ts"
import { openSale } from "./openSale.ts"

export interface RaceOptions {
  readonly saleId: string
  readonly buyers: number
  readonly capacity: number
  readonly concurrency: number
  /** Tells the buyers of several races in one sale from each other. */
  readonly name: string
  /** Called after every answer. */
  readonly onProgress?: (accepted: number, soldOut: number) => void
}

export interface RaceResult {
  /** Commands dispatched, one a buyer. */
  readonly attempts: number
  readonly accepted: number
  readonly soldOut: number
  /** `TicketSold` events of the sale in the log, those of other races included. */
  readonly recordedEvents: number
  /** Appends that found the context changed by another process. */
  readonly conflicts: number
  /** Milliseconds from the first command to the last answer. */
  readonly elapsedMs: number
}

export const race = (options: RaceOptions) =>
  Effect.gen(function* () {
    const { buyers, capacity, concurrency, name, onProgress } = options
    const saleId = SaleId.make(options.saleId)
    const store = yield* EventStore
    yield* dispatch(openSale, { saleId, capacity })
    const conflictsBefore = (yield* Metric.value(dispatchConflicts)).count
    const start = yield* Clock.currentTimeNanos
    let accepted = 0
    let soldOut = 0
    yield* Effect.forEach(
      Array.from({ length: buyers }, (_, index) => `${name}-${index + 1}`),
      (buyer) =>
        dispatch(buyTicket, { saleId, ticketId: TicketId.make(`ticket-of-${buyer}`), buyer }).pipe(
          Effect.tap(() => Effect.sync(() => accepted++)),
          Effect.catchTag("SoldOut", () => Effect.sync(() => soldOut++)),
          Effect.tap(() => Effect.sync(() => onProgress?.(accepted, soldOut)))
        ),
      { concurrency, discard: true }
    )
    const elapsedMs = Number((yield* Clock.currentTimeNanos) - start) / 1e6
    const { eventRecords } = yield* store.query(TicketEvents.query("TicketSold", { saleId }))
    const result: RaceResult = {
      attempts: buyers,
      accepted,
      soldOut,
      recordedEvents: eventRecords.length,
      conflicts: (yield* Metric.value(dispatchConflicts)).count - conflictsBefore,
      elapsedMs: Math.round(elapsedMs * 10) / 10
    }
    return result
  })

/** What is wrong with a race's result; `undefined` when the promises were kept. */
export const broken = (
  { accepted, attempts, recordedEvents, soldOut }: RaceResult,
  capacity: number
): string | undefined => {
  if (recordedEvents > capacity) return `${recordedEvents} tickets were sold for ${capacity} seats`
  if (accepted + soldOut !== attempts) return `${attempts} buyers got ${accepted + soldOut} answers`
  if (accepted > recordedEvents)
    return `${accepted} buyers were told that they have a ticket, ${recordedEvents} are recorded`
  if (soldOut > 0 && recordedEvents < capacity)
    return `a buyer was turned away though ${capacity - recordedEvents} seats were left`
  return undefined
}
