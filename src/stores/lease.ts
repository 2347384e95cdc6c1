/** How long a lease lasts: what the options say, checked, in milliseconds. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidInput } from "./EventStoreError.ts"

const defaultLease = Duration.seconds(5)

/** Milliseconds. */
const [least, most] = [100, 86_400_000]

export const checkLease = (lease: Duration.Input = defaultLease): Effect.Effect<number, InvalidInput> => {
  const millis = Option.map(Duration.fromInput(lease), Duration.toMillis)
  return Option.isSome(millis) && millis.value >= least && millis.value <= most
    ? Effect.succeed(Math.round(millis.value))
    : Effect.fail(new InvalidInput({ path: "options.lease", problem: "expected 100 milliseconds to a day" }))
}
