/** A store whose calls are counted and can be interfered with: how tests look at what dispatch asks of a store. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Dispatcher, DispatcherOptions } from "../../src/dispatch/Dispatcher.ts"
import * as Dispatch from "../../src/dispatch/Dispatcher.ts"
import type { EventQuery } from "../../src/stores/EventQuery.ts"
import { EventStore } from "../../src/stores/EventStore.ts"
import type { EventStoreError } from "../../src/stores/EventStoreError.ts"
import * as MemoryStore from "../../src/stores/memory/MemoryStore.ts"

export interface WatchedStore {
  /** What the dispatcher is given. */
  readonly store: EventStore
  /** The store itself: what another process would use. */
  readonly foreign: EventStore
  readonly queries: ReadonlyArray<EventQuery | undefined>
  /** Batches of every call of `appendBatchesIf`. */
  readonly appends: ReadonlyArray<number>
  /** Whether decisions are revised under the store's lock. Default: false, as in a store across a network. */
  revises: boolean
  /** Runs before every append; its failure is the append's. */
  beforeAppend: (batches: number, context: EventQuery) => Effect.Effect<unknown, EventStoreError>
  /** Runs after every append that succeeded; its failure takes the place of the answer. */
  afterAppend: Effect.Effect<unknown, EventStoreError>
  beforeQuery: Effect.Effect<unknown, EventStoreError>
}

export const watch = (foreign: EventStore): WatchedStore => {
  const queries: Array<EventQuery | undefined> = []
  const appends: Array<number> = []
  const store: EventStore = {
    ...foreign,
    query: (query) =>
      Effect.suspend(() => {
        queries.push(query)
        return Effect.andThen(watched.beforeQuery, foreign.query(query))
      }),
    appendBatchesIf: (batches, context, expected, { revise, ...options } = {}) =>
      Effect.suspend(() => {
        appends.push(batches.length)
        return watched.beforeAppend(batches.length, context)
      }).pipe(
        Effect.andThen(() =>
          foreign.appendBatchesIf(batches, context, expected, watched.revises ? { revise, ...options } : options)
        ),
        Effect.tap(() => watched.afterAppend)
      )
  }
  const watched: WatchedStore = {
    store,
    foreign,
    queries,
    appends,
    revises: false,
    beforeAppend: () => Effect.void,
    afterAppend: Effect.void,
    beforeQuery: Effect.void
  }
  return watched
}

export interface Watched extends Dispatcher {
  readonly watched: WatchedStore
}

/** A dispatcher on a store. */
export const dispatcherOn = (
  store: EventStore,
  options: DispatcherOptions = {}
): Effect.Effect<Dispatcher, EventStoreError, Scope.Scope> =>
  Effect.provideService(Dispatch.make(options), EventStore, store)

/** A dispatcher on a watched store in memory. */
export const watchedDispatcher = (
  options: DispatcherOptions = {},
  storeOptions: MemoryStore.StoreOptions = {}
): Effect.Effect<Watched, EventStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const watched = watch(yield* MemoryStore.make(storeOptions))
    return { ...(yield* dispatcherOn(watched.store, options)), watched }
  })

/** A place where somebody is held up until the gate opens. */
export interface Gate {
  /** Arrives, and waits for the gate to open. */
  readonly pass: Effect.Effect<void>
  /** Resolves when somebody has arrived. */
  readonly reached: Effect.Effect<void>
  readonly open: Effect.Effect<void>
}

export const makeGate: Effect.Effect<Gate> = Effect.gen(function* () {
  const arrived = yield* Deferred.make<void>()
  const opened = yield* Deferred.make<void>()
  return {
    pass: Effect.andThen(Deferred.succeed(arrived, undefined), Deferred.await(opened)),
    reached: Deferred.await(arrived),
    open: Effect.asVoid(Deferred.succeed(opened, undefined))
  }
})

/** Runs all at once. */
export const atOnce = <const Effects extends ReadonlyArray<Effect.Effect<any, any, any>>>(effects: Effects) =>
  Effect.all(effects, { concurrency: "unbounded" })

/** Starts the effect and comes back when it waits for something. */
export const started = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.forkScoped(effect, { startImmediately: true })
