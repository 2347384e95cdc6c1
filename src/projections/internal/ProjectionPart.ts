/**
 * One cursor of a running projection: all of its events, or those of one partition. Delivers what the log brings, and sets aside
 * what fails where the projection wants that.
 */
import * as Effect from "effect/Effect"
import type { EventBatch, EventRecord } from "../../stores/Event.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import type { DeliveredCursor, Transaction } from "../../stores/Workspace.ts"
import type { Place, Projection } from "../Projection.ts"
import { failureText } from "./failureText.ts"
import { Follower } from "./Follower.ts"
import { handleAll } from "./handling.ts"
import { filtered, keyOf, ofPartition } from "./keys.ts"
import { cursorOf, identityOf, nameOf } from "./names.ts"
import { inTransaction } from "./place.ts"
import { Replaying } from "./Replaying.ts"
import { Throughput } from "./Throughput.ts"

export class ProjectionPart<R> {
  readonly cursor: string
  readonly throughput = new Throughput()
  readonly replaying: Replaying<R> | undefined
  readonly follower: Follower<R>
  private readonly store: EventStore
  private readonly projection: Projection<R>
  private readonly partition: number
  private readonly leaseMs: number

  constructor(store: EventStore, projection: Projection<R>, partition: number, leaseMs: number) {
    this.store = store
    this.projection = projection
    this.partition = partition
    this.leaseMs = leaseMs
    this.cursor = cursorOf(projection, partition)
    const replaying =
      projection.onFailure === "park" ? new Replaying(store, projection, this.cursor, leaseMs) : undefined
    const { isTransactional, query, retry, start } = projection
    this.replaying = replaying
    this.follower = new Follower(store.workspace, {
      cursor: this.cursor,
      name: nameOf(projection),
      query,
      identity: identityOf(projection),
      start,
      leaseMs,
      retry,
      together: isTransactional,
      deliver: (batches, cursor) => this.deliver(batches, cursor),
      between: replaying === undefined ? undefined : (lease) => replaying.run(lease, this.wake),
      surrender: replaying === undefined ? undefined : (batch, error, cursor) => this.park(batch, error, cursor)
    })
  }

  private readonly wake = Effect.suspend(() => this.follower.following?.wake ?? Effect.void)

  private deliver(batches: ReadonlyArray<EventBatch>, cursor: DeliveredCursor): Effect.Effect<void, unknown, R> {
    return Effect.suspend(() => {
      const mine = ofPartition(this.projection, this.partition, batches)
      const delivered = this.projection.isTransactional
        ? inTransaction(this.store, this.projection, this.leaseMs, (transaction, place) =>
            Effect.andThen(this.handleOrPark(transaction, mine, place, cursor), cursor.moveIn(transaction))
          )
        : Effect.andThen(this.handleElsewhere(mine, cursor), cursor.move)
      return Effect.tap(delivered, () => Effect.sync(() => this.throughput.add(countOf(mine))))
    })
  }

  /** Handles what does not wait behind a dead letter, and parks the rest. */
  private handleOrPark(
    transaction: Transaction,
    batches: ReadonlyArray<EventBatch>,
    place: Place,
    cursor: DeliveredCursor
  ) {
    return this.replaying === undefined
      ? this.handle(batches, place, cursor)
      : Effect.flatMap(this.parkWaiting(transaction, batches), (free) => this.handle(free, place, cursor))
  }

  /** The query model is elsewhere, dead letters are not: those come first, for they may be written twice. */
  private handleElsewhere(batches: ReadonlyArray<EventBatch>, cursor: DeliveredCursor) {
    const run = { version: this.projection.version }
    if (this.replaying === undefined) return this.handle(batches, run, cursor)
    return this.store.workspace
      .transaction((transaction) =>
        Effect.andThen(cursor.confirmIn(transaction), this.parkWaiting(transaction, batches))
      )
      .pipe(Effect.flatMap((free) => this.handle(free, run, cursor)))
  }

  /** The worker may have been stopped while a transaction was waited for. */
  private handle(batches: ReadonlyArray<EventBatch>, place: Place, { mayBegin }: DeliveredCursor) {
    return Effect.andThen(mayBegin, handleAll(this.projection, batches, place))
  }

  /** Parks events that wait behind dead letters of their keys; gives the others. */
  private parkWaiting(transaction: Transaction, batches: ReadonlyArray<EventBatch>) {
    return Effect.flatMap(transaction.deadLetters.keys(this.cursor), (keys) => {
      if (keys.length === 0) return Effect.succeed(batches)
      const parked = new Set(keys)
      const waits = (record: EventRecord) => parked.has(keyOf(this.projection, record))
      const letters = batches
        .flat()
        .filter(waits)
        .map((record) => this.letterOf(record, undefined))
      const free = filtered(batches, (record) => !waits(record))
      return letters.length === 0
        ? Effect.succeed(free)
        : Effect.as(transaction.deadLetters.park(this.cursor, letters), free)
    })
  }

  private letterOf(record: EventRecord, failure: string | undefined) {
    return { sequenceNumber: record.sequenceNumber, key: keyOf(this.projection, record), failure }
  }

  /** Sets a batch aside whose last retry has failed; some of its events only wait behind others. */
  private park(batch: EventBatch, error: unknown, cursor: DeliveredCursor): Effect.Effect<void, EventStoreError> {
    return this.store.workspace.transaction((transaction) =>
      Effect.gen({ self: this }, function* () {
        const [free = []] = yield* this.parkWaiting(transaction, ofPartition(this.projection, this.partition, [batch]))
        const letters = free.map((record) => this.letterOf(record, failureText(error)))
        yield* transaction.deadLetters.park(this.cursor, letters)
        yield* cursor.moveIn(transaction)
      })
    )
  }
}

const countOf = (batches: ReadonlyArray<EventBatch>): number => {
  let count = 0
  for (const batch of batches) count += batch.length
  return count
}
