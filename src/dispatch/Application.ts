/**
 * The Promise facade: an event store and a dispatcher for code that does not use Effect. A rejection of the domain is a value;
 * everything else that goes wrong rejects the promise with the same typed error as in Effect.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type * as Decider from "../decider/Decider.ts"
import type { Metadata, NewEvent } from "../stores/Event.ts"
import type { EventQuery } from "../stores/EventQuery.ts"
import type { AppendOptions, AppendResult, QueryResult } from "../stores/EventStore.ts"
import { EventStore } from "../stores/EventStore.ts"
import type { EventStoreError } from "../stores/EventStoreError.ts"
import { fromReason, StoreClosed } from "../stores/EventStoreError.ts"
import type { WellKnown } from "./CommandMetadata.ts"
import { withMetadata } from "./CommandMetadata.ts"
import type { DispatcherOptions, DispatchOptions, StreamDispatchOptions } from "./Dispatcher.ts"
import { Dispatcher, layer } from "./Dispatcher.ts"
import type { Outcome } from "./Outcome.ts"

/** Metadata to record with the events of one call, beside the options of dispatch. */
export interface WithMetadata {
  readonly metadata?: (WellKnown & Metadata) | undefined
}

/** An open application. Methods reject with typed errors: see `EventStoreError` and `DispatchError`. */
export interface Application {
  /** Decides the command and records what it leads to: see `Dispatcher`. */
  readonly dispatch: <Command, State, Event, Rejection>(
    decider: Decider.Decider<Command, State, Event, Rejection>,
    command: NoInfer<Command>,
    options?: DispatchOptions & WithMetadata
  ) => Promise<Outcome<State, Rejection>>
  /** Decides the command on one stream: see `Dispatcher`. */
  readonly dispatchToStream: <Command, State, Event, Rejection>(
    decider: Decider.Decider<Command, State, Event, Rejection>,
    stream: string,
    command: NoInfer<Command>,
    options?: StreamDispatchOptions & WithMetadata
  ) => Promise<Outcome<State, Rejection>>
  /** Records events without a decision: see `EventStore`. */
  readonly append: (events: ReadonlyArray<NewEvent>, options?: AppendOptions) => Promise<AppendResult>
  /** Reads what matches: see `EventStore`. */
  readonly query: (query?: EventQuery) => Promise<QueryResult>
  /** Closes the store. Idempotent. */
  readonly close: () => Promise<void>
}

/** Options of an application: its store, and those of its dispatcher. */
export interface ApplicationOptions extends DispatcherOptions {
  /** For example `MemoryStore.layer()` or `SqliteStore.layer({ file })`. */
  readonly store: Layer.Layer<EventStore, EventStoreError>
}

/** Opens the store and a dispatcher on it. Rejects with `EventStoreError` where that fails. */
export const open = async ({ store, ...options }: ApplicationOptions): Promise<Application> => {
  const runtime = ManagedRuntime.make(Layer.provideMerge(layer(options), store))
  await runtime.context()
  let isClosed = false
  const run = <A, E>(effect: Effect.Effect<A, E, Dispatcher | EventStore>, metadata?: WithMetadata["metadata"]) => {
    if (isClosed) return Promise.reject(fromReason(new StoreClosed()))
    return runtime.runPromise(metadata === undefined ? effect : withMetadata(metadata)(effect))
  }
  return {
    dispatch: (decider, command, options) =>
      run(
        Effect.flatMap(Dispatcher, (dispatcher) => dispatcher.outcome(decider, command, options)),
        options?.metadata
      ),
    dispatchToStream: (decider, stream, command, options) =>
      run(
        Effect.flatMap(Dispatcher, (dispatcher) => dispatcher.outcomeOnStream(decider, stream, command, options)),
        options?.metadata
      ),
    append: (events, options) =>
      run(
        Effect.flatMap(EventStore, (store) => store.append(events, options)),
        undefined
      ),
    query: (query) =>
      run(
        Effect.flatMap(EventStore, (store) => store.query(query)),
        undefined
      ),
    close: () => {
      isClosed = true
      return runtime.dispose()
    }
  }
}
