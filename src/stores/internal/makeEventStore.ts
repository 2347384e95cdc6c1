/** Turns a backend into the public contract: validation in the contract's order (A4), errors, spans, streams. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { NewEvent } from "../Event.ts"
import * as EventQuery from "../EventQuery.ts"
import type { AppendBatchesIfOptions, AppendIfOptions, AppendResult, EventStore, QueryResult } from "../EventStore.ts"
import type { EventStoreError, EventStoreErrorReason } from "../EventStoreError.ts"
import { EmptyAppend, fromReason, InvalidInput } from "../EventStoreError.ts"
import type { BatchHandler, EventStream, StreamOptions } from "../EventStream.ts"
import { traced } from "../tracing.ts"
import { checkIdempotency } from "./idempotency.ts"
import { attempt } from "./normaliseJson.ts"
import type { EventPath, NormalisedEvent } from "./normaliseEvents.ts"
import { normaliseEvents, findRepeatedId } from "./normaliseEvents.ts"
import type { NormalisedQuery } from "./normaliseQuery.ts"
import { everything, normaliseExpected, normaliseQuery } from "./normaliseQuery.ts"
import { refuseReadCursor } from "./normaliseQuery.ts"
import { pull } from "./pullLoop.ts"
import { Registration } from "./Registration.ts"
import { startDurable } from "./durableStreams.ts"
import { Followers } from "./following.ts"
import { makeWorkspace } from "./workspace/makeWorkspace.ts"
import { refusingNested } from "./workspace/nesting.ts"
import type { AppendCondition, StoreBackend } from "./StoreBackend.ts"

type Checked<A> = Result.Result<A, EventStoreErrorReason>

/**
 * The contract on top of a backend. `name` names the store in spans, for example `sqlite`. Durable streams end with the scope,
 * which has to be before the backend does.
 */
export const makeEventStore = (given: StoreBackend, name: string): Effect.Effect<EventStore, never, Scope.Scope> =>
  Effect.gen(function* () {
    const backend = { ...given, transaction: refusingNested(given.transaction) }
    const followers = yield* Effect.acquireRelease(
      Effect.sync(() => new Followers(backend)),
      ({ close }) => close
    )
    const live = new Set<Registration>()
    // Whoever waits for a stream is told, whatever its handler is waiting for.
    yield* Effect.addFinalizer(() => Effect.sync(() => live.forEach((stream) => stream.end("unsubscribed"))))
    return contract(backend, followers, live, name)
  })

const contract = (backend: StoreBackend, followers: Followers, live: Set<Registration>, name: string): EventStore => {
  const checkEvents = (events: unknown, path: string) =>
    normaliseEvents(events, path, { millis: backend.currentMillis(), maxPayloadBytes: backend.maxPayloadBytes })

  const append = (
    checked: Checked<ReadonlyArray<ReadonlyArray<NormalisedEvent>>>,
    pathOf: EventPath,
    key: unknown,
    condition: () => Checked<AppendCondition | undefined>
  ): Effect.Effect<ReadonlyArray<AppendResult>, EventStoreError> => {
    if (Result.isFailure(checked)) return Effect.fail(fromReason(checked.failure))
    const batches = checked.success
    const repeated = findRepeatedId(batches, pathOf)
    if (repeated !== undefined) return Effect.fail(fromReason(repeated))
    const idempotency = checkIdempotency(key, batches[0]!)
    if (Result.isFailure(idempotency)) return Effect.fail(fromReason(idempotency.failure))
    const checkedCondition = condition()
    if (Result.isFailure(checkedCondition)) return Effect.fail(fromReason(checkedCondition.failure))
    const request = { batches, condition: checkedCondition.success, idempotency: idempotency.success, pathOf }
    return Effect.mapErrorEager(backend.commit(request), fromReason)
  }

  const appendOne = (events: unknown, key: unknown, condition: () => Checked<AppendCondition | undefined>) =>
    Effect.mapEager(append(Result.map(checkEvents(events, "events"), only), inEvents, key, condition), first)

  const attributes = { "evolvent.store": name }
  return {
    append: (events, options) =>
      traced("evolvent.append", attributes, () => appendOne(events, options?.idempotencyKey, unconditional)),
    appendIf: (events, contextQuery, expected, options) =>
      traced("evolvent.appendIf", attributes, () =>
        appendOne(events, options?.idempotencyKey, () => checkCondition(contextQuery, expected, options))
      ),
    appendBatchesIf: (batches, contextQuery, expected, options) =>
      traced("evolvent.appendBatchesIf", attributes, () =>
        append(checkBatches(batches, checkEvents), inBatches, undefined, () =>
          Result.flatMap(refuseKey(options), () =>
            checkCondition(contextQuery, expected, options, checkedRevision(options?.revise, checkEvents))
          )
        )
      ),
    query: (query = EventQuery.all) => traced("evolvent.query", attributes, () => runQuery(backend, query)),
    streamAll: (handler, options) => startLive(backend, live, everything, handler, options),
    streamTo: (query, handler, options) =>
      Effect.suspend(() => {
        const checked = Result.flatMap(normaliseQuery(query, "query"), refuseReadCursor)
        return Result.isFailure(checked)
          ? Effect.fail(fromReason(checked.failure))
          : startLive(backend, live, checked.success, handler, options)
      }),
    streamAllDurable: (stream, handler, options) => startDurable(followers, stream, EventQuery.all, handler, options),
    streamToDurable: (stream, query, handler, options) => startDurable(followers, stream, query, handler, options),
    workspace: makeWorkspace(backend, followers)
  }
}

