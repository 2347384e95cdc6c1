/** What the cases are written with: expected refusals, bounded waits, recorders of deliveries, stores to close by hand. */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { EventBatch, EventRecord, NewEvent } from "../../stores/Event.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreErrorReason } from "../../stores/EventStoreError.ts"
import { EventStoreError } from "../../stores/EventStoreError.ts"
import type { BatchHandler, EventStream, StreamStatus } from "../../stores/EventStream.ts"
import type { OpenStore } from "./ConformanceCase.ts"

/** A new event. */
export const event = (eventType: string, payload: unknown = null, tags: ReadonlyArray<string> = []): NewEvent => ({
  eventType,
  payload,
  tags
})

/** Input that the types forbid. */
export const hostile = (input: unknown): never => input as never

/** How long a wait may take before the case fails; far beyond what any store needs. */
const patience = "20 seconds"

/** Bounds the effect. */
export const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>, what: string): Effect.Effect<A, E, R> =>
  Effect.timeoutOrElse(effect, {
    duration: patience,
    orElse: () => Effect.die(new assert.AssertionError({ message: `waited in vain: ${what}` }))
  })

/** Waits until the condition holds. */
export const eventually = (what: string, condition: () => boolean): Effect.Effect<void> =>
  inTime(
    Effect.gen(function* () {
      while (!condition()) yield* Effect.sleep("1 millis")
    }),
    what
  )

type Tag = EventStoreErrorReason["_tag"]

/** Expects the call to fail with this reason, and gives the reason. */
export const failsWith = <T extends Tag, R>(
  tag: T,
  call: Effect.Effect<unknown, EventStoreError, R>,
  what = "the call"
): Effect.Effect<Extract<EventStoreErrorReason, { readonly _tag: T }>, never, R> =>
  Effect.map(Effect.result(inTime(call, what)), (result) => {
    if (Result.isSuccess(result)) assert.fail(`${what} succeeded instead of failing with ${tag}`)
    assert.ok(result.failure instanceof EventStoreError, `${what} failed with something else than an EventStoreError`)
    const reason = result.failure.reason
    assert.equal(reason._tag, tag, `${what} failed with another reason: ${reason.message}`)
    return reason as Extract<EventStoreErrorReason, { readonly _tag: T }>
  })

/** Expects `InvalidInput` at the path, where one is named, and an unchanged log. */
export const refusesInput = Effect.fnUntraced(function* (
  store: EventStore,
  path: string | undefined,
  call: Effect.Effect<unknown, EventStoreError>,
  what?: string
) {
  const before = yield* logOf(store)
  const reason = yield* failsWith("InvalidInput", call, what)
  if (path !== undefined) assert.equal(reason.path, path, what)
  assert.deepStrictEqual(yield* logOf(store), before)
})

/** Expects `LimitExceeded` at the path or below it, with these figures, and an unchanged log. */
export const exceeds = Effect.fnUntraced(function* (
  store: EventStore,
  expected: { readonly path: string; readonly limit: number; readonly actual?: number },
  call: Effect.Effect<unknown, EventStoreError>,
  what?: string
) {
  const before = yield* logOf(store)
  const reason = yield* failsWith("LimitExceeded", call, what)
  const below = reason.path.startsWith(expected.path) ? reason.path.slice(expected.path.length) : undefined
  assert.ok(below === "" || /^[.[]/.test(below ?? "-"), `refused at ${reason.path} instead of ${expected.path}`)
  assert.equal(reason.limit, expected.limit, what)
  if (expected.actual === undefined) assert.ok(reason.actual > reason.limit, what)
  else assert.equal(reason.actual, expected.actual, what)
  assert.deepStrictEqual(yield* logOf(store), before)
})

/** All records. */
export const logOf = (store: EventStore): Effect.Effect<ReadonlyArray<EventRecord>, EventStoreError> =>
  Effect.map(store.query(), (result) => result.eventRecords)

/** The numbers of records. */
export const numbersOf = (records: ReadonlyArray<EventRecord>): ReadonlyArray<number> =>
  records.map((record) => record.sequenceNumber)

/** `from`, `from + 1` ... `to`. */
export const range = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)

/** `count` things. */
export const times = <A>(count: number, make: (index: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, index) => make(index))

/** A handler that keeps what it is given. */
export interface Recorder {
  readonly batches: ReadonlyArray<EventBatch>
  readonly handler: BatchHandler
  /** The numbers of each batch. */
  readonly numbers: () => ReadonlyArray<ReadonlyArray<number>>
  /** Waits until at least so many batches have come. */
  readonly received: (count: number) => Effect.Effect<void>
}

export const recorder = (): Recorder => {
  const batches: Array<EventBatch> = []
  return {
    batches,
    handler: (batch) => Effect.sync(() => batches.push(batch)),
    numbers: () => batches.map(numbersOf),
    received: (count) => eventually(`${count} batches arrive`, () => batches.length >= count)
  }
}

type StreamState = StreamStatus["state"]

/** What the stream says it is doing. */
export const stateOf = (stream: EventStream): Effect.Effect<StreamState> =>
  Effect.map(stream.status, (status) => status.state)

/** Waits until the stream says so. */
export const eventuallyState = (stream: EventStream, state: StreamState): Effect.Effect<void> =>
  inTime(
    Effect.gen(function* () {
      while ((yield* stateOf(stream)) !== state) yield* Effect.sleep("1 millis")
    }),
    `the stream becomes ${state}`
  )

/** A store that the case closes itself; otherwise it closes with the case. */
export interface Closable {
  readonly store: EventStore
  readonly close: Effect.Effect<void>
}

export const closable = (open: OpenStore): Effect.Effect<Closable, EventStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const close = Scope.close(scope, Exit.void)
    yield* Effect.addFinalizer(() => close)
    const store = yield* Scope.provide(open, scope)
    return { store, close }
  })

/** Expects every object in the value to be frozen. */
export const assertDeeplyFrozen = (value: unknown, what: string): void => {
  if (typeof value !== "object" || value === null) return
  assert.ok(Object.isFrozen(value), `${what} is not frozen`)
  for (const key of Object.keys(value)) assertDeeplyFrozen((value as Record<string, unknown>)[key], `${what}.${key}`)
}
