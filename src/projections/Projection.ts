/**
 * `Projection`: a query model that a feature slice owns, as plain data: which events it follows, and the handler that writes it.
 *
 * A projection of `make` has its query model in the event store's database: what the handler writes and the cursor are committed
 * together, so every event counts exactly once. One of `elsewhere` writes wherever it wants and may see a batch again after a
 * crash.
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import type * as EventCatalog from "../decider/EventCatalog.ts"
import type { EventBatch, EventRecord } from "../stores/Event.ts"
import * as EventQuery from "../stores/EventQuery.ts"
import type { SqlTransaction } from "../stores/Transaction.ts"

/** An event as its catalog decodes it, and its record. */
export interface Occurrence<Event> {
  readonly event: Event
  readonly record: EventRecord
}

/** What a handler or a hook gives: nothing, where it is done when it returns; else an effect or a promise. */
export type Work<R> = void | PromiseLike<unknown> | Effect.Effect<unknown, unknown, R>

/** Where a projection of `make` writes. */
export interface ProjectionTransaction extends SqlTransaction {
  /** The projection's version, for the names of tables that several versions have beside each other. */
  readonly version: number
}

/** Where a projection of `elsewhere` may look at itself. */
export interface ProjectionRun {
  readonly version: number
}

/** What every projection says of itself. */
export interface ProjectionOptions<C extends EventCatalog.Any> {
  /** Identifies the projection, with its version: 1 to 200 bytes. */
  readonly name: string
  /**
   * Raise it when what is derived from the events changes: the new version starts at the beginning and is put in use when it has
   * caught up, while the old one goes on wherever it still runs. Default: 1.
   */
  readonly version?: number | undefined
  readonly events: C
  /** Which events it follows. Every one that matches has to be one that the catalog decodes. Default: all types of the catalog. */
  readonly query?: EventQuery.EventQuery | undefined
  /** Where a new version starts. Default: at the beginning of the log. */
  readonly start?: "beginning" | "head" | undefined
  /** How long a handler may take for one batch. Default: 1 minute. */
  readonly timeout?: Duration.Input | undefined
  /** When a failed batch is tried again. Default: 10 times with exponential back-off from 50 ms, at most 5 s apart. */
  readonly retry?: Schedule.Schedule<unknown, unknown> | undefined
  /**
   * What happens after the last retry. `stop`: the projection stops and says so in its status, and nothing after the failed batch
   * is handled. `park`: the batch's events become dead letters, as do later events of the same keys, and the others go on. Default:
   * `stop`.
   */
  readonly onFailure?: "stop" | "park" | undefined
  /** Events of the same key are handled in order, whatever else happens. Needed to park and to partition. Pure. */
  readonly key?: ((record: EventRecord) => string) | undefined
  /** Into how many parts the events are divided by their keys; each has a cursor of its own and may run in another process. Default: 1. */
  readonly partitions?: number | undefined
}

/** What `make` takes. */
export interface TransactionalDefinition<C extends EventCatalog.Any, R> extends ProjectionOptions<C> {
  /** Makes the tables if they are not there: runs whenever a worker starts, one at a time. */
  readonly setup?: ((transaction: ProjectionTransaction) => Work<R>) | undefined
  /** Empties the query model, or drops it: before a rebuild, after which `setup` runs again. */
  readonly reset?: ((transaction: ProjectionTransaction) => Work<R>) | undefined
  /** Runs when this version is put in use: replace a view, move an alias. */
  readonly activate?: ((transaction: ProjectionTransaction) => Work<R>) | undefined
  /** Handles the events of one committed batch that match. What it writes and the cursor are committed together. */
  readonly handle: (
    events: ReadonlyArray<Occurrence<EventCatalog.Event<C>>>,
    transaction: ProjectionTransaction
  ) => Work<R>
}

/** What `elsewhere` takes. */
export interface ElsewhereDefinition<C extends EventCatalog.Any, R> extends ProjectionOptions<C> {
  readonly setup?: ((run: ProjectionRun) => Work<R>) | undefined
  readonly reset?: ((run: ProjectionRun) => Work<R>) | undefined
  readonly activate?: ((run: ProjectionRun) => Work<R>) | undefined
  /**
   * Handles the events of one committed batch that match. After a crash the last batch may come again: keep the last sequence number
   * with what is written, and leave out what is not beyond it.
   */
  readonly handle: (events: ReadonlyArray<Occurrence<EventCatalog.Event<C>>>, run: ProjectionRun) => Work<R>
}

