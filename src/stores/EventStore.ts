/**
 * The event store: an append-only log with one global order, query-defined consistency, live and durable streams.
 *
 * The guarantees are written on the members, with the numbers of the contract's rules; every store keeps them, and the
 * conformance suite runs each of them against every store.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { DurableStream } from "./DurableStream.ts"
import type { EventRecord, NewEvent } from "./Event.ts"
import type { EventQuery } from "./EventQuery.ts"
import type { ConditionalAppendConflict, EventStoreError } from "./EventStoreError.ts"
import type { BatchHandler, DurableStreamOptions, EventStream, StreamOptions } from "./EventStream.ts"
import type { Workspace } from "./Workspace.ts"

/** What a query saw. All of it comes from one snapshot (Q5). */
export interface QueryResult {
  /** The records that match and come after the read cursor, in ascending order (Q1, Q2). */
  readonly eventRecords: ReadonlyArray<EventRecord>
  /** The last number in `eventRecords`, `null` when there is none (Q4). */
  readonly lastReturnedSequenceNumber: number | null
  /** The last number of all events that match, whatever the read cursor; `null` when none does (Q3). */
  readonly currentContextVersion: number | null
  /** The log's last number, `null` when it is empty. */
  readonly headSequenceNumber: number | null
}

/** One committed append: a consecutive range of numbers (A2). */
export interface AppendResult {
  readonly firstSequenceNumber: number
  readonly lastSequenceNumber: number
  readonly committedCount: number
  /** Identifies the commit: the id of its first event. Whether an event has that id tells whether it happened (I2). */
  readonly commitId: string
  /** What was recorded. */
  readonly eventRecords: ReadonlyArray<EventRecord>
}

/** Options of `append`. */
export interface AppendOptions {
  /**
   * Makes the append repeatable (I1): a call with the same key and the same events gives the result of the first one and
   * records nothing, however often, from whichever process and at once. The events are the same when type, payload,
   * tags, schema version, metadata and the ids that the caller gave are; a condition takes no part. Other events under the
   * key are `IdempotencyMismatch`. An append that failed does not use its key up. 1 to 255 bytes of UTF-8, kept as long as
   * the log. Default: none, every call records its events.
   */
  readonly idempotencyKey?: string | undefined
}

/** What the caller of a conditional append knows, and wants to know of a conflict. */
export interface AppendIfOptions extends AppendOptions {
  /**
   * The `headSequenceNumber` of the snapshot in which the expected version was read. The check then looks only at what
   * was recorded after it, whatever the size of log or context. The caller vouches that up to this head the context's
   * version was the expected one. Default: unknown, the whole context is looked up.
   */
  readonly headSequenceNumber?: number | null | undefined
  /**
   * Whether a conflict carries the context's records after `headSequenceNumber` (or, where that is unknown, after the
   * expected version), so that a retry needs no second read (C3). Default: false.
   */
  readonly conflictTail?: boolean | undefined
}

/** Options of `appendBatchesIf`. An idempotency key stands for one append, so there is none for several. */
export interface AppendBatchesIfOptions extends Omit<AppendIfOptions, "idempotencyKey"> {
  /**
   * Decides again when the context has changed: given the conflict with its tail, the batches to record instead, none at all
   * (`[]`), or `undefined` to fail with the conflict. Called synchronously under the store's write lock, so what it gives
   * cannot conflict again; it has to be pure and quick. Where the transaction was undone, it may be called again: what it gave
   * last counts. A store that cannot decide under its lock reports the conflict.
   */
  readonly revise?:
    ((conflict: ConditionalAppendConflict) => ReadonlyArray<ReadonlyArray<NewEvent>> | undefined) | undefined
}

/** The contract of an event store. */
export interface EventStore {
  /**
   * Records all events or none, as one consecutive range (A2), numbered without gaps in commit order (A1). A failed append
   * stores nothing, delivers nothing and consumes no number (A3). With an idempotency key it can be repeated (I1).
   */
  readonly append: (
    events: ReadonlyArray<NewEvent>,
    options?: AppendOptions
  ) => Effect.Effect<AppendResult, EventStoreError>

  /** Reads what matches, with the context's version and the log's head, in one snapshot (Q1 to Q5). Default: all events. */
  readonly query: (query?: EventQuery) => Effect.Effect<QueryResult, EventStoreError>

  /**
   * Records the events if, and only if, the version of the context is the expected one; `null` means an empty context and
   * 0 is a number like any other (C1). Serialised against every other append (C2). Otherwise
   * `ConditionalAppendConflict`. A repetition under an idempotency key gets the first result without a look at the
   * condition, which the first one itself has changed (I1).
   */
  readonly appendIf: (
    events: ReadonlyArray<NewEvent>,
    contextQuery: EventQuery,
    expectedContextVersion: number | null,
    options?: AppendIfOptions
  ) => Effect.Effect<AppendResult, EventStoreError>

  /**
   * Records several appends under one check: if the context's version is the expected one, every batch is recorded as an
   * append of its own, in order and without anything in between; otherwise none is. What a lane of commands commits.
   */
  readonly appendBatchesIf: (
    batches: ReadonlyArray<ReadonlyArray<NewEvent>>,
    contextQuery: EventQuery,
    expectedContextVersion: number | null,
    options?: AppendBatchesIfOptions
  ) => Effect.Effect<ReadonlyArray<AppendResult>, EventStoreError>

  /**
   * Delivers every batch committed after the registration resolved, by whichever process, and nothing older (S1, S2). The
   * handler runs with the services of the caller; its failure rolls nothing back and disturbs no other stream (S3).
   */
  readonly streamAll: <E, R>(
    handler: BatchHandler<E, R>,
    options?: StreamOptions
  ) => Effect.Effect<EventStream, EventStoreError, R>

  /**
   * Like `streamAll`, with the records that match: one filtered batch for a committed one, nothing when no record
   * matches. A read cursor in the query is refused: a live stream starts at the head.
   */
  readonly streamTo: <E, R>(
    query: EventQuery,
    handler: BatchHandler<E, R>,
    options?: StreamOptions
  ) => Effect.Effect<EventStream, EventStoreError, R>

  /** `streamToDurable` for all events. */
  readonly streamAllDurable: <E, R>(
    stream: DurableStream,
    handler: BatchHandler<E, R>,
    options?: DurableStreamOptions
  ) => Effect.Effect<EventStream, EventStoreError, R>

  /**
   * Delivers what matches, batch by batch, from the stored cursor of the stream's name on, and goes on with what is committed
   * later (D1). The cursor moves when the handler has succeeded, never back, never past a batch that was not delivered (D2); so
   * a batch is delivered again only where a process ended between the two. After a failure nothing later is delivered; when the
   * last retry has failed the stream stops (D3).
   *
   * One process at a time delivers a name; others that have registered it wait, and take over (D5). Fails with
   * `DurableStreamActive` where this store has registered it already, with `DurableStreamMismatch` where the name belongs to
   * another query (D4), with `CursorAheadOfLog` where the log has lost events that were delivered (D7). A read cursor in
   * the query is refused.
   */
  readonly streamToDurable: <E, R>(
    stream: DurableStream,
    query: EventQuery,
    handler: BatchHandler<E, R>,
    options?: DurableStreamOptions
  ) => Effect.Effect<EventStream, EventStoreError, R>

  /** What projections and reactors stand on: transactions in the store's database, and streams whose cursor moves in them. */
  readonly workspace: Workspace
}

/** The event store as a service. */
export const EventStore: Context.Service<EventStore, EventStore> = Context.Service<EventStore>("evolvent/EventStore")
