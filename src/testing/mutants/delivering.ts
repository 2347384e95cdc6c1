/** Mutants whose streams deliver too much, too little, too early or too late (S1 to S4). */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type { EventBatch } from "../../stores/Event.ts"
import * as EventQuery from "../../stores/EventQuery.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import { fromReason } from "../../stores/EventStoreError.ts"
import type { BatchHandler, EventStream, StreamOptions } from "../../stores/EventStream.ts"
import { everything, normaliseQuery, refuseReadCursor } from "../../stores/internal/normaliseQuery.ts"
import type { Delivery } from "../../stores/internal/pullLoop.ts"
import { pull } from "../../stores/internal/pullLoop.ts"
import type { StoreBackend } from "../../stores/internal/StoreBackend.ts"
import { Registration } from "../../stores/internal/Registration.ts"
import type { Page } from "../../stores/Workspace.ts"
import type { Mutant } from "./Mutant.ts"
import { mutant } from "./Mutant.ts"
import type { Opened } from "./plainStore.ts"
import type { PlainLog } from "./PlainLog.ts"

/** A mutant that reads other pages than the right ones for its streams. */
const paging = (
  name: string,
  mistake: string,
  killedBy: Mutant["killedBy"],
  alter: (page: Page, log: PlainLog) => Page
): Mutant =>
  mutant(name, mistake, killedBy, {
    backend: (backend, log) => {
      const { reading } = backend
      return {
        ...backend,
        reading: {
          ...reading,
          page: (query, after, limit) => Effect.map(reading.page(query, after, limit), (page) => alter(page, log))
        }
      }
    }
  })

type Register = EventStore["streamTo"]

/** A mutant that registers streams otherwise; it is given the right way. */
const registering = (
  name: string,
  mistake: string,
  killedBy: Mutant["killedBy"],
  alter: (right: Register, opened: Opened<PlainLog>) => Register
): Mutant =>
  mutant(name, mistake, killedBy, {
    store: (opened) => {
      const streamTo = alter(opened.store.streamTo, opened)
      return { ...opened.store, streamTo, streamAll: (handler, options) => streamTo(EventQuery.all, handler, options) }
    }
  })

/** A mutant that calls another handler than the one it was given. */
const handling = (
  name: string,
  mistake: string,
  killedBy: Mutant["killedBy"],
  alter: <E, R>(handler: BatchHandler<E, R>, opened: Opened<PlainLog>) => BatchHandler<E, R>
): Mutant =>
  registering(
    name,
    mistake,
    killedBy,
    (right, opened) => (query, handler, options) => right(query, alter(handler, opened), options)
  )

/** Registers from another position than the head. */
const startingAt =
  (from: (head: number) => number) =>
  (_: Register, { backend, log }: Opened<PlainLog>): Register =>
  <E, R>(query: EventQuery.EventQuery, handler: BatchHandler<E, R>, options?: StreamOptions) =>
    Effect.flatMap(
      Effect.fromResult(Result.mapError(Result.flatMap(normaliseQuery(query, "query"), refuseReadCursor), fromReason)),
      (checked) => {
        const registration = new Registration("running", from(log.head))
        const delivery: Delivery<E, R> = {
          query: checked,
          pageSize: 512,
          together: false,
          deliver: (batches) => Effect.asVoid(Effect.suspend(() => handler(batches[0]!))),
          passed: undefined,
          between: undefined,
          surrender: undefined,
          retry: options?.retry,
          outlastsOutages: false,
          isOver: backend.isClosed
        }
        return registration.run(backend, pull(backend, delivery, registration))
      }
    )

/** Leaves the position where the last match was, or where it is. */
const holdingPositions = (backend: StoreBackend, log: PlainLog): StoreBackend => ({
  ...backend,
  reading: {
    ...backend.reading,
    page: (query, after, limit) =>
      Effect.map(backend.reading.page(query, after, limit), ({ batches }) => ({
        batches,
        position: batches.at(-1)?.at(-1)?.sequenceNumber ?? after
      }))
  },
  awaitChange: () => Effect.suspend(() => backend.awaitChange(log.head))
})

/** A registration that answers at once and registers in the background. */
const inBackground =
  (right: Register): Register =>
  <E, R>(query: EventQuery.EventQuery, handler: BatchHandler<E, R>, options?: StreamOptions) =>
    Effect.gen(function* () {
      const registered = yield* Deferred.make<EventStream>()
      yield* Effect.yieldNow.pipe(
        Effect.andThen(Effect.orDie(right(query, handler, options))),
        Effect.flatMap((stream) => Deferred.succeed(registered, stream)),
        Effect.forkDetach
      )
      const use = <A, E2>(run: (stream: EventStream) => Effect.Effect<A, E2>) =>
        Effect.flatMap(Deferred.await(registered), run)
      return {
        unsubscribe: use((stream) => stream.unsubscribe),
        status: use((stream) => stream.status),
        caughtUp: use((stream) => stream.caughtUp)
      }
    })

const merged = (batches: ReadonlyArray<EventBatch>): ReadonlyArray<EventBatch> =>
  batches.length === 0 ? [] : [Object.freeze(batches.flat())]

