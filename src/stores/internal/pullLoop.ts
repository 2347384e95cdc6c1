/**
 * The one mechanism behind every stream: pull whole batches after a position, hand them over, move the position, wait for the log
 * to grow. There is no replay path beside a live path, hence nothing to hand over between them.
 *
 * The position moves after each delivered batch and past each stretch without a match, never past an undelivered batch.
 *
 * No generator function is made anew for a page: V8 gives each a hidden class in the old generation, which would keep the page alive
 * until the next full collection, and collections of the young generation would copy what nobody needs.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import * as Schedule from "effect/Schedule"
import type { EventBatch } from "../Event.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { fromReason } from "../EventStoreError.ts"
import { isOutage } from "../isOutage.ts"
import { monotonicMillis } from "../lease.ts"
import type { Page } from "../Workspace.ts"
import type { NormalisedQuery } from "./normaliseQuery.ts"
import { Portions } from "./Portions.ts"
import type { Registration } from "./Registration.ts"
import type { StoreBackend } from "./StoreBackend.ts"

/**
 * Records of the first page; every page may be twice as large as the one before. The first events are delivered soon, and while V8
 * still learns what lives how long, most of what was read is gone again: see `toBatches`.
 */
const firstPage = 64

/** 50 ms to 5 s apart. */
const backOff = Schedule.exponential("50 millis").pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, Duration.seconds(5))))
)

/** 10 retries. */
const defaultRetry: Schedule.Schedule<unknown, unknown> = Schedule.max([backOff, Schedule.recurs(10)])

/** What to deliver, to whom, and what to do when that fails. */
export interface Delivery<E, R> {
  readonly query: NormalisedQuery
  /** Records to read at once: what a slow consumer holds in memory at the most, one large batch aside. */
  readonly pageSize: number
  /** Whether batches are handed over together, as many as do not take long. Where that fails they are handed over one by one. */
  readonly together: boolean
  readonly deliver: (batches: ReadonlyArray<EventBatch>) => Effect.Effect<void, E, R>
  /** Takes note of events that do not match, up to this position. */
  readonly passed: ((position: number) => void) | undefined
  /** Runs when nothing is being delivered: before each page. */
  readonly between: Effect.Effect<void, E, R> | undefined
  /** Deals with a batch after the last retry; without it the loop ends. */
  readonly surrender: ((batch: EventBatch, error: unknown) => Effect.Effect<void, E, R>) | undefined
  readonly retry: Schedule.Schedule<unknown, unknown> | undefined
  /** Whether a store that is unavailable is waited for, however long it takes, or counts as a failure like any other. */
  readonly outlastsOutages: boolean
  /** Whether nothing more may be delivered. */
  readonly isOver: () => boolean
}

/** Never succeeds: fails when it gives up, is interrupted when nobody wants it any more. */
export const pull = <E, R>(
  backend: StoreBackend,
  delivery: Delivery<E, R>,
  registration: Registration
): Effect.Effect<never, unknown, R> => {
  const { between, query, surrender } = delivery
  const retry = delivery.retry ?? defaultRetry
  const patiently = delivery.outlastsOutages ? outlastingOutages(delivery.isOver) : identity
  let pageSize = Math.min(firstPage, delivery.pageSize)
  const read = Effect.suspend(() => backend.reading.page(query, registration.position, pageSize)).pipe(
    Effect.tap(() => Effect.sync(() => registration.succeeded())),
    Effect.tapError((reason) => Effect.sync(() => registration.failed(fromReason(reason)))),
    patiently,
    Effect.retry({ schedule: retry, while: (reason: EventStoreErrorReason) => reason.retryable })
  )
  const once = (work: Effect.Effect<void, E, R>) =>
    Effect.suspend(() =>
      delivery.isOver() || registration.isOver ? Effect.fail(over) : apart(work, registration)
    ).pipe(
      Effect.tap(() => Effect.sync(() => registration.succeeded())),
      Effect.tapError((error) => Effect.sync(() => (error === over ? undefined : registration.failed(error))))
    )
  const retried = (work: Effect.Effect<void, E, R>) =>
    once(work).pipe(patiently, Effect.retry({ schedule: retry, while: () => !delivery.isOver() }))
  /** A lease that is over says nothing about where the cursor is now. */
  const advance = (position: number): void => {
    if (!delivery.isOver()) registration.advance(position)
  }
  const deliverOne = (batch: EventBatch) =>
    retried(delivery.deliver([batch])).pipe(
      Effect.catch((error) =>
        surrender === undefined || delivery.isOver() ? Effect.fail(error) : retried(surrender(batch, error))
      ),
      Effect.tap(() => Effect.sync(() => advance(endOf(batch))))
    )
  const portions = new Portions(delivery.pageSize)
  const deliverTogether = Effect.fnUntraced(function* (batches: ReadonlyArray<EventBatch>) {
    if (batches.length > 1) {
      const begun = yield* monotonicMillis
      const whole = yield* Effect.exit(once(delivery.deliver(batches)))
      portions.took((yield* monotonicMillis) - begun)
      if (Exit.isSuccess(whole)) return advance(endOf(batches[batches.length - 1]!))
      if (delivery.isOver()) return yield* whole
    }
    for (const batch of batches) yield* deliverOne(batch)
  })
  const deliverPage = Effect.fnUntraced(function* (page: Page) {
    let left = page.batches
    while (left.length > 0) {
      const portion = delivery.together ? portions.first(left) : left.slice(0, 1)
      yield* deliverTogether(portion)
      left = left.slice(portion.length)
    }
  })
  // By itself, so that nothing holds a page any more while the next one is read.
  const turn = Effect.fnUntraced(function* () {
    if (between !== undefined) yield* retried(between)
    const page = yield* read
    pageSize = Math.min(pageSize * 2, delivery.pageSize)
    if (page.batches.length > 0) yield* deliverPage(page)
    if (page.position > registration.position) {
      advance(page.position)
      delivery.passed?.(page.position)
    }
  })
  return Effect.gen(function* () {
    while (true) {
      yield* turn()
      yield* Effect.raceFirst(backend.awaitChange(registration.position), registration.called)
    }
  })
}

/** What a loop fails with that has nothing to deliver any more. */
const over = Symbol("over")

const endOf = (batch: EventBatch): number => batch[batch.length - 1]!.sequenceNumber

/** Tries again for as long as the store is unavailable and the result is wanted. */
export const outlastingOutages =
  (isOver: () => boolean) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.retry(effect, { schedule: backOff, while: (error) => isOutage(error) && !isOver() })

/**
 * Runs a piece of work in a fiber of its own: interrupting the loop must not cut short a delivery that is under way, nor make
 * the handler uninterruptible for its own timeouts. A defect of the handler counts as a failure.
 */
const apart = <E, R>(work: Effect.Effect<void, E, R>, registration: Registration): Effect.Effect<void, unknown, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(work), (fiber) => {
      registration.delivering = fiber
      return Effect.flatMap(restore(Fiber.await(fiber)), (exit) => {
        registration.delivering = undefined
        return Exit.isFailure(exit) ? Effect.fail(Cause.squash(exit.cause)) : Effect.void
      })
    })
  )
