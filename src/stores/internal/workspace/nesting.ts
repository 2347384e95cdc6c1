/**
 * Refuses a transaction within another one of the same store. It would wait for the outer one, which waits for it: for ever where a
 * store has one writer, and where it has a pool, as soon as that is used up.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { fromReason, InvalidInput } from "../../EventStoreError.ts"
import type { Workspace } from "../../Workspace.ts"

/** A transaction whose work has begun. */
interface Outer {
  readonly of: Workspace["transaction"]
  isOver: boolean
}

/** What a fiber works within. Fibers that it forks have it as well, and may outlive it. */
const Within: Context.Reference<ReadonlyArray<Outer>> = Context.Reference<ReadonlyArray<Outer>>(
  "evolvent/stores/Within",
  { defaultValue: () => [] }
)

export const refusingNested =
  (transaction: Workspace["transaction"]): Workspace["transaction"] =>
  (work, options) =>
    Effect.flatMap(Within, (all) => {
      const outers = all.filter(({ isOver }) => !isOver)
      if (outers.some((outer) => outer.of === transaction)) return Effect.fail(fromReason(nested))
      const own: Outer = { of: transaction, isOver: false }
      return transaction(
        (begun) =>
          Effect.suspend(() => work(begun)).pipe(
            Effect.provideService(Within, [...outers, own]),
            Effect.ensuring(Effect.sync(() => (own.isOver = true)))
          ),
        options
      )
    })

const nested = new InvalidInput({
  path: "transaction",
  problem: "begun within another one of the same store, for which it would wait; use the one that the work was given"
})
