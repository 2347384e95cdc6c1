/**
 * One cursor of a running projection: all of its events, or those of one partition. Delivers what the log brings, sets aside what
 * fails where the projection wants that, and tries it again on request.
 */
import * as Effect from "effect/Effect"
import type { EventBatch, EventRecord } from "../../stores/Event.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import type { DeliveredCursor, Following, HeldLease, Transaction } from "../../stores/Workspace.ts"
import type { Place, Projection } from "../Projection.ts"
import { failureText } from "./failureText.ts"
import { handleAll } from "./handling.ts"
import { filtered, ofPartition } from "./keys.ts"
import { Throughput } from "./Throughput.ts"

/** Dead letters that are tried again between two deliveries. */
const replaysAtOnce = 100

export class ProjectionPart<R> {
  readonly cursor: string
  readonly throughput = new Throughput()
  following: Following | undefined
  private readonly store: EventStore
  private readonly projection: Projection<R>
  private readonly partition: number
  private readonly leaseMs: number
  /** Somebody may have asked for another try of dead letters. */
  private mayReplay = true

  constructor(store: EventStore, projection: Projection<R>, partition: number, leaseMs: number) {
    this.store = store
    this.projection = projection
    this.partition = partition
    this.leaseMs = leaseMs
    this.cursor = cursorOf(projection, partition)
  }

  /** Starts to follow the log. */
  readonly start: Effect.Effect<void, EventStoreError, R> = Effect.gen({ self: this }, function* () {
    const { isTransactional, name, onFailure, query, retry, start, version } = this.projection
    const parks = onFailure === "park"
    this.following = yield* this.store.workspace.follow({
      cursor: this.cursor,
      name: `${name} (version ${version})`,
      query,
      identity: identityOf(this.projection),
      start,
      leaseMs: this.leaseMs,
      retry,
      together: isTransactional,
      deliver: (batches, cursor) => this.deliver(batches, cursor),
      between: parks ? (lease) => this.replay(lease) : undefined,
      surrender: parks ? (batch, error, cursor) => this.park(batch, error, cursor) : undefined
    })
  })

  /** Looks for dead letters to try again, soon. */
  readonly lookForReplays: Effect.Effect<void, EventStoreError> = Effect.suspend(() => {
    this.mayReplay = true
    return this.following?.wake ?? Effect.void
  })

  private deliver(batches: ReadonlyArray<EventBatch>, cursor: DeliveredCursor): Effect.Effect<void, unknown, R> {
    return Effect.suspend(() => {
      const mine = ofPartition(this.projection, this.partition, batches)
      const delivered = this.projection.isTransactional
        ? this.inTransaction((transaction, place) =>
            Effect.andThen(this.handleOrPark(transaction, mine, place), cursor.moveIn(transaction))
          )
        : this.projection.onFailure === "park"
          ? Effect.andThen(this.handleElsewhere(mine), cursor.move)
          : Effect.andThen(handleAll(this.projection, mine, this.projection), cursor.move)
      return Effect.tap(delivered, () => Effect.sync(() => this.throughput.add(countOf(mine))))
    })
  }

  /** A frozen worker's transaction ends with its lease. */
  private inTransaction(work: (transaction: Transaction, place: Place) => Effect.Effect<void, unknown, R>) {
    return this.store.workspace.transaction((transaction) => work(transaction, placeOf(this.projection, transaction)), {
      idleMs: this.leaseMs
    })
  }

  /** Handles what does not wait behind a dead letter, and parks the rest. */
  private handleOrPark(transaction: Transaction, batches: ReadonlyArray<EventBatch>, place: Place) {
    return this.projection.onFailure === "park"
      ? Effect.flatMap(this.parkWaiting(transaction, batches), (free) => handleAll(this.projection, free, place))
      : handleAll(this.projection, batches, place)
  }

  /** The query model is elsewhere, dead letters are not: those come first, for they may be written twice. */
  private handleElsewhere(batches: ReadonlyArray<EventBatch>): Effect.Effect<void, unknown, R> {
    return this.store.workspace
      .transaction((transaction) => this.parkWaiting(transaction, batches))
      .pipe(Effect.flatMap((free) => handleAll(this.projection, free, this.projection)))
  }

