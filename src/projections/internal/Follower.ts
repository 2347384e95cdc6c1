/** Follows the log under a stored cursor: started again where it has stopped, waited for wherever the cursor is moved. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
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