/** Everything that was committed together with one of these. */
const unfiltered = (batch: EventBatch, log: PlainLog): EventBatch => {
  const [first] = log.scan(everything, { after: batch[0]!.sequenceNumber - 1, upTo: batch[0]!.sequenceNumber })
  return log
    .scan(everything, { after: 0, upTo: first!.batchEnd })
    .filter(({ batchEnd }) => batchEnd === first!.batchEnd)
    .map(({ record }) => record)
}

/** Remembers the streams and lets every append wait for them. */
const waitingForHandlers = (store: EventStore): EventStore => {
  const streams = new Set<EventStream>()
  const streamTo: Register = (query, handler, options) =>
    Effect.tap(store.streamTo(query, handler, options), (stream) => Effect.sync(() => streams.add(stream)))
  const handled = Effect.suspend(() => Effect.forEach(streams, (stream) => Effect.ignore(stream.caughtUp)))
  return {
    ...store,
    streamTo,
    streamAll: (handler, options) => streamTo(EventQuery.all, handler, options),
    append: (events, options) => Effect.tap(store.append(events, options), () => handled)
  }
}

const retried = "a failed batch is tried again, and nothing later is delivered before it succeeds"

export const delivering = [
  paging(
    "unsorted delivery",
    "Delivers the batches that it finds together in another order than that of their commits.",
    ["batches arrive in order and undivided when they are appended at once"],
    (page) => ({ ...page, batches: page.batches.toReversed() })
  ),
  paging(
    "batches split",
    "Delivers every event by itself.",
    ["a stream of everything gets each append as one batch, just as it was recorded"],
    (page) => ({ ...page, batches: page.batches.flat().map((record) => Object.freeze([record])) })
  ),
  paging(
    "batches merged",
    "Delivers what it finds together as one batch, whatever was committed together.",
    ["batches under one check reach streams as batches of their own"],
    (page) => ({ ...page, batches: merged(page.batches) })
  ),
  paging(
    "batches unfiltered",
    "Delivers the whole of an append to a filtered stream when one of its events matches.",
    ["a filtered stream gets one filtered batch of a mixed append, in order"],
    (page, log) => ({ ...page, batches: page.batches.map((batch) => Object.freeze(unfiltered(batch, log))) })
  ),
  mutant(
    "position held by what does not match",
    "Does not move a stream's position past events that do not match.",
    ["a stream has caught up when all that was there is delivered or does not match"],
    { backend: holdingPositions }
  ),
  registering(
    "stream starting late",
    "Answers a registration before it has taken the head, so what is committed right after is missed.",
    ["a stream of everything gets each append as one batch, just as it was recorded"],
    inBackground
  ),
  registering(
    "stream starting early",
    "Starts a stream with the last event instead of after it.",
    ["a stream does not replay what was committed before it"],
    startingAt((head) => Math.max(0, head - 1))
  ),
  registering(
    "stream replaying",
    "Starts a stream with the first event of the log.",
    ["a stream does not replay what was committed before it"],
    startingAt(() => 0)
  ),
  registering(
    "unsubscribe ignored",
    "Goes on delivering after unsubscribe.",
    ["after unsubscribing nothing is delivered, and the other streams go on"],
    (right) => (query, handler, options) =>
      Effect.map(right(query, handler, options), (stream) => ({ ...stream, unsubscribe: Effect.void }))
  ),
  registering(
    "unsubscribe waits",
    "Lets unsubscribe wait until the stream has delivered everything.",
    ["unsubscribing does not wait for a delivery under way, which is not started again"],
    (right) => (query, handler, options) =>
      Effect.map(right(query, handler, options), (stream) => ({
        ...stream,
        unsubscribe: Effect.andThen(Effect.ignore(stream.caughtUp), stream.unsubscribe)
      }))
  ),
  handling(
    "failed batch skipped",
    "Goes on with the next batch when the handler has failed.",
    [retried],
    (handler) => (batch) => Effect.exit(Effect.suspend(() => handler(batch)))
  ),
  handling(
    "handlers not awaited",
    "Delivers the next batch while the handler is still busy with the one before.",
    ["a handler gets one batch at a time"],
    (handler) => (batch) => Effect.asVoid(Effect.forkDetach(handler(batch)))
  ),
  handling(
    "batch delivered twice",
    "Delivers every batch a second time when the handler is done with it.",
    ["batches arrive in the order of their commits"],
    (handler) => (batch) => Effect.andThen(handler(batch), handler(batch))
  ),
  registering(
    "retries left out",
    "Stops a stream at the first failure of its handler.",
    [retried],
    (right) => (query, handler) => right(query, handler, { retry: Schedule.recurs(0) })
  ),
  mutant(
    "lost wake-up",
    "Wakes only streams that are waiting already, so what is committed while a handler is busy stays undelivered.",
    ["a stream that is registered among appends misses nothing from then on"],
    {
      backend: (backend, log) => ({
        ...backend,
        awaitChange: () => Effect.suspend(() => backend.awaitChange(log.head))
      })
    }
  ),
  mutant(
    "append waits for handlers",
    "Answers an append when all streams have handled it.",
    ["a slow handler blocks neither appends nor queries nor other streams"],
    { store: (opened) => waitingForHandlers(opened.store) }
  )
]
