/** A projection in a worker: its parts, its hooks, and what can be asked of it. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as EventQuery from "../../stores/EventQuery.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import type { StreamStatus } from "../../stores/EventStream.ts"
import type { Place, Projection } from "../Projection.ts"
import { HookFailed, UnfitProjection } from "../ProjectionError.ts"
import type { PartitionStatus, ProjectionStatus } from "../ProjectionStatus.ts"
import { carriedOut } from "./handling.ts"
import { identityOf, placeOf, ProjectionPart } from "./ProjectionPart.ts"

/** Milliseconds between two looks at what other workers do. */
const lookInterval = 1_000

/** From the worst to the best. */
const states: ReadonlyArray<StreamStatus["state"]> = [
  "stopped",
  "retrying",
  "paused",
  "unsubscribed",
  "waiting",
  "running"
]

type Hook = "setup" | "reset" | "activate"

export class RunningProjection<R = never> {
  readonly projection: Projection<R>
  private readonly store: EventStore
  private readonly parts: ReadonlyArray<ProjectionPart<R>>

  constructor(store: EventStore, projection: Projection<R>, leaseMs: number) {
    this.store = store
    this.projection = projection
    this.parts = Array.from(
      { length: projection.partitions },
      (_, partition) => new ProjectionPart(store, projection, partition, leaseMs)
    )
  }

  /** Sets the query model up and starts to follow the log. Ends with the scope: what is under way is finished first. */
  readonly start: Effect.Effect<void, EventStoreError | HookFailed | UnfitProjection, R | Scope.Scope> = Effect.gen(
    { self: this },
    function* () {
      yield* this.setUp
      yield* Effect.addFinalizer(() => this.stop)
      for (const part of this.parts) yield* part.start
      yield* Effect.forkScoped(Effect.ignore(this.activateWhenCaughtUp))
      if (this.projection.onFailure === "park") yield* Effect.forkScoped(this.lookForReplays)
    }
  )

  /** Starts what has stopped again, and resumes what is paused. */
  readonly resume: Effect.Effect<void, EventStoreError, R> = Effect.gen({ self: this }, function* () {
    yield* this.setPaused(false)
    for (const part of this.parts) {
      const status = yield* part.following!.status
      if (status.state === "stopped") {
        yield* part.following!.ended
        yield* part.start
      } else yield* part.following!.wake
    }
  })

  /** For every worker, until it is resumed. What is under way may finish. */
  readonly pause: Effect.Effect<void, EventStoreError> = Effect.suspend(() => this.setPaused(true))

  /** Empties the query model and starts over at the beginning, wherever it runs. */
  readonly rebuild: Effect.Effect<void, EventStoreError | HookFailed, R> = Effect.gen({ self: this }, function* () {
    const { isTransactional } = this.projection
    const hooks = (place: Place) => Effect.andThen(this.hook("reset", place), this.hook("setup", place))
    yield* this.store.workspace.transaction((transaction) =>
      Effect.gen({ self: this }, function* () {
        // In the order in which a handler's transaction takes its locks: the query model first, then the cursor.
        if (isTransactional) yield* hooks(placeOf(this.projection, transaction))
        for (const cursor of this.cursors) {
          yield* transaction.cursors.reset(cursor, 0)
          yield* transaction.deadLetters.clear(cursor)
        }
      })
    )
    if (!isTransactional) yield* hooks(this.projection)
    yield* this.wake
  })

  /** Asks for another try of dead letters, and says of how many. */
  replay(key: string | undefined): Effect.Effect<number, EventStoreError> {
    return Effect.gen({ self: this }, function* () {
      const asked = yield* this.store.workspace.transaction(({ deadLetters }) =>
        Effect.forEach(this.cursors, (cursor) => deadLetters.requestReplay(cursor, key))
      )
      for (const part of this.parts) yield* part.lookForReplays
      return asked.reduce((sum, count) => sum + count, 0)
    })
  }

  /** The dead letters after a number, in ascending order. */
  deadLetters(after: number, limit: number) {
    return Effect.map(
      this.store.workspace.transaction(({ deadLetters }) =>
        Effect.forEach(this.cursors, (cursor) => deadLetters.list(cursor, after, limit))
      ),
      (lists) =>
        lists
          .flat()
          .sort((a, b) => a.sequenceNumber - b.sequenceNumber)
          .slice(0, limit)
    )
  }

  /** Drops dead letters: their events will never be handled. */
  discard(sequenceNumbers: ReadonlyArray<number>): Effect.Effect<void, EventStoreError> {
    return this.store.workspace.transaction(({ deadLetters }) =>
      Effect.forEach(this.cursors, (cursor) => deadLetters.remove(cursor, sequenceNumbers), { discard: true })
    )
  }

  /** Resolves when every part has come to the number, wherever it runs. */
  reached(sequenceNumber: number): Effect.Effect<void, EventStoreError> {
    return Effect.forEach(this.parts, (part) => part.following!.reached(sequenceNumber), { discard: true })
  }

