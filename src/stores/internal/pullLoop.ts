/**
 * The one mechanism behind every stream: pull whole batches after a cursor, hand them to the handler one by one, move the
 * cursor, wait for the log to grow. There is no replay path beside a live path, hence nothing to hand over between them.
 *
 * The position moves after each delivered batch and past each stretch without a match, never past an undelivered batch.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type { EventBatch } from "../Event.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { fromReason, StoreClosed } from "../EventStoreError.ts"
import type { BatchHandler, EventStream, StreamStatus } from "../EventStream.ts"
import { ChangeSignal } from "./ChangeSignal.ts"
import type { NormalisedQuery } from "./normaliseQuery.ts"
import type { StoreBackend } from "./StoreBackend.ts"

/** Records to read at once: what a slow consumer holds in memory at the most, one large batch aside. */
const pageSize = 512

/** 10 retries, 50 ms to 5 s apart. */
const defaultRetry: Schedule.Schedule<unknown, unknown> = Schedule.max([
  Schedule.exponential("50 millis").pipe(
    Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, Duration.seconds(5))))
  ),
  Schedule.recurs(10)
])

/** What to deliver, from where, to whom. */
export interface Delivery<E, R> {
  readonly query: NormalisedQuery
  /** Exclusive: the last number that is not delivered. */
  readonly from: number
  readonly handler: BatchHandler<E, R>
  readonly retry: Schedule.Schedule<unknown, unknown> | undefined
}

/** Starts a loop of its own fiber. It ends by `unsubscribe`, with the store, or when the last retry has failed. */
export const startPullLoop = <E, R>(
  backend: StoreBackend,
  delivery: Delivery<E, R>
): Effect.Effect<EventStream, never, R> =>
  Effect.gen(function* () {
    const status: Status = {
      state: "running",
      position: delivery.from,
      failures: 0,
      lastError: undefined
    }
    const progress = new ChangeSignal()
    progress.advance(delivery.from)
    const end = (state: "stopped" | "unsubscribed"): void => {
      if (isOver(status)) return
      status.state = state
      progress.close()
    }
    const loop = pull(backend, delivery, status, progress).pipe(
      Effect.onError((cause) =>
        Effect.sync(() => {
          if (Cause.hasInterrupts(cause) || backend.isClosed()) return end("unsubscribed")
          status.lastError ??= Cause.squash(cause)
          end("stopped")
        })
      )
    )
    const fiber = yield* Effect.forkDetach(loop)
    return {
      unsubscribe: Effect.sync(() => {
        end("unsubscribed")
        fiber.interruptUnsafe()
      }),
      status: Effect.sync(() => {
        if (backend.isClosed()) end("unsubscribed")
        return { ...status }
      }),
      caughtUp: Effect.gen(function* () {
        const target = yield* Effect.mapError(backend.reading.head, fromReason)
        while (status.position < target) {
          if (backend.isClosed() || isOver(status)) return yield* fromReason(new StoreClosed())
          yield* progress.await(status.position)
        }
      })
    }
  })

const isOver = ({ state }: StreamStatus): boolean => state === "stopped" || state === "unsubscribed"

type Status = { -readonly [K in keyof StreamStatus]: StreamStatus[K] }

/** Never succeeds: fails when it gives up, is interrupted when nobody wants it any more. */
const pull = <E, R>(
  backend: StoreBackend,
  { query, handler, retry = defaultRetry }: Delivery<E, R>,
  status: Status,
  progress: ChangeSignal
): Effect.Effect<never, unknown, R> => {
  const advance = (position: number): void => {
    if (position > status.position) status.position = position
    progress.advance(status.position)
  }
  const failing = (error: unknown): void => {
    if (isOver(status)) return
    status.state = "retrying"
    status.failures += 1
    status.lastError = error
  }
  const succeeded = (): void => {
    if (status.state === "retrying") status.state = "running"
    status.failures = 0
  }
  const read = Effect.suspend(() => backend.reading.page(query, status.position, pageSize)).pipe(
    Effect.tap(() => Effect.sync(succeeded)),
    Effect.tapError((reason) => Effect.sync(() => failing(fromReason(reason)))),
    Effect.retry({ schedule: retry, while: (reason: EventStoreErrorReason) => reason.retryable })
  )
  const deliver = (batch: EventBatch) =>
    deliverOnce(backend, handler, batch, status).pipe(
      Effect.tapError((cause) => Effect.sync(() => failing(Cause.squash(cause)))),
      Effect.retry({ schedule: retry, while: () => !backend.isClosed() }),
      Effect.tap(() =>
        Effect.sync(() => {
          succeeded()
          advance(batch[batch.length - 1]!.sequenceNumber)
        })
      )
    )
  return Effect.gen(function* () {
    while (true) {
      const page = yield* read
      for (const batch of page.batches) yield* deliver(batch)
      advance(page.position)
      yield* backend.awaitChange(status.position)
    }
  })
}

/**
 * Runs the handler in a fiber of its own: interrupting the loop must not cut short a delivery that is under way, nor make
 * the handler uninterruptible for its own timeouts. A defect of the handler counts as a failure.
 */
const deliverOnce = <E, R>(
  backend: StoreBackend,
  handler: BatchHandler<E, R>,
  batch: EventBatch,
  status: Status
): Effect.Effect<void, Cause.Cause<unknown>, R> =>
  Effect.gen(function* () {
    if (backend.isClosed() || status.state === "unsubscribed") return yield* Effect.interrupt
    const fiber = yield* Effect.forkDetach(Effect.suspend(() => handler(batch)))
    const exit = yield* Fiber.await(fiber)
    if (Exit.isFailure(exit)) return yield* Effect.fail<Cause.Cause<unknown>>(exit.cause)
  })
