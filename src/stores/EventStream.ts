/**
 * Streams: registrations that deliver committed batches, one after the other, to a handler.
 *
 * A stream pulls from the log; it never queues it. A slow handler therefore holds up nobody but itself, and memory stays
 * bounded (S3).
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { EventBatch } from "./Event.ts"
import type { EventStoreError } from "./EventStoreError.ts"

/** Takes one batch. The next one comes when this effect has succeeded. */
export type BatchHandler<E = never, R = never> = (batch: EventBatch) => Effect.Effect<unknown, E, R>

/** How a stream is doing. */
export interface StreamStatus {
  /**
   * - `running`: delivering, or waiting for something to deliver
   * - `waiting`: a durable stream that another process delivers; this one takes over when that one ends (D5)
   * - `paused`: a durable stream whose cursor is paused
   * - `retrying`: the handler or the store failed, and the same batch is about to be tried again
   * - `stopped`: gave up after the last retry; nothing more is delivered
   * - `unsubscribed`: ended by `unsubscribe` or by closing the store
   */
  readonly state: "running" | "waiting" | "paused" | "retrying" | "stopped" | "unsubscribed"
  /** Every event up to this number has been delivered, or did not match. */
  readonly position: number
  /** How often the batch that is due has failed so far. */
  readonly failures: number
  /** What the handler or the store failed with last, as `Cause.squash` gives it; never printed by the store itself. */
  readonly lastError: unknown
}

/** An active registration. */
export interface EventStream {
  /** Ends the registration: no new delivery starts, one under way may finish (S4). Idempotent. */
  readonly unsubscribe: Effect.Effect<void>
  readonly status: Effect.Effect<StreamStatus>
  /**
   * Resolves when everything that the log held at the time of the call has been delivered, or did not match. Fails with
   * `StoreClosed` when the stream ends before.
   */
  readonly caughtUp: Effect.Effect<void, EventStoreError>
}

/** Options of a registration. */
export interface StreamOptions {
  /**
   * When a failed batch is tried again; when the schedule ends, the stream stops. Default: 10 times with exponential
   * back-off from 50 ms, at most 5 s apart.
   */
  readonly retry?: Schedule.Schedule<unknown, unknown> | undefined
}

/** Options of a durable registration. A store that is unavailable is waited for, however long it takes; it uses up no retries. */
export interface DurableStreamOptions extends StreamOptions {
  /** Where a stream of a new name starts; one that is known goes on where it was. Default: at the beginning of the log. */
  readonly start?: "beginning" | "head" | undefined
  /**
   * How long after its end, or its last sign of life, a process counts as gone; the others take over within this time and a quarter of
   * a second more. 100 milliseconds to a day. Default: 5 seconds.
   */
  readonly lease?: Duration.Input | undefined
}
