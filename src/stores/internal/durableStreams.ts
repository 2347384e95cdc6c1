/** Registers durable streams: checks what the caller gives, then follows the log with a handler whose batches come one by one. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { DurableStream } from "../DurableStream.ts"
import { make as makeDurableStream } from "../DurableStream.ts"
import type { EventStoreError, EventStoreErrorReason } from "../EventStoreError.ts"
import { fromReason, InvalidInput } from "../EventStoreError.ts"
import type { BatchHandler, DurableStreamOptions, EventStream } from "../EventStream.ts"
import type { Followers } from "./following.ts"
import { normaliseQuery, refuseReadCursor } from "./normaliseQuery.ts"

const defaultLease = Duration.seconds(5)

/** Milliseconds. */
const [leastLease, mostLease] = [100, 86_400_000]

export const startDurable = <E, R>(
  followers: Followers,
  stream: DurableStream,
  query: unknown,
  handler: BatchHandler<E, R>,
  options: DurableStreamOptions = {}
): Effect.Effect<EventStream, EventStoreError, R> =>
  Effect.flatMap(Effect.mapError(check(stream, query, options), fromReason), ({ leaseMs, name, query, start }) =>
    followers.follow({
      cursor: `stream ${name}`,
      name,
      query,
      start,
      leaseMs,
      retry: options.retry,
      together: false,
      deliver: (batches, { move }) =>
        Effect.andThen(
          Effect.suspend(() => handler(batches[0]!)),
          move
        )
    })
  )

const check = (stream: DurableStream, query: unknown, options: DurableStreamOptions) =>
  Effect.gen(function* () {
    const { name } = yield* Effect.fromResult(makeDurableStream((stream as DurableStream | undefined)?.name as string))
    const checked = yield* Effect.fromResult(Result.flatMap(normaliseQuery(query, "query"), refuseReadCursor))
    const { start = "beginning" } = options
    if (start !== "beginning" && start !== "head") {
      return yield* new InvalidInput({ path: "options.start", problem: 'expected "beginning" or "head"' })
    }
    return { leaseMs: yield* leaseOf(options.lease), name, query: checked, start }
  })

const leaseOf = (lease: Duration.Input | undefined): Effect.Effect<number, EventStoreErrorReason> => {
  const millis = Option.map(Duration.fromInput(lease ?? defaultLease), Duration.toMillis)
  return Option.isSome(millis) && millis.value >= leastLease && millis.value <= mostLease
    ? Effect.succeed(Math.round(millis.value))
    : Effect.fail(new InvalidInput({ path: "options.lease", problem: "expected 100 milliseconds to a day" }))
}
