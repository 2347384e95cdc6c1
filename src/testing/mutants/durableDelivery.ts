/** Mutants whose durable streams register, replay, retry or end otherwise than they have to (D1 to D5, D7). */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { EventBatch } from "../../stores/Event.ts"
import * as EventQuery from "../../stores/EventQuery.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import { startDurable } from "../../stores/internal/durableStreams.ts"
import { Followers } from "../../stores/internal/following.ts"
import type { FollowOptions } from "../../stores/Workspace.ts"
import { withCursors } from "./durableCursors.ts"
import type { Mutant } from "./Mutant.ts"
import { mutant } from "./Mutant.ts"
import { PlainLog } from "./PlainLog.ts"
import type { Mistake, Opened } from "./plainStore.ts"

type Register = EventStore["streamToDurable"]
type Follow = <E, R>(options: FollowOptions<E, R>) => FollowOptions<E, R>

/** Registers durable streams otherwise, all of a store in the same way. */
const throughRegister =
  <Log extends PlainLog>(alter: (right: Register, opened: Opened<Log>) => Register) =>
  (opened: Opened<Log>): EventStore => {
    const streamToDurable = alter(opened.store.streamToDurable, opened)
    return {
      ...opened.store,
      streamToDurable,
      streamAllDurable: (stream, handler, options) => streamToDurable(stream, EventQuery.all, handler, options)
    }
  }

const registering = (
  name: string,
  mistake: string,
  killedBy: Mutant["killedBy"],
  alter: (right: Register, opened: Opened<PlainLog>) => Register
): Mutant => mutant(name, mistake, killedBy, { store: throughRegister(alter) })

/** Follows the log otherwise, when the input has been checked. */
const throughFollow = <Log extends PlainLog>(alter: (log: Log) => Follow) =>
  throughRegister<Log>((_, { log, store }) => (stream, query, handler, options) => {
    const instead: Pick<Followers, "follow"> = {
      follow: (followed) => store.workspace.follow(alter(log)({ ...followed, query }))
    }
    return startDurable(instead as Followers, stream, query, handler, options)
  })

const following = (name: string, mistake: string, killedBy: Mutant["killedBy"], alter: Follow): Mutant =>
  mutant(name, mistake, killedBy, { store: throughFollow(() => alter) })

/** Up to where its durable streams have delivered something, by their cursors. */
class DeliveredEnds extends PlainLog {
  readonly ends = new Map<string, number>()
}

/** Stores the ends of batches, and nothing that lies between them. */
const fromBatchToBatch: Mistake<DeliveredEnds> = {
  log: () => new DeliveredEnds(),
  backend: withCursors((right, { ends }) => {
    const least = (cursor: string, position: number) => Math.min(position, ends.get(cursor) ?? position)
    return {
      renew: (cursor, epoch, position, leaseMs) => right.renew(cursor, epoch, least(cursor, position), leaseMs),
      release: (cursor, epoch, position) => right.release(cursor, epoch, least(cursor, position))
    }
  }),
  store: throughFollow(({ ends }) => (options) => {
    if (!ends.has(options.cursor)) ends.set(options.cursor, 0)
    return {
      ...options,
      deliver: (batches, cursor) => {
        const note = Effect.sync(() => ends.set(options.cursor, batches.at(-1)!.at(-1)!.sequenceNumber))
        return options.deliver(batches, { ...cursor, move: Effect.andThen(note, cursor.move) })
      }
    }
  })
}

/** A log that knows what its durable streams found there, and what came after they were registered. */
class Replayed extends PlainLog {
  replayTo = 0
}

/** A mutant that replays otherwise; it is given what is read at once, the old batches and those that came meanwhile. */
const replaying = (
  name: string,
  mistake: string,
  killedBy: Mutant["killedBy"],
  alter: (old: ReadonlyArray<EventBatch>, since: ReadonlyArray<EventBatch>) => ReadonlyArray<EventBatch>
): Mutant =>
  mutant<Replayed>(name, mistake, killedBy, {
    log: () => new Replayed(),
    backend: (backend, log) => {
      const { reading } = backend
      const replay = (batches: ReadonlyArray<EventBatch>) => {
        const isOld = (batch: EventBatch) => batch[0]!.sequenceNumber <= log.replayTo
        const old = batches.filter(isOld)
        return old.length === 0 ? batches : alter(old, batches.slice(old.length))
      }
      return {
        ...backend,
        reading: {
          ...reading,
          page: (query, after, limit) =>
            Effect.map(reading.page(query, after, limit), (page) => ({ ...page, batches: replay(page.batches) }))
        }
      }
    },
    store: throughRegister(
      (right, { log }) =>
        (stream, query, handler, options) =>
          Effect.suspend(() => {
            log.replayTo = log.head
            return right(stream, query, handler, options)
          })
    )
  })

