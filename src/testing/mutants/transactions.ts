/** Mutants whose transactions are not undone when their work does not succeed. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { StoreBackend } from "../../stores/internal/StoreBackend.ts"
import { mutant } from "./Mutant.ts"

/** Commits what was done when the work has ended like this, as if it had succeeded. */
const committingAlso =
  (isCommitted: (cause: Cause.Cause<unknown>) => boolean) =>
  (backend: StoreBackend): StoreBackend => ({
    ...backend,
    transaction: (work, options) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatten(
          backend.transaction(
            (transaction) =>
              Effect.flatMap(Effect.exit(restore(Effect.suspend(() => work(transaction)))), (exit) =>
                Exit.isFailure(exit) && !isCommitted(exit.cause) ? Effect.failCause(exit.cause) : Effect.succeed(exit)
              ),
            options
          )
        )
      )
  })

export const transactions = [
  mutant(
    "failed transaction committed",
    "Commits what was done in a transaction though its work has failed.",
    ["a move that is undone with its transaction has not happened"],
    { backend: committingAlso(Cause.hasFails) }
  ),
  mutant(
    "transaction committed after a defect",
    "Undoes a transaction whose work fails, and commits one whose work dies.",
    ["work that dies, throws or is interrupted leaves nothing behind in its transaction"],
    { backend: committingAlso(Cause.hasDies) }
  ),
  mutant(
    "interrupted transaction committed",
    "Commits what was done in a transaction until it was interrupted.",
    ["work that dies, throws or is interrupted leaves nothing behind in its transaction"],
    { backend: committingAlso(Cause.hasInterrupts) }
  )
]