/** Records that a live stream reads at once. */
const livePageSize = 512

const first = <A>(results: ReadonlyArray<A>): A => results[0]!
const only = <A>(batch: A): ReadonlyArray<A> => [batch]

const unconditional = (): Checked<undefined> => Result.succeed(undefined)
const inEvents: EventPath = (_, index) => `events[${index}]`
const inBatches: EventPath = (batch, index) => `batches[${batch}][${index}]`

/** A key that is silently left out would be a promise that is not kept. */
const refuseKey = (options: AppendIfOptions | undefined): Checked<void> =>
  options?.idempotencyKey === undefined
    ? Result.void
    : Result.fail(
        new InvalidInput({
          path: "options.idempotencyKey",
          problem: "a key stands for one append; leave it out, or append the batches one by one"
        })
      )

const checkCondition = (
  contextQuery: unknown,
  expected: unknown,
  options: AppendIfOptions | undefined,
  revise: AppendCondition["revise"] = undefined
): Checked<AppendCondition> => {
  const query = normaliseQuery(contextQuery, "contextQuery")
  if (Result.isFailure(query)) return Result.fail(query.failure)
  const version = normaliseExpected(expected, "expectedContextVersion")
  if (Result.isFailure(version)) return Result.fail(version.failure)
  const head = checkHead(options?.headSequenceNumber)
  if (Result.isFailure(head)) return Result.fail(head.failure)
  const conflictTail = options?.conflictTail === true
  return Result.succeed({
    query: query.success,
    expected: version.success,
    seenHead: head.success,
    conflictTail,
    revise
  })
}

/** `null` is the head of an empty log. */
const checkHead = (head: unknown): Checked<number | undefined> =>
  head === undefined
    ? Result.succeed(undefined)
    : Result.map(normaliseExpected(head, "options.headSequenceNumber"), (known) => known ?? 0)

/** What a revision gives is checked like any input; a revision that throws is refused like a getter that throws. */
const checkedRevision = (
  revise: AppendBatchesIfOptions["revise"],
  checkEvents: CheckEvents
): AppendCondition["revise"] => {
  if (revise === undefined) return undefined
  return (conflict) => {
    const revised = attempt("options.revise", () => revise(conflict))
    if (Result.isFailure(revised)) return Result.fail(revised.failure)
    if (revised.success === undefined) return undefined
    if (revised.success.length === 0) return Result.succeed([])
    return Result.flatMap(checkBatches(revised.success, checkEvents), (batches) => {
      const repeated = findRepeatedId(batches, inBatches)
      return repeated === undefined ? Result.succeed(batches) : Result.fail(repeated)
    })
  }
}

type CheckEvents = (events: unknown, path: string) => Checked<ReadonlyArray<NormalisedEvent>>

const isEmpty = (batch: unknown): boolean => Array.isArray(batch) && batch.length === 0

const checkBatches = (
  batches: ReadonlyArray<ReadonlyArray<NewEvent>>,
  checkEvents: CheckEvents
): Checked<ReadonlyArray<ReadonlyArray<NormalisedEvent>>> => {
  if (!Array.isArray(batches)) {
    return Result.fail(new InvalidInput({ path: "batches", problem: "expected an array of arrays of events" }))
  }
  if (batches.length === 0 || batches.some(isEmpty)) return Result.fail(new EmptyAppend())
  const checked: Array<ReadonlyArray<NormalisedEvent>> = []
  for (let index = 0; index < batches.length; index++) {
    const batch = checkEvents(batches[index], `batches[${index}]`)
    if (Result.isFailure(batch)) return Result.fail(batch.failure)
    checked.push(batch.success)
  }
  return Result.succeed(checked)
}

const runQuery = (backend: StoreBackend, query: unknown): Effect.Effect<QueryResult, EventStoreError> => {
  const checked = normaliseQuery(query, "query")
  return Result.isFailure(checked)
    ? Effect.fail(fromReason(checked.failure))
    : Effect.mapError(backend.reading.query(checked.success), fromReason)
}

const startLive = <E, R>(
  backend: StoreBackend,
  live: Set<Registration>,
  query: NormalisedQuery,
  handler: BatchHandler<E, R>,
  options: StreamOptions | undefined
): Effect.Effect<EventStream, EventStoreError, R> =>
  Effect.mapError(backend.reading.head, fromReason).pipe(
    Effect.flatMap((from) => {
      const registration = new Registration("running", from)
      live.add(registration)
      const pulling = pull(
        backend,
        {
          query,
          retry: options?.retry,
          pageSize: livePageSize,
          together: false,
          deliver: (batches) => Effect.suspend(() => handler(batches[0]!)),
          passed: undefined,
          between: undefined,
          surrender: undefined,
          outlastsOutages: false,
          isOver: backend.isClosed
        },
        registration
      )
      const leave = Effect.sync(() => void live.delete(registration))
      return registration.run(backend, Effect.ensuring(pulling, leave))
    })
  )
