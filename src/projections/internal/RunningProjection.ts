/** A projection in a worker: its parts, what tends them, and what can be asked of it. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as EventQuery from "../../stores/EventQuery.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import type { StreamStatus } from "../../stores/EventStream.ts"
import type { Projection } from "../Projection.ts"
import type { HookFailed, UnfitProjection } from "../ProjectionError.ts"
import type { PartitionStatus, ProjectionStatus } from "../ProjectionStatus.ts"
import { FollowerGroup } from "./Follower.ts"
import { Hooks } from "./Hooks.ts"
import { ProjectionPart } from "./ProjectionPart.ts"

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

/** When an `activate` that failed is tried again: 1 to 30 seconds apart, for ever. */
const activation = Schedule.exponential("1 second").pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, Duration.seconds(30))))
)

/** A process that was frozen for too long has lost its turn; setting up may happen again. */
const isFenced = (error: EventStoreError | HookFailed | UnfitProjection): boolean =>
  error._tag === "EventStoreError" && error.reason._tag === "Fenced"

export class RunningProjection<R = never> {
  readonly projection: Projection<R>
  private readonly store: EventStore
  private readonly parts: ReadonlyArray<ProjectionPart<R>>
  private readonly followers: FollowerGroup<R>
  private readonly hooks: Hooks<R>
  /** The version in use, as it was a moment ago: to ask would have to wait for handlers where the database has one writer. */
  private activeVersion = 0
  /** What putting this version in use has failed with last. */
  private activationError: unknown

  constructor(store: EventStore, projection: Projection<R>, leaseMs: number) {
    this.store = store
    this.projection = projection
    this.parts = Array.from(
      { length: projection.partitions },
      (_, partition) => new ProjectionPart(store, projection, partition, leaseMs)
    )
    this.followers = new FollowerGroup(this.parts.map(({ follower }) => follower))
    this.hooks = new Hooks(store, projection, leaseMs, this.cursors)
  }

  /** Sets the query model up, starts to follow the log, and looks after that until the scope ends. */
  readonly start: Effect.Effect<void, EventStoreError | HookFailed | UnfitProjection, R | Scope.Scope> = Effect.gen(
    { self: this },
    function* () {
      yield* Effect.retry(this.hooks.setUp, { while: isFenced, times: 3 })
      this.activeVersion = yield* this.hooks.activeVersion
      yield* this.followers.start
      yield* Effect.forkScoped(this.activate)
      yield* Effect.forkScoped(this.tend)
    }
  )

  /** No handler starts any more, at once; resolves when those that run have finished. */
  get stop(): Effect.Effect<void> {
    return this.followers.stop
  }

  /** Resumes what is paused, and starts what has stopped again. */
  get resume(): Effect.Effect<void, EventStoreError, R> {
    return Effect.andThen(this.hooks.setPaused(false), this.followers.startAgain)
  }

  /** For every worker, until it is resumed. What is under way may finish. */
  get pause(): Effect.Effect<void, EventStoreError, R> {
    return Effect.andThen(this.hooks.setPaused(true), this.wake)
  }

  /** Empties the query model and starts over at the beginning, wherever it runs. */
  get rebuild(): Effect.Effect<void, EventStoreError | HookFailed, R> {
    return Effect.andThen(this.hooks.rebuild(this.wake), this.followers.startAgain)
  }

  /** Asks for another try of dead letters, and says of how many. */
  replay(key: string | undefined): Effect.Effect<number, EventStoreError> {
    return Effect.gen({ self: this }, function* () {
      const asked = yield* this.store.workspace.transaction(({ deadLetters }) =>
        Effect.forEach(this.cursors, (cursor) => deadLetters.requestReplay(cursor, key))
      )
      for (const { replaying } of this.parts) replaying?.ask()
      yield* this.wake
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
    return this.followers.reached(sequenceNumber)
  }

  readonly position: Effect.Effect<number> = Effect.suspend(() => Effect.map(this.partitions, leastPosition))

  readonly status: Effect.Effect<ProjectionStatus, EventStoreError> = Effect.gen({ self: this }, function* () {
    const { name, version } = this.projection
    const headBefore = yield* this.store.workspace.head
    // From here on nothing is waited for until the end: what was handled while the head was read is no lag.
    const partitions = yield* this.partitions
    const position = leastPosition(partitions)
    const headSequenceNumber = Math.max(headBefore, ...partitions.map((partition) => partition.position))
    const worst = partitions.reduce((a, b) => (states.indexOf(b.state) < states.indexOf(a.state) ? b : a))
    const status = {
      name,
      version,
      active: this.activeVersion === version,
      state: worst.state,
      position,
      headSequenceNumber,
      lag: headSequenceNumber - position,
      rate: this.parts.reduce((sum, part) => sum + part.throughput.rate, 0),
      lastError: worst.failures > 0 || worst.state === "stopped" ? worst.lastError : this.activationError,
      partitions
    }
    return { ...status, lagMs: yield* this.ageOfNext(position, headSequenceNumber) }
  })

  private get cursors(): ReadonlyArray<string> {
    return this.parts.map(({ cursor }) => cursor)
  }

  private readonly partitions: Effect.Effect<ReadonlyArray<PartitionStatus>> = Effect.suspend(() =>
    Effect.forEach(this.parts, (part, partition) =>
      Effect.map(part.follower.following!.status, (status): PartitionStatus => ({ partition, ...status }))
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

  private get wake(): Effect.Effect<void, EventStoreError> {
    return Effect.forEach(this.parts, ({ follower }) => follower.following!.wake, { discard: true })
  }

  /** A new version is put in use when all of it has come as far as the log was long. */
  private readonly activate: Effect.Effect<void, never, R> = Effect.gen({ self: this }, function* () {
    if (this.activeVersion >= this.projection.version) return
    yield* this.reached(yield* this.store.workspace.head)
    yield* this.hooks.activate
    this.activationError = undefined
    this.activeVersion = yield* this.hooks.activeVersion
  }).pipe(
    Effect.tapError((error) => Effect.sync(() => (this.activationError = error))),
    Effect.retry(activation),
    Effect.ignore
  )

  /** Looks after what other workers have done: came past what has stopped here, asked for another try, put a version in use. */
  private readonly tend: Effect.Effect<never, never, R> = Effect.gen({ self: this }, function* () {
    const tended = Effect.gen({ self: this }, function* () {
      yield* this.followers.rejoin
      for (const { follower, replaying } of this.parts) {
        if (replaying === undefined || (yield* follower.following!.status).state === "waiting") continue
        if (!(yield* this.store.workspace.transaction((transaction) => replaying.isAskedIn(transaction)))) continue
        replaying.ask()
        yield* follower.following!.wake
      }
      this.activeVersion = yield* this.hooks.activeVersion
    })
    while (true) {
      yield* Effect.sleep(Duration.millis(lookInterval))
      yield* Effect.exit(tended)
    }
  })
}

const leastPosition = (partitions: ReadonlyArray<PartitionStatus>): number =>
  Math.min(...partitions.map(({ position }) => position))
