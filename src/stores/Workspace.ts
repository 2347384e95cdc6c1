/**
 * What a store offers to those who do durable work on its log, projections and reactors above all: transactions in the store's
 * database, and streams whose cursor moves within them.
 */
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { EventBatch } from "./Event.ts"
import type { EventQuery } from "./EventQuery.ts"
import type { EventStoreError } from "./EventStoreError.ts"
import type { EventStream } from "./EventStream.ts"
import type { Tables } from "./WorkspaceTables.ts"
import type { SqlTransaction } from "./Transaction.ts"

/** A transaction under way. What was done in it is undone when the work fails. */
export interface Transaction extends Tables {
  /** The application's own SQL; `undefined` in memory, where there is none. */
  readonly sql: SqlTransaction | undefined
}

/** Moves the cursor to the end of what is being delivered. Fails with `Fenced` when it was taken over. */
export interface DeliveredCursor extends StreamLease {
  /** As part of a transaction: with what else was done there, or not at all. */
  readonly moveIn: (transaction: Transaction) => Effect.Effect<void, EventStoreError>
  /**
   * By itself, when all has been dealt with, however long the store is unavailable. Where only this fails, another try under the same
   * lease moves the cursor and delivers nothing again.
   */
  readonly move: Effect.Effect<void, EventStoreError>
}

/** The lease under which work is done. */
export interface HeldLease {
  /** Fails with `Fenced` where the cursor was taken over; until the end of the transaction nobody else takes it. */
  readonly confirmIn: (transaction: Transaction) => Effect.Effect<void, EventStoreError>
}

/** The lease of a stream. */
export interface StreamLease extends HeldLease {
  /** Fails with `StoreClosed` where the stream has ended: nothing begins any more that had to wait, for a transaction for instance. */
  readonly mayBegin: Effect.Effect<void, EventStoreError>
}

/** How to follow the log under a cursor. */
export interface FollowOptions<E, R> {
  /** Identifies the stored cursor. */
  readonly cursor: string
  /** What errors call it. */
  readonly name: string
  readonly query: EventQuery
  /** What else the cursor belongs to, beside the query: another one is `DurableStreamMismatch`. */
  readonly identity?: string | undefined
  /** Where a new cursor starts. */
  readonly start: "beginning" | "head"
  /** Milliseconds that a lease lasts without being renewed. */
  readonly leaseMs: number
  /** When something that failed is tried again. An unavailable store is waited for, however long it takes. */
  readonly retry: Schedule.Schedule<unknown, unknown> | undefined
  /** Whether batches that were read together, some hundreds of events, are delivered together. */
  readonly together: boolean
  /**
   * Deals with batches and moves the cursor. Several batches have to be dealt with all or not at all, for where they fail
   * together they are tried one by one.
   */
  readonly deliver: (batches: ReadonlyArray<EventBatch>, cursor: DeliveredCursor) => Effect.Effect<void, E, R>
  /**
   * Runs while the cursor is held and nothing is being delivered: before each read of the log, and when `wake` was called. It is
   * given the same object for as long as the lease is held.
   */
  readonly between?: ((lease: StreamLease) => Effect.Effect<void, E, R>) | undefined
  /** What to do with a batch after the last retry, instead of stopping; has to move the cursor. */
  readonly surrender?:
    ((batch: EventBatch, error: unknown, cursor: DeliveredCursor) => Effect.Effect<void, E, R>) | undefined
}

/** A stream under a cursor. */
export interface Following extends EventStream {
  /** Resolves when the stream has ended: nothing is being delivered any more, and the lease is given back. */
  readonly ended: Effect.Effect<void>
  /** Resolves when the cursor has reached the number, whoever moved it. Fails with `StoreClosed` when the stream ends before. */
  readonly reached: (sequenceNumber: number) => Effect.Effect<void, EventStoreError>
  /** Looks at the stored cursor at once, which others may have paused, resumed or set back; and has `between` run soon. */
  readonly wake: Effect.Effect<void, EventStoreError>
}

/** Committed batches after a cursor. */
export interface Page {
  /** Whole batches, filtered, ascending. */
  readonly batches: ReadonlyArray<EventBatch>
  /** Every event up to here is in `batches`, lies before the cursor or does not match. */
  readonly position: number
}

/** Work that is done by one at a time. */
export interface TurnOptions {
  /** Identifies the turn; no stream's cursor may be called the same. */
  readonly cursor: string
  /** What errors call it. */
  readonly name: string
  /** Milliseconds that the turn of a process that is gone lasts. */
  readonly leaseMs: number
}

export interface TransactionOptions {
  /** Milliseconds between two statements after which PostgreSQL ends the transaction: its process may be frozen. Default: 10,000. */
  readonly idleMs?: number | undefined
}

export interface Workspace {
  /**
   * Runs work in a transaction of the store's database; undone when it fails or is interrupted. Keep it short: on SQLite nobody else
   * writes meanwhile. An answer to COMMIT that is lost is `StoreUnavailable` like any other failure of the connection, so work
   * that is done again after it has to notice that it was done before.
   *
   * Another transaction of the same store within the work would wait for this one. It is `InvalidInput` at once, also in fibers that the
   * work forks, until the work is over: use the one that is given. An effect that is run by itself, in a promise for instance, does wait.
   */
  readonly transaction: <A, E, R>(
    work: (transaction: Transaction) => Effect.Effect<A, E, R>,
    options?: TransactionOptions
  ) => Effect.Effect<A, E | EventStoreError, R>
  /** Follows the log under a cursor that one process at a time holds: see `EventStore.streamToDurable` for the guarantees. */
  readonly follow: <E, R>(options: FollowOptions<E, R>) => Effect.Effect<Following, EventStoreError, R>
  /**
   * Waits until nobody else works under the same cursor, in whichever process, then does the work, and gives the turn back. The
   * work is interrupted, and fails with `Fenced`, when the process was away for so long that others took over.
   */
  readonly inTurn: <A, E, R>(
    options: TurnOptions,
    work: (lease: HeldLease) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | EventStoreError, R>
  /** The next whole batches after a number, filtered, about `limit` records; and up to where nothing else matches. */
  readonly page: (query: EventQuery, after: number, limit: number) => Effect.Effect<Page, EventStoreError>
  /** The log's last number, 0 when it is empty. */
  readonly head: Effect.Effect<number, EventStoreError>
  /** Resolves when the log may have grown past the number; only a hint. */
  readonly awaitChange: (after: number) => Effect.Effect<void>
}