  /** Parks events that wait behind dead letters of their keys; gives the others. */
  private parkWaiting(transaction: Transaction, batches: ReadonlyArray<EventBatch>) {
    return Effect.gen({ self: this }, function* () {
      const parked = new Set(yield* transaction.deadLetters.keys(this.cursor))
      if (parked.size === 0) return batches
      const waits = (record: EventRecord) => parked.has(this.projection.key!(record))
      const letters = batches
        .flat()
        .filter(waits)
        .map((record) => this.letterOf(record, undefined))
      if (letters.length > 0) yield* transaction.deadLetters.park(this.cursor, letters)
      return filtered(batches, (record) => !waits(record))
    })
  }

  private letterOf(record: EventRecord, failure: string | undefined) {
    return { sequenceNumber: record.sequenceNumber, key: this.projection.key!(record), failure }
  }

  /** Sets a batch aside whose last retry has failed. */
  private park(batch: EventBatch, error: unknown, cursor: DeliveredCursor): Effect.Effect<void, EventStoreError> {
    return Effect.suspend(() => {
      const letters = ofPartition(this.projection, this.partition, [batch])
        .flat()
        .map((record) => this.letterOf(record, failureText(error)))
      return this.store.workspace.transaction((transaction) =>
        Effect.andThen(transaction.deadLetters.park(this.cursor, letters), cursor.moveIn(transaction))
      )
    })
  }

  /** Tries dead letters again of which that was asked, in order, each batch of a key by itself. */
  private replay(lease: HeldLease): Effect.Effect<void, unknown, R> {
    return Effect.gen({ self: this }, function* () {
      while (this.mayReplay) {
        this.mayReplay = false
        const letters = yield* this.store.workspace.transaction(({ deadLetters }) =>
          deadLetters.toReplay(this.cursor, replaysAtOnce)
        )
        if (letters.length === 0) return
        this.mayReplay = true
        yield* this.replayBatch(lease, letters[0]!)
      }
    })
  }

  /** Tries the batch of a letter again, as far as it is of the letter's key. */
  private replayBatch(
    lease: HeldLease,
    { key, sequenceNumber }: { readonly key: string; readonly sequenceNumber: number }
  ) {
    return Effect.gen({ self: this }, function* () {
      const page = yield* this.store.workspace.page(this.projection.query, sequenceNumber - 1, 1)
      const batch = (page.batches[0] ?? []).filter((record) => this.projection.key!(record) === key)
      const numbers = batch.map((record) => record.sequenceNumber)
      const settle = (transaction: Transaction) =>
        Effect.andThen(lease.confirmIn(transaction), transaction.deadLetters.remove(this.cursor, numbers))
      const handled = this.projection.isTransactional
        ? this.inTransaction((transaction, place) =>
            Effect.andThen(handleAll(this.projection, [batch], place), settle(transaction))
          )
        : Effect.andThen(handleAll(this.projection, [batch], this.projection), this.store.workspace.transaction(settle))
      yield* Effect.catch(handled, (error) =>
        this.store.workspace.transaction((transaction) =>
          Effect.andThen(
            lease.confirmIn(transaction),
            transaction.deadLetters.failReplay(this.cursor, { sequenceNumber, key, failure: failureText(error) })
          )
        )
      )
    })
  }
}

/** Where a projection's handlers and hooks work; one of `elsewhere` is only told its version. */
export const placeOf = ({ isTransactional, version }: Projection<unknown>, { sql }: Transaction): Place =>
  isTransactional ? { ...sql!, version } : { version }

/** The name of the stored cursor. */
export const cursorOf = ({ name, version }: Projection<unknown>, partition: number): string =>
  `projection ${name}\u0001${version}\u0001${partition}`

/** What a cursor belongs to, beside the query: events would be dealt out anew among another number of partitions. */
export const identityOf = ({ partitions }: Projection<unknown>): string =>
  partitions === 1 ? "" : ` in ${partitions} partitions`

const countOf = (batches: ReadonlyArray<EventBatch>): number => {
  let count = 0
  for (const batch of batches) count += batch.length
  return count
}
