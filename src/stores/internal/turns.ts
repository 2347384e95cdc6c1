/**
 * Turns: work that is done by one process at a time, under a lease of its own. Like a stream's cursor, so that it ends in the same way
 * when the process does.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { EventStoreError } from "../EventStoreError.ts"
import { CursorAheadOfLog, Fenced, fromReason } from "../EventStoreError.ts"
import type { HeldLease, TurnOptions, Workspace } from "../Workspace.ts"
import { makeEventId } from "./eventId.ts"
import type { StoreBackend } from "./StoreBackend.ts"

/** Milliseconds between two looks at a turn that somebody else has. */
const askInterval = 25

export const turns =
  (backend: StoreBackend): Workspace["inTurn"] =>
  (options, work) =>
    // What was taken is given back, whenever the interruption comes.
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const turn = new Turn(backend, options, yield* claim(backend, options, restore))
        return yield* restore(Effect.raceFirst(work(turn), turn.keep)).pipe(Effect.ensuring(turn.giveBack))
      })
    )

/** A turn that was taken. */
class Turn implements HeldLease {
  private readonly backend: StoreBackend
  private readonly options: TurnOptions
  private readonly epoch: number

  constructor(backend: StoreBackend, options: TurnOptions, epoch: number) {
    this.backend = backend
    this.options = options
    this.epoch = epoch
  }

  readonly confirmIn: HeldLease["confirmIn"] = ({ cursors }) => {
    const { cursor, leaseMs, name } = this.options
    return Effect.flatMap(cursors.renew(cursor, this.epoch, 0, leaseMs), (held) =>
      held === undefined ? Effect.fail(fromReason(new Fenced({ stream: name }))) : Effect.void
    )
  }

  /** Renews the lease in time; fails when it is over. */
  readonly keep: Effect.Effect<never, EventStoreError> = Effect.gen({ self: this }, function* () {
    while (true) {
      yield* Effect.sleep(Duration.millis(this.options.leaseMs / 3))
      yield* Effect.catchIf(
        this.backend.transaction((transaction) => this.confirmIn(transaction)),
        ({ reason }) => reason._tag !== "Fenced",
        () => Effect.void
      )
    }
  })

  readonly giveBack: Effect.Effect<void> = Effect.suspend(() =>
    Effect.ignore(this.backend.transaction(({ cursors }) => cursors.release(this.options.cursor, this.epoch, 0)))
  )
}

/** Asks until the turn is free, and gives its epoch. */
const claim = (
  backend: StoreBackend,
  { cursor, leaseMs, name }: TurnOptions,
  restore: <A, E>(waiting: Effect.Effect<A, E>) => Effect.Effect<A, E>
): Effect.Effect<number, EventStoreError> =>
  Effect.gen(function* () {
    const owner = makeEventId(backend.currentMillis())
    while (true) {
      const claimed = yield* backend.transaction(({ cursors }) =>
        cursors.claim({ cursor, query: "", start: 0, owner, leaseMs })
      )
      if (claimed._tag === "Held") return claimed.epoch
      if (claimed._tag !== "Taken") {
        const headSequenceNumber = yield* Effect.mapError(backend.reading.head, fromReason)
        return yield* fromReason(new CursorAheadOfLog({ stream: name, cursor: 0, headSequenceNumber }))
      }
      yield* restore(Effect.sleep(Duration.millis(Math.min(claimed.leftMs + 1, askInterval))))
    }
  })
