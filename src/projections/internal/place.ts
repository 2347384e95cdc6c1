/** Where handlers and hooks work. */
import type * as Effect from "effect/Effect"
import type { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import type { Transaction } from "../../stores/Workspace.ts"
import type { Place, Projection } from "../Projection.ts"

/** Milliseconds that a transaction may be idle at least: a process that is starved is not frozen. */
const leastIdle = 1_000

/** A transaction in which handlers or hooks work. That of a frozen worker ends with its lease. */
export const inTransaction = <A, E, R>(
  store: EventStore,
  { version }: Projection<unknown>,
  leaseMs: number,
  work: (transaction: Transaction, place: Place) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | EventStoreError, R> =>
  store.workspace.transaction((transaction) => work(transaction, { ...transaction.sql!, version }), {
    idleMs: Math.max(leaseMs, leastIdle)
  })
