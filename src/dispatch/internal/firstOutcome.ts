/** The answer to a command that was accepted before: what it recorded then, with the state as it was then. */
import * as Effect from "effect/Effect"
import * as View from "../../decider/View.ts"
import type { EventRecord } from "../../stores/Event.ts"
import type { EventQuery } from "../../stores/EventQuery.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import { fromReason, IdempotencyMismatch } from "../../stores/EventStoreError.ts"
import type { Accepted } from "../Outcome.ts"
import type { IdempotencyKey } from "./IdempotencyKey.ts"

/** What the command stands on: its view, and which events that is shown. */
export interface Shown {
  readonly view: View.Any
  readonly query: EventQuery
}

/** The log is append-only, so the context up to the last event of the first time is what it was. */
export const firstOutcome =
  (store: EventStore, { query, view }: Shown) =>
  (key: IdempotencyKey): IdempotencyKey["repeat"] =>
  (first, attempts) =>
    Effect.gen(function* () {
      if (!first.every((record) => key.hasLedTo(record))) {
        return yield* fromReason(new IdempotencyMismatch({ idempotencyKey: key.metadata["idempotencyKey"]! }))
      }
      const position = first[first.length - 1]!.sequenceNumber
      const context = yield* store.query(query)
      const records = context.eventRecords.filter(({ sequenceNumber }) => sequenceNumber <= position)
      const state: unknown = yield* Effect.fromResult(View.fold(view, records))
      return accepted(first, state, position, attempts)
    })

const accepted = (
  eventRecords: ReadonlyArray<EventRecord>,
  state: unknown,
  position: number,
  attempts: number
): Accepted<unknown> => ({ _tag: "Accepted", eventRecords, state, position, attempts })
