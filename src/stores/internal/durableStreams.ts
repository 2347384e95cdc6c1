/** Registers durable streams: checks what the caller gives, then follows the log with a handler whose batches come one by one. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { DurableStream } from "../DurableStream.ts"
import { make as makeDurableStream } from "../DurableStream.ts"
import type { EventStoreError } from "../EventStoreError.ts"
import { fromReason, InvalidInput } from "../EventStoreError.ts"
import type { BatchHandler, DurableStreamOptions, EventStream } from "../EventStream.ts"
import type { Followers } from "./following.ts"
import { checkLease } from "../lease.ts"
import { normaliseQuery, refuseReadCursor } from "./normaliseQuery.ts"

export const startDurable = <E, R>(
  followers: Followers,
  stream: DurableStream,
  query: unknown,
  handler: BatchHandler<E, R>,
  options: DurableStreamOptions | undefined
): Effect.Effect<EventStream, EventStoreError, R> =>
  Effect.flatMap(Effect.mapError(check(stream, query, options), fromReason), ({ leaseMs, name, query, start }) =>
    followers.follow({
      cursor: `stream ${name}`,
      name,
      query,
      start,
      leaseMs,
      retry: options?.retry,
      together: false,
      deliver: (batches, { move }) =>
        Effect.andThen(
          Effect.suspend(() => handler(batches[0]!)),
          move
        )
    })
  )

const check = (stream: DurableStream, query: unknown, options: DurableStreamOptions | undefined) =>
  Effect.gen(function* () {
    const { name } = yield* Effect.fromResult(makeDurableStream((stream as DurableStream | undefined)?.name as string))
    const checked = yield* Effect.fromResult(Result.flatMap(normaliseQuery(query, "query"), refuseReadCursor))
    const { lease, start = "beginning" } = options ?? {}
    if (start !== "beginning" && start !== "head") {
      return yield* new InvalidInput({ path: "options.start", problem: 'expected "beginning" or "head"' })
    }
    return { leaseMs: yield* checkLease(lease), name, query: checked, start }
  })
