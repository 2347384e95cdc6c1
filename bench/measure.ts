/** Measuring: samples of two kinds of work, taken in turns in the same run, and their medians. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/** How long one sample takes, in milliseconds. */
export const sampleMillis = 400

/** Samples of each kind; their median counts. */
export const samples = 5

/** Milliseconds since the Unix epoch, with fractions: the same clock for all processes of a machine. */
export const now = (): number => performance.timeOrigin + performance.now()

setFlagsFromString("--expose-gc")

/** Frees what earlier measurements have left, so that no later one pays for it: the logs in memory are large. */
export const collectGarbage: () => void = runInNewContext("gc") as () => void

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

/** Samples of two kinds of work, in the order in which they were taken. */
export interface Samples {
  readonly ours: ReadonlyArray<number>
  readonly raw: ReadonlyArray<number>
}

/** The medians of samples. */
export interface Rates {
  readonly ours: number
  readonly raw: number
}

/** Takes samples in turns, after one of each to warm up. */
export const takeSamples = <E1, E2>(
  ours: Effect.Effect<number, E1>,
  raw: Effect.Effect<number, E2>,
  count: number
): Effect.Effect<Samples, E1 | E2> =>
  Effect.gen(function* () {
    yield* ours
    yield* raw
    const taken = { ours: new Array<number>(), raw: new Array<number>() }
    for (let sample = 0; sample < count; sample++) {
      taken.raw.push(yield* raw)
      taken.ours.push(yield* ours)
    }
    return taken
  })

/** The medians of all these samples. */
export const ratesOf = (taken: ReadonlyArray<Samples>): Rates => ({
  ours: median(taken.flatMap(({ ours }) => ours)),
  raw: median(taken.flatMap(({ raw }) => raw))
})

/** Both rates: the medians of samples taken in one go. */
export const compare = <E1, E2>(
  ours: Effect.Effect<number, E1>,
  raw: Effect.Effect<number, E2>,
  count = samples
): Effect.Effect<Rates, E1 | E2> => Effect.map(takeSamples(ours, raw, count), (taken) => ratesOf([taken]))

const median = (values: ReadonlyArray<number>): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
