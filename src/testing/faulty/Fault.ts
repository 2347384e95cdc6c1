/**
 * Faults: what can go wrong between a caller and a store that keeps the contract. None of them makes the store lie: a commit
 * whose answer is lost is `CommitUnknown` (I2), whatever fails otherwise has recorded nothing (A3).
 */
import type * as Duration from "effect/Duration"
import type { NewEvent } from "../../stores/Event.ts"
import type { EventStoreErrorReason } from "../../stores/EventStoreError.ts"
import { StoreBusy, StoreUnavailable } from "../../stores/EventStoreError.ts"

/** The call fails with this reason before it reaches the store. */
export interface Failure {
  readonly _tag: "Failure"
  readonly reason: EventStoreErrorReason
}

/** The call reaches the store late, or its answer comes late. Both at the expense of the effect's clock. */
export interface Delay {
  readonly _tag: "Delay"
  readonly before: Duration.Input
  readonly after: Duration.Input
}

/**
 * The answer to an append is lost: the caller gets `CommitUnknown`. With `committed` the append has reached the store, and
 * its events are recorded if the store accepted them; without it never did.
 */
export interface LostAnswer {
  readonly _tag: "LostAnswer"
  readonly committed: boolean
}

/**
 * A conditional append is refused with a conflict, nothing is recorded and nothing decided again under the lock. What it says of
 * the context is true at the time; it may be what the caller expected, which a store never reports (C1). An append without a
 * condition is not struck.
 */
export interface Conflict {
  readonly _tag: "Conflict"
}

/** Somebody else is quicker: these events are recorded first. A conflict, where they belong to the context. */
export interface Overtaken {
  readonly _tag: "Overtaken"
  readonly events: ReadonlyArray<NewEvent>
}

/** The handler has succeeded, which is lost: the delivery fails, as if the process had ended before the cursor moved. */
export interface LostSuccess {
  readonly _tag: "LostSuccess"
}

/** What can happen to an append. */
export type AppendFault = Failure | Delay | LostAnswer | Conflict | Overtaken
/** What can happen to a query, and to the registration of a stream. */
export type ReadFault = Failure | Delay
/** What can happen to the delivery of a batch. */
export type DeliveryFault = Failure | Delay | LostSuccess
/** Any of them. */
export type Fault = AppendFault | DeliveryFault

/** The call fails with this reason. One that may have committed belongs to `lostAnswer`. */
export const failing = (reason: EventStoreErrorReason): Failure => ({ _tag: "Failure", reason })

/** The store cannot be reached; trying again may help. */
export const unavailable: Failure = failing(
  new StoreUnavailable({ code: "FAULT", operation: "answer", retryable: true })
)

/** The store cannot be reached, and will not be. */
export const unavailableForGood: Failure = failing(
  new StoreUnavailable({ code: "FAULT", operation: "answer", retryable: false })
)

/** The store was locked by others for too long. */
export const busy: Failure = failing(new StoreBusy({ waitedMs: 1_000 }))

/** The call, or its answer, takes time. */
export const delayed = (times: { readonly before?: Duration.Input; readonly after?: Duration.Input }): Delay => ({
  _tag: "Delay",
  before: times.before ?? 0,
  after: times.after ?? 0
})

/** The answer is lost after the commit. */
export const lostAnswer: LostAnswer = { _tag: "LostAnswer", committed: true }

/** The append is lost on its way, and nobody can tell. */
export const lostAppend: LostAnswer = { _tag: "LostAnswer", committed: false }

/** The append is refused with a conflict. */
export const conflict: Conflict = { _tag: "Conflict" }

/** These events are recorded first. */
export const overtakenBy = (...events: ReadonlyArray<NewEvent>): Overtaken => ({ _tag: "Overtaken", events })

/** The delivery is forgotten after the handler has succeeded. */
export const lostSuccess: LostSuccess = { _tag: "LostSuccess" }
