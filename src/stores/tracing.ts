/** Spans at the borders: dispatch, append, query. They cost nothing where nobody looks at them. */
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"

/**
 * Runs an effect, made when it runs, in a span when a tracer is installed. Effect's native tracer only keeps spans in
 * memory and exports nothing, yet making one costs as much as an append to the memory store.
 */
export const traced = <A, E, R>(
  name: string,
  attributes: Record<string, unknown>,
  make: () => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) =>
    fiber.getRef(Tracer.Tracer) === Tracer.nativeTracer
      ? make()
      : Effect.withSpan(Effect.suspend(make), name, { attributes, captureStackTrace: false })
  )