/** A projection whose events' types are no longer known. */
export interface Projection<R = never> {
  readonly name: string
  readonly version: number
  readonly query: EventQuery.EventQuery
  readonly start: "beginning" | "head"
  readonly timeout: Duration.Input | undefined
  readonly retry: Schedule.Schedule<unknown, unknown> | undefined
  readonly onFailure: "stop" | "park"
  readonly key: ((record: EventRecord) => string) | undefined
  readonly partitions: number
  /** Whether its query model is in the event store's database. */
  readonly isTransactional: boolean
  readonly setup: Hook<R> | undefined
  readonly reset: Hook<R> | undefined
  readonly activate: Hook<R> | undefined
  /** Decodes and handles the events of one batch. Throws what the handler throws, and `DecodeError`. */
  readonly handle: (batch: EventBatch, place: Place) => Work<R>
}

/** Where handlers and hooks work: a transaction where the projection is transactional. */
export type Place = ProjectionTransaction | ProjectionRun
type Hook<R> = (place: Place) => Work<R>

/** A projection whose query model is in the event store's database. */
export const make = <C extends EventCatalog.Any, R = never>(definition: TransactionalDefinition<C, R>): Projection<R> =>
  toProjection(definition as unknown as Definition<R>, true)

/** A projection whose query model is somewhere else: delivery is at least once. */
export const elsewhere = <C extends EventCatalog.Any, R = never>(
  definition: ElsewhereDefinition<C, R>
): Projection<R> => toProjection(definition as unknown as Definition<R>, false)

interface Definition<R> extends ProjectionOptions<EventCatalog.Any> {
  readonly setup?: Hook<R>
  readonly reset?: Hook<R>
  readonly activate?: Hook<R>
  readonly handle: (events: ReadonlyArray<Occurrence<EventCatalog.AnyEvent>>, place: Place) => Work<R>
}

const toProjection = <R>(definition: Definition<R>, isTransactional: boolean): Projection<R> => {
  const { activate, events, key, name, reset, retry, setup, timeout } = definition
  check(definition)
  return {
    name,
    version: definition.version ?? 1,
    query: definition.query ?? EventQuery.ofTypes(...events.eventTypes),
    start: definition.start ?? "beginning",
    timeout,
    retry,
    onFailure: definition.onFailure ?? "stop",
    key,
    partitions: definition.partitions ?? 1,
    isTransactional,
    setup,
    reset,
    activate,
    handle: (batch, place) => {
      const occurrences = new Array<Occurrence<EventCatalog.AnyEvent>>(batch.length)
      for (let index = 0; index < batch.length; index++) {
        const record = batch[index]!
        occurrences[index] = { event: Result.getOrThrow(events.decode(record)), record }
      }
      return definition.handle(occurrences, place)
    }
  }
}

const mostNameBytes = 200
const mostPartitions = 1_024

/** What cannot be right is a mistake in the program. */
const check = (definition: Definition<unknown>): void => {
  const problem = problemOf(definition)
  if (problem !== undefined) throw new Error(`projection ${JSON.stringify(definition.name)}: ${problem}`)
}

const problemOf = (definition: Definition<unknown>): string | undefined => {
  const {
    events,
    key,
    name,
    onFailure = "stop",
    partitions = 1,
    query,
    start = "beginning",
    timeout,
    version = 1
  } = definition
  const bytes = typeof name === "string" ? new TextEncoder().encode(name).length : 0
  if (bytes < 1 || bytes > mostNameBytes || name.includes("\0") || !name.isWellFormed())
    return `the name must be well-formed text of 1 to ${mostNameBytes} bytes, no NUL`
  if (!Number.isSafeInteger(version) || version < 1) return "the version must be a whole number from 1"
  if (typeof events?.decode !== "function") return "events must be an event catalog"
  const refused = query === undefined ? undefined : refusalOf(query)
  if (refused !== undefined) return refused
  if (typeof definition.handle !== "function") return "it needs a handler"
  for (const option of ["setup", "reset", "activate", "key"] as const) {
    if (definition[option] !== undefined && typeof definition[option] !== "function")
      return `${option} must be a function`
  }
  if (!["beginning", "head"].includes(start)) return 'start must be "beginning" or "head"'
  if (!["stop", "park"].includes(onFailure)) return 'onFailure must be "stop" or "park"'
  if (timeout !== undefined && !isTime(timeout)) return "the timeout must be a duration of more than nothing"
  if (!Number.isSafeInteger(partitions) || partitions < 1 || partitions > mostPartitions)
    return `partitions must be a whole number from 1 to ${mostPartitions}`
  if (key === undefined && partitions > 1) return "several partitions need a key to divide the events by"
  if (key === undefined && onFailure === "park") return "to park events it needs a key, behind which later ones wait"
  return undefined
}

/** Why a stream would refuse the query. */
const refusalOf = (query: EventQuery.EventQuery): string | undefined => {
  const checked = EventQuery.matcher(query)
  if (Result.isFailure(checked)) return checked.failure.message
  return (query.minSequenceNumber ?? 0) === 0
    ? undefined
    : "query.minSequenceNumber: `start` says where it starts; leave the read cursor out"
}

const isTime = (timeout: Duration.Input): boolean =>
  Option.exists(Duration.fromInput(timeout), (duration) => Duration.toMillis(duration) > 0)
