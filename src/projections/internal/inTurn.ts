/**
 * Hooks of a projection run one at a time, whichever process and whichever version they are of: under a lease of their own, so that
 * they neither wait for handlers nor hold them up.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import { CursorAheadOfLog, Fenced, fromReason } from "../../stores/EventStoreError.ts"
import type { HeldLease } from "../../stores/Workspace.ts"

/** Milliseconds between two looks at a turn that somebody else has. */
const askInterval = 25

/** Milliseconds that a turn lasts at least without a sign of life: hooks take longer than handlers, and are rarely waited for. */
const leastLease = 5_000

/** Whose turn it is about, and how long the leases of its workers last. */
export interface TurnOf {
  readonly projection: string
  readonly leaseMs: number
}

/** Waits for its turn, then does the work. It is interrupted, and `Fenced`, where others had to take over. */
export const inTurn = <A, E, R>(
  store: EventStore,
  { projection, ...of }: TurnOf,
  work: (lease: HeldLease) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | EventStoreError, R> => {
  const cursor = `hooks ${projection}`
  const leaseMs = Math.max(of.leaseMs, leastLease)
  const renew = (epoch: number, leaseMs: number): HeldLease["confirmIn"] => {
    return ({ cursors }) =>
      Effect.flatMap(cursors.renew(cursor, epoch, 0, leaseMs), (held) =>
        held === undefined ? Effect.fail(fromReason(new Fenced({ stream: projection }))) : Effect.void
      )
  }
  const keep = (epoch: number) =>
    Effect.gen(function* () {
      while (true) {
        yield* Effect.sleep(Duration.millis(leaseMs / 3))
        yield* Effect.catchIf(
          store.workspace.transaction(renew(epoch, leaseMs)),
          (error) => error.reason._tag !== "Fenced",
          () => Effect.void
        )
      }
    })
  return Effect.gen(function* () {
    const epoch = yield* claim(store, cursor, projection, leaseMs)
    return yield* Effect.raceFirst(work({ confirmIn: renew(epoch, leaseMs) }), keep(epoch)).pipe(
      Effect.ensuring(Effect.ignore(store.workspace.transaction(({ cursors }) => cursors.release(cursor, epoch, 0))))
    )
  })
}

/** Asks until the turn is free, and gives its epoch. */
const claim = (
  store: EventStore,
  cursor: string,
  projection: string,
  leaseMs: number
): Effect.Effect<number, EventStoreError> =>
  Effect.gen(function* () {
    const owner = crypto.randomUUID()
    while (true) {
      const claimed = yield* store.workspace.transaction(({ cursors }) =>
        cursors.claim({ cursor, query: "", start: 0, owner, leaseMs })
      )
      if (claimed._tag === "Held") return claimed.epoch
      if (claimed._tag !== "Taken") {
        const headSequenceNumber = yield* store.workspace.head
        return yield* fromReason(new CursorAheadOfLog({ stream: projection, cursor: 0, headSequenceNumber }))
      }
      yield* Effect.sleep(Duration.millis(Math.min(claimed.leftMs + 1, askInterval)))
    }
  })
