/** Follows the log under stored cursors: started again where it has stopped, waited for wherever the cursor is moved. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import type { Following, FollowOptions, Workspace } from "../../stores/Workspace.ts"

/** Milliseconds between two looks at a cursor that is not followed here any more. */
const lookInterval = 250

export class Follower<R> {
  /** What is followed, or was last; `undefined` before the first start. */
  following: Following | undefined
  private readonly workspace: Workspace
  private readonly options: FollowOptions<unknown, R>

  constructor(workspace: Workspace, options: FollowOptions<unknown, R>) {
    this.workspace = workspace
    this.options = options
  }

  /** Starts to follow the log. What has started is never lost sight of. */
  readonly start: Effect.Effect<void, EventStoreError, R> = Effect.uninterruptible(
    Effect.gen({ self: this }, function* () {
      this.following = yield* this.workspace.follow(this.options)
    })
  )

  /** Starts again where it has stopped, otherwise looks at the stored cursor. */
  readonly startAgain: Effect.Effect<void, EventStoreError, R> = Effect.gen({ self: this }, function* () {
    const { ended, status, wake } = this.following!
    if ((yield* status).state !== "stopped") return yield* wake
    yield* ended
    yield* this.start
  })

  /** Where it has stopped while somebody else came past what it has failed with, it stands by again. */
  readonly rejoin: Effect.Effect<void, EventStoreError, R> = Effect.gen({ self: this }, function* () {
    const { position, state } = yield* this.following!.status
    if (state === "stopped" && (yield* this.storedPosition) > position) yield* this.startAgain
  })

  /** Resolves when the cursor has come to the number, whoever moved it. */
  reached(sequenceNumber: number): Effect.Effect<void, EventStoreError> {
    const lookUp = Effect.flatMap(this.storedPosition, (position) =>
      position >= sequenceNumber
        ? Effect.void
        : Effect.andThen(Effect.sleep(Duration.millis(lookInterval)), this.reached(sequenceNumber))
    )
    return Effect.gen({ self: this }, function* () {
      const { reached, status } = this.following!
      // Where it has stopped nobody looks at the stored cursor: what is known here may be old.
      if ((yield* status).state === "stopped") return yield* lookUp
      return yield* Effect.catchIf(
        reached(sequenceNumber),
        ({ reason }) => reason._tag === "StoreClosed",
        () => lookUp
      )
    })
  }

  private readonly storedPosition: Effect.Effect<number, EventStoreError> = Effect.suspend(() =>
    Effect.map(
      this.workspace.transaction(({ cursors }) => cursors.read([this.options.cursor])),
      ([row]) => row?.position ?? 0
    )
  )
}

/** Followers that start and end together. Nothing starts after the end. */
export class FollowerGroup<R> {
  private readonly all: ReadonlyArray<Follower<R>>
  /** They are started and stopped by one at a time. */
  private readonly starting = Semaphore.makeUnsafe(1)
  private isEnding = false

  constructor(all: ReadonlyArray<Follower<R>>) {
    this.all = all
  }

  get start(): Effect.Effect<void, EventStoreError, R> {
    return this.whileOpen(({ start }) => start)
  }

  get startAgain(): Effect.Effect<void, EventStoreError, R> {
    return this.whileOpen(({ startAgain }) => startAgain)
  }

  get rejoin(): Effect.Effect<void, EventStoreError, R> {
    return this.whileOpen(({ rejoin }) => rejoin)
  }

  /** Nothing is delivered any more, at once; resolves when what is being delivered is done with. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    this.isEnding = true
    const unsubscribe = Effect.suspend(() =>
      Effect.forEach(this.all, ({ following }) => following?.unsubscribe ?? Effect.void)
    )
    const ended = Effect.suspend(() =>
      Effect.forEach(this.all, ({ following }) => following?.ended ?? Effect.void, { concurrency: "unbounded" })
    )
    // One that is about to start is waited for and ended too.
    return Effect.andThen(unsubscribe, this.starting.withPermit(Effect.andThen(unsubscribe, ended))).pipe(Effect.asVoid)
  })

  /** Resolves when every cursor has come to the number. */
  reached(sequenceNumber: number): Effect.Effect<void, EventStoreError> {
    return Effect.forEach(this.all, (follower) => follower.reached(sequenceNumber), { discard: true })
  }

  private whileOpen(work: (follower: Follower<R>) => Effect.Effect<void, EventStoreError, R>) {
    return this.starting.withPermit(
      Effect.forEach(this.all, (follower) => (this.isEnding ? Effect.void : work(follower)), { discard: true })
    )
  }
}
