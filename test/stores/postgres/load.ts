/** Writers that append one call after the other, whatever they are answered, until they are told to stop. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import { eventually, range } from "../../../src/testing/conformance/expectations.ts"
import type { Answered } from "./answers.ts"
import { appended, reasonOf } from "./answers.ts"

export interface Load {
  /** What has been answered so far. */
  readonly calls: ReadonlyArray<Answered>
  /** Waits until so many more calls have succeeded. */
  readonly succeeds: (count: number) => Effect.Effect<void>
  /** Lets every writer finish the call that it is at. */
  readonly stop: Effect.Effect<ReadonlyArray<Answered>>
}

/** Starts so many writers on each of the stores. */
export const startLoad = (
  stores: ReadonlyArray<EventStore>,
  writers: number
): Effect.Effect<Load, never, Scope.Scope> =>
  Effect.gen(function* () {
    const calls: Array<Answered> = []
    let successes = 0
    const state = { isStopped: false }
    const writer = (store: EventStore, name: string) =>
      Effect.gen(function* () {
        for (let n = 1; !state.isStopped; n++) {
          const call = yield* appended(store, `${name}, call ${n}`, 1 + (n % 3))
          calls.push(call)
          if (reasonOf(call) === undefined) successes++
          else yield* Effect.sleep("5 millis")
        }
      })
    const fibers = yield* Effect.forEach(
      stores.flatMap((store, s) => range(1, writers).map((w) => writer(store, `store ${s}, writer ${w}`))),
      (each) => Effect.forkScoped(each)
    )
    return {
      calls,
      succeeds: (count) =>
        Effect.suspend(() => {
          const least = successes + count
          return eventually(`${count} calls succeed`, () => successes >= least)
        }),
      stop: Effect.gen(function* () {
        state.isStopped = true
        yield* Fiber.joinAll(fibers)
        return calls
      })
    }
  })
