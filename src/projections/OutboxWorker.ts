/** Runs outboxes in a process: fills them, and carries out what is in them. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { EventStore } from "../stores/EventStore.ts"
import type { EventStoreError } from "../stores/EventStoreError.ts"
import { runOutbox } from "./internal/outboxRun.ts"
import type { Any, Outbox, Requirements, RunningOutbox, RunOptions } from "./Outbox.ts"

/**
 * Fills the outbox and carries out what is in it until the scope ends: then no effect starts any more, and those that run may finish.
 * Any number of processes may run the same outbox: one fills, all carry out.
 *
 * Fails with `DurableStreamActive` where this store runs the reactor already, and with `DurableStreamMismatch` where its query has
 * changed: give it a new name.
 */
export const run = <Reaction, R>(
  outbox: Outbox<Reaction, R>,
  options?: RunOptions
): Effect.Effect<RunningOutbox<Reaction>, EventStoreError, EventStore | R | Scope.Scope> =>
  Effect.flatMap(EventStore, (store) => runOutbox(store, outbox, options))

/** Runs outboxes for as long as the layer lives. */
export const layer = <Outboxes extends ReadonlyArray<Any>>(
  ...outboxes: Outboxes
): Layer.Layer<never, EventStoreError, EventStore | Exclude<Requirements<Outboxes[number]>, Scope.Scope>> =>
  Layer.effectDiscard(
    Effect.forEach(outboxes, (outbox) => run<any, Requirements<Outboxes[number]>>(outbox), { discard: true })
  )
