/** Calls a projection's handlers and hooks: whatever they give becomes an effect, and what they throw its failure. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { EventBatch } from "../../stores/Event.ts"
import type { Place, Projection, Work } from "../Projection.ts"
import { HandlerTimedOut } from "../ProjectionError.ts"

const defaultTimeout = Duration.minutes(1)

/** A handler or a hook, carried out. */
export const carriedOut = <R>(call: () => Work<R>): Effect.Effect<void, unknown, R> =>
  Effect.suspend(() => {
    const work = called(call)
    if (Result.isFailure(work)) return Effect.fail(work.failure)
    return failing(effectOf(work.success) ?? Effect.void)
  })

/**
 * Handles batches one after the other. Handlers that are done when they return are called without an effect between them: that is what
 * makes catching up fast.
 */
export const handleAll = <R>(
  projection: Projection<R>,
  batches: ReadonlyArray<EventBatch>,
  place: Place,
  from = 0
): Effect.Effect<void, unknown, R> =>
  Effect.suspend(() => {
    for (let index = from; index < batches.length; index++) {
      const work = called(() => projection.handle(batches[index]!, place))
      if (Result.isFailure(work)) return Effect.fail(work.failure)
      const effect = effectOf(work.success)
      if (effect === undefined) continue
      return Effect.andThen(failing(inTime(projection, effect)), handleAll(projection, batches, place, index + 1))
    }
    return Effect.void
  })

/** A defect of a handler or a hook counts as its failure. */
const failing = <R>(effect: Effect.Effect<void, unknown, R>): Effect.Effect<void, unknown, R> =>
  Effect.catchCause(effect, (cause) =>
    Cause.hasInterrupts(cause) ? Effect.failCause(cause) : Effect.fail(Cause.squash(cause))
  )

const called = <A>(call: () => A): Result.Result<A, unknown> => Result.try({ try: call, catch: (thrown) => thrown })

const effectOf = <R>(work: Work<R>): Effect.Effect<void, unknown, R> | undefined => {
  if (Effect.isEffect(work)) return Effect.asVoid(work as Effect.Effect<unknown, unknown, R>)
  if (typeof work !== "object" || work === null || !("then" in work)) return undefined
  return Effect.asVoid(Effect.tryPromise({ try: () => Promise.resolve(work), catch: (error) => error }))
}

const inTime = <R>(projection: Projection<R>, effect: Effect.Effect<void, unknown, R>) => {
  const duration = Duration.fromInputUnsafe(projection.timeout ?? defaultTimeout)
  return Effect.timeoutOrElse(effect, {
    duration,
    orElse: () =>
      Effect.fail(new HandlerTimedOut({ projection: projection.name, afterMs: Duration.toMillis(duration) }))
  })
}
