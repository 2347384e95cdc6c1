/**
 * What a store has to bring: reading and committing input that is valid already. `makeEventStore` turns it into the public
 * contract, so validation, the order of checks, batches under one check and streams are the same everywhere.
 */
import type * as Effect from "effect/Effect"
import type { AppendResult } from "../EventStore.ts"
import type * as Result from "effect/Result"
import type { ConditionalAppendConflict, EventStoreErrorReason } from "../EventStoreError.ts"
import type { Workspace } from "../Workspace.ts"
import type { Idempotency } from "./idempotency.ts"
import type { EventPath, NormalisedEvent } from "./normaliseEvents.ts"
import type { NormalisedQuery } from "./normaliseQuery.ts"
import type { LogReading } from "./reading.ts"

/** The context that a conditional append stands on. */
export interface AppendCondition {
  readonly query: NormalisedQuery
  readonly expected: number | null
  /** The head up to which the caller vouches for `expected`; `undefined` where it did not say. */
  readonly seenHead: number | undefined
  readonly conflictTail: boolean
  /** The batches to commit instead of those that conflict; `undefined` where there are none to try. */
  readonly revise: ((conflict: ConditionalAppendConflict) => Revision) | undefined
}

/** Checked batches, or why they are refused; `undefined` where the conflict stands. */
export type Revision = Result.Result<ReadonlyArray<ReadonlyArray<NormalisedEvent>>, EventStoreErrorReason> | undefined

/** One or more batches under one condition, committed together or not at all. */
export interface AppendRequest {
  readonly batches: ReadonlyArray<ReadonlyArray<NormalisedEvent>>
  readonly condition: AppendCondition | undefined
  /** The key under which the one batch may be repeated (I1); `undefined` for several batches. */
  readonly idempotency: Idempotency | undefined
  /** How to name an event in an error. */
  readonly pathOf: EventPath
}

export interface StoreBackend {
  readonly maxPayloadBytes: number
  /** Milliseconds since the Unix epoch; goes into generated ids. */
  readonly currentMillis: () => number
  readonly reading: LogReading
  /** One result a batch. */
  readonly commit: (request: AppendRequest) => Effect.Effect<ReadonlyArray<AppendResult>, EventStoreErrorReason>
  readonly transaction: Workspace["transaction"]
  /** Resolves when the log may have grown past `after`, or the store was closed. Only a hint, but never lost. */
  readonly awaitChange: (after: number) => Effect.Effect<void>
  readonly isClosed: () => boolean
}
