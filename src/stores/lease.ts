/** The time of a lease: how long it lasts, and by which clock a process tells how long ago it has asked for it. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidInput } from "./EventStoreError.ts"

const defaultLease = Duration.seconds(5)

/** Milliseconds. */
const [least, most] = [100, 86_400_000]

/** What the options say, checked, in milliseconds. */
export const checkLease = (lease: Duration.Input = defaultLease): Effect.Effect<number, InvalidInput> => {
  const millis = Option.map(Duration.fromInput(lease), Duration.toMillis)
  return Option.isSome(millis) && millis.value >= least && millis.value <= most
    ? Effect.succeed(Math.round(millis.value))
    : Effect.fail(new InvalidInput({ path: "options.lease", problem: "expected 100 milliseconds to a day" }))
}

/** The process's own clock, that nobody sets: how long ago a lease was asked for. When it ends is said by the database's. */
export const monotonicMillis: Effect.Effect<number> = Effect.map(
  Clock.monotonicTimeNanos,
  (nanos) => Number(nanos) / 1e6
)
