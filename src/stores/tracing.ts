/** Spans at the borders: dispatch, append, query. They cost nothing where nobody looks at them. */
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"

/**
 * Runs the effect in a span when a tracer is installed. Effect's native tracer only keeps spans in memory and exports
 * nothing, yet making one costs more than an append to the memory store.
 */
export const traceTo = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  name: string,
  attributes: Record<string, unknown>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) =>
    fiber.getRef(Tracer.Tracer) === Tracer.nativeTracer
      ? effect
      : Effect.withSpan(effect, name, { attributes, captureStackTrace: false })
  )
