/** What dispatching a command comes to: outcomes, and the failures that are dispatch's own. */
import * as Schema from "effect/Schema"
import type { DecodeError, EncodeError } from "../decider/EventCatalog.ts"
import type { EventRecord } from "../stores/Event.ts"
import type { EventStoreError } from "../stores/EventStoreError.ts"

/** The command was accepted and its events are recorded. */
export interface Accepted<State> {
  readonly _tag: "Accepted"
  /** One committed batch. */
  readonly eventRecords: ReadonlyArray<EventRecord>
  /** The decision state after the command. */
  readonly state: State
  /** The last number of the batch: what to wait for in order to read one's own write. */
  readonly position: number
  /**
   * How often the command was decided: 1, and one more for every time that the context had changed. Usually 0 for a repetition
   * under an idempotency key.
   */
  readonly attempts: number
}

/** The command was accepted and led to no event. */
export interface NothingToDo<State> {
  readonly _tag: "NothingToDo"
  readonly state: State
  /** The version of the context that was decided on, `null` for an empty one. */
  readonly position: number | null
  readonly attempts: number
}

/** The domain said no. */
export interface Rejected<Rejection> {
  readonly _tag: "Rejected"
  readonly rejection: Rejection
  readonly attempts: number
}

/** What a command that is not rejected comes to. */
export type Done<State> = Accepted<State> | NothingToDo<State>

/** What a command comes to. */
export type Outcome<State, Rejection> = Done<State> | Rejected<Rejection>

const Event = Schema.Struct({ sequenceNumber: Schema.Number, eventType: Schema.String })

/** Others kept changing the context, from other processes or with overlapping contexts: the attempts, or the time, ran out. Nothing was recorded. */
export class RetriesExhausted extends Schema.TaggedError<RetriesExhausted>("evolvent/RetriesExhausted")(
  "RetriesExhausted",
  {
    decider: Schema.String,
    attempts: Schema.Number,
    ranOutOf: Schema.Literals(["attempts", "time"]),
    /** The last events, at most ten, that changed the context while the command was being decided. */
    inTheWay: Schema.Array(Event)
  }
) {
  override get message() {
    const events = this.inTheWay.map(({ eventType, sequenceNumber }) => `${eventType} at ${sequenceNumber}`).join(", ")
    return (
      `${this.decider} ran out of ${this.ranOutOf} after ${this.attempts} attempts` +
      `${events === "" ? "" : `; in the way stood ${events}`}. Dispatch it again, or make its context smaller.`
    )
  }
}

/** The stream is not at the revision that the caller expected. Nothing was recorded. */
export class WrongRevision extends Schema.TaggedError<WrongRevision>("evolvent/WrongRevision")("WrongRevision", {
  stream: Schema.String,
  expected: Schema.NullOr(Schema.Number),
  actual: Schema.NullOr(Schema.Number)
}) {
  override get message() {
    return `The stream ${JSON.stringify(this.stream)} is at ${this.actual}, not ${this.expected}: read it again.`
  }
}

/** Too many commands wait for the same context. The command was not looked at. */
export class Overloaded extends Schema.TaggedError<Overloaded>("evolvent/Overloaded")("Overloaded", {
  decider: Schema.String,
  waiting: Schema.Number
}) {
  override get message() {
    return `${this.waiting} commands wait for the context of ${this.decider}: try again later.`
  }
}

/** Why dispatch failed, other than by a rejection of the domain. */
export type DispatchError = EventStoreError | DecodeError | EncodeError | RetriesExhausted | Overloaded
