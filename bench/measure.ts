/** Measuring: samples of two kinds of work, taken in turns in the same run, and their medians. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** How long one sample takes, in milliseconds. */
export const sampleMillis = 400

/** Samples of each kind; their median counts. */
export const samples = 5

/** Milliseconds since the Unix epoch, with fractions: the same clock for all processes of a machine. */
export const now = (): number => performance.timeOrigin + performance.now()

/** Work for one of many concurrent workers: performs one operation. */
export type Operation<E = unknown> = (worker: number) => Effect.Effect<unknown, E>

/** Operations a second while `concurrency` workers repeat the operation. */
export const rateOf = <E>(
  concurrency: number,
  operation: Operation<E>,
  millis: number = sampleMillis
): Effect.Effect<number, E> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const start = clock.monotonicTimeNanosUnsafe()
    const end = start + BigInt(millis * 1_000_000)
    let done = 0
    const worker = (index: number) =>
      Effect.gen(function* () {
        while (clock.monotonicTimeNanosUnsafe() < end) {
          yield* operation(index)
          done++
        }
      })
    yield* Effect.forEach(Array.from({ length: concurrency }).keys(), worker, {
      concurrency: "unbounded",
      discard: true
    })
    return (done * 1e9) / Number(clock.monotonicTimeNanosUnsafe() - start)
  })

/** Both rates, each the median of samples taken in turns, after one of each to warm up. */
export const compare = <E1, E2>(
  ours: Effect.Effect<number, E1>,
  raw: Effect.Effect<number, E2>,
  count = samples
): Effect.Effect<{ readonly ours: number; readonly raw: number }, E1 | E2> =>
  Effect.gen(function* () {
    yield* ours
    yield* raw
    const oursSamples: Array<number> = []
    const rawSamples: Array<number> = []
    for (let sample = 0; sample < count; sample++) {
      rawSamples.push(yield* raw)
      oursSamples.push(yield* ours)
    }
    return { ours: median(oursSamples), raw: median(rawSamples) }
  })

const median = (values: ReadonlyArray<number>): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
