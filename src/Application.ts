/**
 * The Promise facade: an event store, a dispatcher, projections and outboxes for code that does not use Effect. A rejection of
 * the domain is a value; everything else that goes wrong rejects the promise with the same typed error as in Effect.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type * as Decider from "./decider/Decider.ts"
import type { DeadReaction, Outbox, OutboxStatus, RunningOutbox } from "./projections/Outbox.ts"
import { run as runOutbox } from "./projections/OutboxWorker.ts"
import type { Projection } from "./projections/Projection.ts"
import type { ProjectionStatus } from "./projections/ProjectionStatus.ts"
import { layer as layerProjectionWorker, ProjectionWorker } from "./projections/ProjectionWorker.ts"
import type { Metadata, NewEvent } from "./stores/Event.ts"
import type { EventQuery } from "./stores/EventQuery.ts"
import type { AppendOptions, AppendResult, QueryResult } from "./stores/EventStore.ts"
import { EventStore } from "./stores/EventStore.ts"
import type { EventStoreError } from "./stores/EventStoreError.ts"
import { fromReason, StoreClosed } from "./stores/EventStoreError.ts"
import type { WellKnown } from "./dispatch/CommandMetadata.ts"
import { withMetadata } from "./dispatch/CommandMetadata.ts"
import type { DispatcherOptions, DispatchOptions, StreamDispatchOptions } from "./dispatch/Dispatcher.ts"
import { Dispatcher, layer } from "./dispatch/Dispatcher.ts"
import type { Outcome } from "./dispatch/Outcome.ts"

/** Metadata to record with the events of one call, beside the options of dispatch. */
export interface WithMetadata {
  readonly metadata?: (WellKnown & Metadata) | undefined
}

/** The projections of an application: see `ProjectionWorker`. */
export type ProjectionPromises = {
  readonly [Method in Exclude<keyof ProjectionWorker, "statuses">]: (
    ...parameters: Parameters<ProjectionWorker[Method]>
  ) => Promise<Effect.Success<ReturnType<ProjectionWorker[Method]>>>
} & {
  readonly statuses: () => Promise<ReadonlyArray<ProjectionStatus>>
}

/** An outbox of an application: see `RunningOutbox`. */
export interface OutboxPromises<Reaction> {
  readonly status: () => Promise<OutboxStatus>
  readonly settled: (...parameters: Parameters<RunningOutbox<Reaction>["settled"]>) => Promise<void>
  readonly resume: () => Promise<void>
  readonly dead: (
    ...parameters: Parameters<RunningOutbox<Reaction>["dead"]>
  ) => Promise<ReadonlyArray<DeadReaction<Reaction>>>
  readonly revive: (...parameters: Parameters<RunningOutbox<Reaction>["revive"]>) => Promise<number>
  readonly drop: (...parameters: Parameters<RunningOutbox<Reaction>["drop"]>) => Promise<number>
}

/** An outbox whose effects, where it has any, need no more than the application has. */
export type ApplicationOutbox<Reaction> = Outbox<Reaction, Dispatcher | EventStore>

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
  /** The projections that this process runs, and what can be asked of them. */
  readonly projections: ProjectionPromises
  /** What can be asked of an outbox that this process runs. Throws for one that it does not run. */
  readonly outbox: <Reaction>(outbox: ApplicationOutbox<Reaction>) => OutboxPromises<Reaction>
  /** Lets running handlers and effects finish, and closes the store. Idempotent. */
  readonly close: () => Promise<void>
}

/** Options of an application: its store, those of its dispatcher, and the projections and outboxes to run. */
export interface ApplicationOptions extends DispatcherOptions {
  /** For example `MemoryStore.layer()` or `SqliteStore.layer({ file })`. */
  readonly store: Layer.Layer<EventStore, EventStoreError>
  /** Their handlers and hooks return nothing or a promise, or an effect that needs nothing. Default: none. */
  readonly projections?: ReadonlyArray<Projection> | undefined
  /** Carry a reaction out with nothing, a promise, or an effect that may dispatch. Default: none. */
  readonly outboxes?: ReadonlyArray<ApplicationOutbox<any>> | undefined
  /** How long after its end this process counts as gone to projections: see `ProjectionWorkerOptions`. */
  readonly lease?: Duration.Input | undefined
}

/**
 * Opens the store and a dispatcher on it, and starts the projections and outboxes. Rejects with `EventStoreError` where that
 * fails, or with `HookFailed` or `UnfitProjection` for a projection.
 */
export const open = async ({
  lease,
  outboxes = [],
  projections = [],
  store,
  ...options
}: ApplicationOptions): Promise<Application> => {
  const services = Layer.merge(layer(options), layerProjectionWorker({ projections, lease }))
  const running = new Map<ApplicationOutbox<any>, RunningOutbox<any>>()
  const runOutboxes = Layer.effectDiscard(
    Effect.forEach(outboxes, (outbox) => Effect.map(runOutbox(outbox), (one) => running.set(outbox, one)))
  )
  const runtime = ManagedRuntime.make(runOutboxes.pipe(Layer.provideMerge(services), Layer.provideMerge(store)))
  // What has started already ends with a start that fails.
  await runtime.context().catch((error: unknown) => runtime.dispose().then(() => Promise.reject(error)))
  let isClosed = false
  const run = <A, E>(
    effect: Effect.Effect<A, E, Dispatcher | EventStore | ProjectionWorker>,
    metadata?: WithMetadata["metadata"]
  ) => {
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
    projections: promises((ask) => run(Effect.flatMap(ProjectionWorker, ask))),
    outbox: (outbox) => {
      const one = running.get(outbox)
      if (one === undefined) throw new Error("the application does not run this outbox: add it to the option outboxes")
      return outboxPromises(one, run)
    },
    close: () => {
      isClosed = true
      return runtime.dispose()
    }
  }
}

/** What can be asked of a worker, with promises. */
const promises = (
  run: <A, E>(ask: (worker: ProjectionWorker) => Effect.Effect<A, E>) => Promise<A>
): ProjectionPromises => ({
  status: (...parameters) => run(({ status }) => status(...parameters)),
  statuses: () => run(({ statuses }) => statuses),
  waitFor: (...parameters) => run(({ waitFor }) => waitFor(...parameters)),
  pause: (...parameters) => run(({ pause }) => pause(...parameters)),
  resume: (...parameters) => run(({ resume }) => resume(...parameters)),
  rebuild: (...parameters) => run(({ rebuild }) => rebuild(...parameters)),
  deadLetters: (...parameters) => run(({ deadLetters }) => deadLetters(...parameters)),
  replay: (...parameters) => run(({ replay }) => replay(...parameters)),
  discard: (...parameters) => run(({ discard }) => discard(...parameters))
})

/** What can be asked of an outbox, with promises. */
const outboxPromises = <Reaction>(
  outbox: RunningOutbox<Reaction>,
  run: <A, E>(effect: Effect.Effect<A, E>) => Promise<A>
): OutboxPromises<Reaction> => ({
  status: () => run(outbox.status),
  settled: (...parameters) => run(outbox.settled(...parameters)),
  resume: () => run(outbox.resume),
  dead: (...parameters) => run(outbox.dead(...parameters)),
  revive: (...parameters) => run(outbox.revive(...parameters)),
  drop: (...parameters) => run(outbox.drop(...parameters))
})