/** Delivers what follows a failed batch while that is tried again. */
const inBackground =
  (right: Register): Register =>
  (stream, query, handler, options) =>
    right(
      stream,
      query,
      (batch) => {
        const once = Effect.suspend(() => handler(batch))
        const later = Effect.retry(Effect.delay(once, "20 millis"), {
          times: 10,
          schedule: Schedule.spaced("20 millis")
        })
        return Effect.catchCause(once, () => Effect.forkDetach(later))
      },
      options
    )

const seam = "durable replay meets live delivery without duplicates or gaps while appends go on"
const original = "a durable stream replays the log in its original batches and goes on with what comes"
const inOrder = "a batch that failed is tried again before anything later, however much has come meanwhile"
const stops = "a durable stream stops after its last retry and says so, and a new one goes on with that batch"

const moving = [
  following(
    "cursor moved first",
    "Moves the cursor before the handler has dealt with the batch.",
    ["the cursor moves when the handler has succeeded, and not before"],
    (options) => ({
      ...options,
      deliver: (batches, cursor) => Effect.andThen(Effect.orDie(cursor.move), options.deliver(batches, cursor))
    })
  ),
  following(
    "cursor moved past a failure",
    "Moves the cursor past a batch that its handler has failed with.",
    [inOrder, stops],
    (options) => ({
      ...options,
      deliver: (batches, cursor) => Effect.catchCause(options.deliver(batches, cursor), () => Effect.orDie(cursor.move))
    })
  ),
  mutant<DeliveredEnds>(
    "cursor held by what does not match",
    "Leaves the stored cursor at the last batch that was delivered.",
    ["the cursor follows past what does not match", "what does not match is not looked at again after reopening"],
    fromBatchToBatch
  )
]

const replays = [
  replaying("replay split", "Replays every event by itself.", [original], (old, since) => [
    ...old.flat().map((record) => Object.freeze([record])),
    ...since
  ]),
  replaying(
    "replay merged",
    "Replays what it finds as one batch, whatever was committed together.",
    [original],
    (old, since) => [Object.freeze(old.flat()), ...since]
  ),
  replaying(
    "replay overlapping",
    "Delivers what is committed during a replay with the replay, and once more after it.",
    [seam],
    (old, since) => [...old, ...since, ...since]
  ),
  replaying("replay with a gap", "Misses what is committed during a replay.", [seam], (old) => old),
  registering(
    "start at the head ignored",
    "Replays the whole log to a stream that starts at the head.",
    ["a durable stream that starts at the head replays nothing, and is otherwise like any other"],
    (right) => (stream, query, handler, options) =>
      right(stream, query, handler, options?.start === "head" ? { ...options, start: "beginning" } : options)
  )
]

const failing = [
  registering(
    "durable retries left out",
    "Stops a durable stream at the first failure of its handler.",
    [inOrder, stops],
    (right) => (stream, query, handler, options) =>
      right(stream, query, handler, { ...options, retry: Schedule.recurs(0) })
  ),
  registering(
    "durable retries without an end",
    "Tries a batch again for ever, whatever the schedule says.",
    [stops],
    (right) => (stream, query, handler, options) =>
      right(stream, query, handler, { ...options, retry: Schedule.spaced("50 millis") })
  ),
  registering(
    "end of retries kept quiet",
    "Says of a stream that has given up that it is running.",
    [stops],
    (right) => (stream, query, handler, options) =>
      Effect.map(right(stream, query, handler, options), (made) => ({
        ...made,
        status: Effect.map(made.status, (status) =>
          status.state === "stopped" ? { ...status, state: "running" as const } : status
        )
      }))
  ),
  registering(
    "later batches first",
    "Delivers later batches while one that failed waits for its next try.",
    [inOrder],
    inBackground
  )
]

const naming = [
  following(
    "query compared as it was written",
    "Takes a query for another one when its parts come in another order.",
    ["queries that differ only in the order or repetition of their parts are the same query"],
    (options) => ({ ...options, identity: JSON.stringify(options.query) })
  ),
  registering(
    "name active twice",
    "Lets a second stream of the same name wait for the first, in the same store.",
    ["a name is active once in a store, and the one that is goes on", "of registrations at once exactly one succeeds"],
    (right, { backend }) =>
      (stream, query, handler, options) =>
        Effect.catchIf(
          right(stream, query, handler, options),
          ({ reason }) => reason._tag === "DurableStreamActive",
          () => startDurable(new Followers(backend), stream, query, handler, options)
        )
  ),
  registering(
    "lease forgotten by closing",
    "Does not give back the leases of its streams when the store is closed.",
    ["who waits takes over when the other store is closed, however long the lease"],
    (_, { backend }) => {
      const followers = new Followers(backend)
      return (stream, query, handler, options) => startDurable(followers, stream, query, handler, options)
    }
  )
]

export const durableDelivery = [...moving, ...replays, ...failing, ...naming]
