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
  readonly onProgress?: (answers: Answers) => void
}

/** What buyers were told. */
export interface Answers {
  readonly accepted: number
  readonly soldOut: number
  /** Told to try again, for others kept changing the sale: `RetriesExhausted`. They have no ticket. */
  readonly gaveUp: number
}

export interface RaceResult extends Answers {
  /** Commands dispatched, one a buyer. */
  readonly attempts: number
  /** `TicketSold` events of the sale in the log, those of other races included. */
  readonly recordedEvents: number
  /** Those of them that are for the buyers of this race. */
  readonly ownEvents: number
  /** Appends that found the context changed by another process. */
  readonly conflicts: number
  /** Milliseconds from the first command to the last answer. */
  readonly elapsedMs: number
}

export const race = (options: RaceOptions) =>
  Effect.gen(function* () {
    const { buyers, capacity, concurrency, name, onProgress } = options
    const saleId = SaleId.make(options.saleId)
    yield* dispatch(openSale, { saleId, capacity })
    const conflictsBefore = (yield* Metric.value(dispatchConflicts)).count
    const start = yield* Clock.currentTimeNanos
    const answers = { accepted: 0, soldOut: 0, gaveUp: 0 }
    yield* Effect.forEach(
      Array.from({ length: buyers }, (_, index) => `${name}-${index + 1}`),
      (buyer) =>
        dispatch(buyTicket, { saleId, ticketId: TicketId.make(`ticket-of-${buyer}`), buyer }).pipe(
          Effect.tap(() => Effect.sync(() => answers.accepted++)),
          Effect.catchTag("SoldOut", () => Effect.sync(() => answers.soldOut++)),
          Effect.catchTag("RetriesExhausted", () => Effect.sync(() => answers.gaveUp++)),
          Effect.tap(() => Effect.sync(() => onProgress?.({ ...answers })))
        ),
      { concurrency, discard: true }
    )
    const elapsedMs = Number((yield* Clock.currentTimeNanos) - start) / 1e6
    const owners = yield* ownersIn(saleId)
    const result: RaceResult = {
      attempts: buyers,
      ...answers,
      recordedEvents: owners.length,
      ownEvents: owners.filter((owner) => owner.startsWith(`${name}-`)).length,
      conflicts: (yield* Metric.value(dispatchConflicts)).count - conflictsBefore,
      elapsedMs: Math.round(elapsedMs * 10) / 10
    }
    return result
  })

/** Who has a ticket of the sale, as the log says: a name for each `TicketSold`. */
export const ownersIn = (saleId: SaleId) =>
  Effect.gen(function* () {
    const store = yield* EventStore
    const { eventRecords } = yield* store.query(TicketEvents.query("TicketSold", { saleId }))
    return eventRecords.map(({ payload }) => (payload as { readonly buyer: string }).buyer)
  })

/** What is wrong with a race's result; `undefined` when the promises were kept. */
export const broken = (result: RaceResult, capacity: number): string | undefined => {
  const { accepted, attempts, gaveUp, ownEvents, recordedEvents, soldOut } = result
  const answers = accepted + soldOut + gaveUp
  if (recordedEvents > capacity) return `${recordedEvents} tickets were sold for ${capacity} seats`
  if (answers !== attempts) return `${attempts} buyers got ${answers} answers`
  if (accepted !== ownEvents) {
    return `${accepted} buyers were told that they have a ticket, ${ownEvents} are recorded for them`
  }
  if (soldOut > 0 && recordedEvents < capacity)
    return `a buyer was turned away though ${capacity - recordedEvents} seats were left`
  return undefined
}