  readonly position: Effect.Effect<number> = Effect.suspend(() =>
    Effect.map(this.partitions, (all) => Math.min(...all.map(({ position }) => position)))
  )

  readonly status: Effect.Effect<ProjectionStatus, EventStoreError> = Effect.gen({ self: this }, function* () {
    const { name, version } = this.projection
    const partitions = yield* this.partitions
    const position = yield* this.position
    const headSequenceNumber = yield* this.store.workspace.head
    const active = yield* this.store.workspace.transaction(({ versions }) => versions.active(name))
    const worst = partitions.reduce((a, b) => (states.indexOf(b.state) < states.indexOf(a.state) ? b : a))
    return {
      name,
      version,
      active: active === version,
      state: worst.state,
      position,
      headSequenceNumber,
      lag: Math.max(0, headSequenceNumber - position),
      lagMs: yield* this.ageOfNext(position, headSequenceNumber),
      rate: this.parts.reduce((sum, part) => sum + part.throughput.rate, 0),
      lastError: worst.failures > 0 || worst.state === "stopped" ? worst.lastError : undefined,
      partitions
    }
  })

  private get cursors(): ReadonlyArray<string> {
    return this.parts.map(({ cursor }) => cursor)
  }

  private readonly partitions: Effect.Effect<ReadonlyArray<PartitionStatus>> = Effect.suspend(() =>
    Effect.forEach(this.parts, (part, partition) =>
      Effect.map(part.following!.status, (status): PartitionStatus => ({ partition, ...status }))
    )
  )

  private ageOfNext(position: number, head: number): Effect.Effect<number, EventStoreError> {
    if (position >= head) return Effect.succeed(0)
    return Effect.gen({ self: this }, function* () {
      const { batches } = yield* this.store.workspace.page(EventQuery.all, position, 1)
      const next = batches[0]?.[0]
      return next === undefined ? 0 : Math.max(0, (yield* Clock.currentTimeMillis) - next.occurredAt)
    })
  }

  /** The cursors are made first: their rows keep others out until the hook is done. */
  private readonly setUp = Effect.gen({ self: this }, function* () {
    const { isTransactional, name, query, start } = this.projection
    const from = start === "head" ? yield* this.store.workspace.head : 0
    const about = EventQuery.canonical(query) + identityOf(this.projection)
    yield* this.store.workspace.transaction((transaction) =>
      Effect.gen({ self: this }, function* () {
        if (isTransactional && transaction.sql === undefined) {
          const problem =
            "its query model is in the store's database, and this store has none; use Projection.elsewhere"
          return yield* new UnfitProjection({ projection: name, problem })
        }
        for (const cursor of this.cursors) yield* transaction.cursors.ensure({ cursor, query: about, start: from })
        if (isTransactional) yield* this.hook("setup", placeOf(this.projection, transaction))
      })
    )
    if (!isTransactional) yield* this.hook("setup", this.projection)
  })

  /** No handler starts any more; those that run may finish. */
  private readonly stop = Effect.suspend(() =>
    Effect.forEach(
      this.parts,
      ({ following }) =>
        following === undefined ? Effect.void : Effect.andThen(following.unsubscribe, following.ended),
      { concurrency: "unbounded", discard: true }
    )
  )

  private get wake(): Effect.Effect<void, EventStoreError> {
    return Effect.forEach(this.parts, ({ following }) => following!.wake, { discard: true })
  }

  private setPaused(paused: boolean): Effect.Effect<void, EventStoreError> {
    return Effect.andThen(
      this.store.workspace.transaction(({ cursors }) =>
        Effect.forEach(this.cursors, (cursor) => cursors.setPaused(cursor, paused), { discard: true })
      ),
      this.wake
    )
  }

  /** A new version is put in use when all of it has come as far as the log was long. */
  private readonly activateWhenCaughtUp = Effect.gen({ self: this }, function* () {
    const { name, version } = this.projection
    yield* this.reached(yield* this.store.workspace.head)
    yield* this.store.workspace.transaction((transaction) =>
      Effect.gen({ self: this }, function* () {
        if (!(yield* transaction.versions.activate(name, version))) return
        if (this.projection.isTransactional) yield* this.hook("activate", placeOf(this.projection, transaction))
      })
    )
  })

  /** Other workers may have been asked for another try. */
  private readonly lookForReplays = Effect.gen({ self: this }, function* () {
    while (true) {
      yield* Effect.sleep(Duration.millis(lookInterval))
      for (const part of this.parts) yield* part.lookForReplays
    }
  })

  private hook(hook: Hook, place: Place): Effect.Effect<void, HookFailed, R> {
    return Effect.mapError(
      carriedOut(() => this.projection[hook]?.(place)),
      (cause) => HookFailed.caused({ projection: this.projection.name, hook }, cause)
    )
  }
}
