/** A store whose worker crashes at a step of its work: from then on nothing that it does has any effect. */
import * as Effect from "effect/Effect"
import type { EventStore } from "../../stores/EventStore.ts"
import type { Workspace } from "../../stores/Workspace.ts"

/** What everything fails with after the crash. */
export class Crashed extends Error {
  override readonly name = "Crashed"
}

/** Counts the steps of a worker, and ends it at one of them. */
export class CrashPoint {
  /** How many steps there have been. */
  steps = 0
  /** Which one it was. */
  crashedAt: string | undefined
  private readonly last: number

  /** `last`: the step, from 1, at which the worker crashes. */
  constructor(last: number) {
    this.last = last
  }

  /** A step of the worker's. */
  readonly step = (name: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (this.crashedAt !== undefined) return Effect.die(new Crashed())
      if (++this.steps < this.last) return Effect.void
      this.crashedAt = name
      return Effect.die(new Crashed())
    })
}

/** The store as a worker sees it that is going to crash. What the store does for itself, such as keeping leases, goes on. */
export const crashing = (store: EventStore, crash: CrashPoint): EventStore => {
  const { workspace } = store
  const transaction: Workspace["transaction"] = (work, options) =>
    crash
      .step("before a transaction")
      .pipe(
        Effect.andThen(
          workspace.transaction(
            (it) => Effect.tap(work(it), crash.step("in a transaction, before its COMMIT")),
            options
          )
        ),
        Effect.tap(crash.step("after a COMMIT, before its answer"))
      )
  const follow: Workspace["follow"] = (options) =>
    workspace.follow({
      ...options,
      deliver: (batches, cursor) =>
        options.deliver(batches, {
          ...cursor,
          move: crash
            .step("after the handler, before the cursor moves")
            .pipe(Effect.andThen(cursor.move), Effect.andThen(crash.step("after the cursor has moved")))
        })
    })
  return { ...store, workspace: { ...workspace, transaction, follow } }
}
