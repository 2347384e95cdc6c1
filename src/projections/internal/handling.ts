/** Calls a projection's handlers and hooks: whatever they give becomes an effect, and what they throw its failure. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
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
 * makes catching up fast. From the first one on that is not, a watch looks at how long each takes.
 */
export const handleAll = <R>(
  projection: Projection<R>,
  batches: ReadonlyArray<EventBatch>,
  place: Place
): Effect.Effect<void, unknown, R> =>
  Effect.suspend(() => {
    let index = 0
    const effect = called(() => {
      for (; index < batches.length; index++) {
        const given = effectOf(projection.handle(batches[index]!, place))
        if (given !== undefined) return given
      }
      return undefined
    })
    if (Result.isFailure(effect)) return Effect.fail(effect.failure)
    return effect.success === undefined ? Effect.void : handleOn(projection, batches, place, index, effect.success)
  })

/** Goes on with the batch whose handler gave an effect. */
const handleOn = <R>(
  projection: Projection<R>,
  batches: ReadonlyArray<EventBatch>,
  place: Place,
  first: number,
  effect: Effect.Effect<void, unknown, R>
): Effect.Effect<void, unknown, R> =>
  Effect.flatMap(Clock.Clock, (clock) => {
    const current = { since: clock.monotonicTimeNanosUnsafe() }
    const handleNext = (index: number) =>
      Effect.suspend(() => {
        current.since = clock.monotonicTimeNanosUnsafe()
        return carriedOut(() => projection.handle(batches[index]!, place))
      })
    const rest = Effect.andThen(failing(effect), handleEach(first + 1, batches.length, handleNext))
    // What does not settle, not even when it is interrupted, is not waited for.
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.forkDetach(restore(rest), { startImmediately: true }), (fiber) =>
        restore(Effect.raceFirst(Fiber.await(fiber), watch(projection, clock, current))).pipe(
          Effect.onInterrupt(() => Fiber.interrupt(fiber)),
          Effect.tapError(() => Effect.sync(() => fiber.interruptUnsafe())),
          Effect.flatten
        )
      )
    )
  })

const handleEach = Effect.fnUntraced(function* <R>(
  first: number,
  end: number,
  handle: (index: number) => Effect.Effect<void, unknown, R>
) {
  for (let index = first; index < end; index++) yield* handle(index)
})

/** Fails when one batch has taken too long. */
const watch = (
  { name, timeout = defaultTimeout }: Projection<unknown>,
  clock: Clock.Clock,
  current: { readonly since: bigint }
): Effect.Effect<never, HandlerTimedOut> =>
  Effect.gen(function* () {
    const allowed = Duration.toMillis(Duration.fromInputUnsafe(timeout))
    while (true) {
      const taken = Number(clock.monotonicTimeNanosUnsafe() - current.since) / 1e6
      if (taken >= allowed) return yield* new HandlerTimedOut({ projection: name, afterMs: allowed })
      yield* Effect.sleep(Duration.millis(Math.max(1, allowed - taken)))
    }
  })

/** A defect of a handler or a hook counts as its failure, and so does an interruption that comes from within. */
const failing = <R>(effect: Effect.Effect<void, unknown, R>): Effect.Effect<void, unknown, R> =>
  Effect.catchCause(effect, (cause) => Effect.fail(Cause.squash(cause)))

const called = <A>(call: () => A): Result.Result<A, unknown> => Result.try({ try: call, catch: (thrown) => thrown })

const effectOf = <R>(work: Work<R>): Effect.Effect<void, unknown, R> | undefined => {
  if (Effect.isEffect(work)) return Effect.asVoid(work as Effect.Effect<unknown, unknown, R>)
  if (typeof work !== "object" || work === null || !("then" in work)) return undefined
  return Effect.asVoid(Effect.tryPromise({ try: () => Promise.resolve(work), catch: (error) => error }))
}
