/**
 * `itEffect` is vitest's `it` for a test that is an Effect. The effect runs in a scope of its own, closed before the test ends;
 * a failure rejects with the original error, and a test that runs out of time is interrupted, so its finalizers still run.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { it } from "vitest"
import type { TestOptions } from "vitest"

/** `options` are vitest's own (`timeout` in milliseconds, `retry`, `skip`, `only`, ...). */
export const itEffect = (
  name: string,
  effect: () => Effect.Effect<void, unknown, Scope.Scope>,
  options: TestOptions = {}
): void => {
  it(name, options, ({ signal }) => Effect.runPromise(Effect.scoped(Effect.suspend(effect)), { signal }))
}
