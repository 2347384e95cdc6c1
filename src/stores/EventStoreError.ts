/**
 * `EventStoreError`, the one error of an event store, and the closed union of its reasons (the contract's "Errors").
 *
 * Each reason says whether the same call may be tried again (`retryable`), whether it may have been committed in spite of
 * the error (`mayHaveCommitted`), and in its message what to do next. Messages carry numbers and names, never payloads,
 * passwords or connection strings. Match on a reason with `Effect.catchReason("EventStoreError", "StoreBusy", ...)`.
 */
import * as Schema from "effect/Schema"
import type { EventRecord } from "./Event.ts"

const Position = Schema.NullOr(Schema.Number)

/** `append` or `appendIf` was called without events (A4). */
export class EmptyAppend extends Schema.TaggedError<EmptyAppend>("evolvent/EmptyAppend")("EmptyAppend", {}) {
  readonly retryable = false
  readonly mayHaveCommitted = false
  override get message() {
    return "There are no events to append: pass at least one event, or do not call the store."
  }
}

/** The input breaks a rule of the contract. Nothing was stored. */
export class InvalidInput extends Schema.TaggedError<InvalidInput>("evolvent/InvalidInput")("InvalidInput", {
  /** Where in the arguments, for example `events[2].payload.price`. */
  path: Schema.String,
  /** What is wrong there and what is expected. */
  problem: Schema.String
}) {
  readonly retryable = false
  readonly mayHaveCommitted = false
  override get message() {
    return `${this.path}: ${this.problem}`
  }
}

/** The input is larger than a limit of the contract (see `Limits`). Nothing was stored. */
export class LimitExceeded extends Schema.TaggedError<LimitExceeded>("evolvent/LimitExceeded")("LimitExceeded", {
  path: Schema.String,
  /** Name of the limit with its unit, for example `bytes of a payload`. */
  what: Schema.String,
  limit: Schema.Number,
  /** What was found; where counting stopped early, the first number past the limit. */
  actual: Schema.Number
}) {
  readonly retryable = false
  readonly mayHaveCommitted = false
  override get message() {
    return `${this.path}: at most ${this.limit} ${this.what}, found ${this.actual}. Split or shrink the input.`
  }
}

/** The context changed since the caller saw it: its version is `actual`, not `expected` (C1). Nothing was stored. */
export class ConditionalAppendConflict extends Schema.TaggedError<ConditionalAppendConflict>(
  "evolvent/ConditionalAppendConflict"
)("ConditionalAppendConflict", {
  expected: Position,
  actual: Position,
  /** The log's last number in the snapshot that the check was made on; 0 when the log is empty. */
  headSequenceNumber: Schema.Number
}) {
  readonly retryable = true
  readonly mayHaveCommitted = false
  /**
   * On request (C3): the records of the context after the position that the caller named, complete up to
   * `headSequenceNumber`. Not enumerable, so that a logged error shows no payload.
   */
  declare readonly tail: ReadonlyArray<EventRecord> | undefined
  override get message() {
    return `The context's version is ${this.actual}, not ${this.expected}: read the context again, decide again, append again.`
  }

  static withTail(
    fields: { expected: number | null; actual: number | null; headSequenceNumber: number },
    tail: ReadonlyArray<EventRecord> | undefined
  ): ConditionalAppendConflict {
    return Object.defineProperty(new ConditionalAppendConflict(fields), "tail", { value: tail, enumerable: false })
  }
}

/** The answer to a commit was lost and the store could not find out whether it happened (I2). */
export class CommitUnknown extends Schema.TaggedError<CommitUnknown>("evolvent/CommitUnknown")("CommitUnknown", {
  commitId: Schema.String
}) {
  readonly retryable = false
  readonly mayHaveCommitted = true
  override get message() {
    return `Whether commit ${this.commitId} happened is unknown: look for an event with this id before you append again.`
  }
}

/** The idempotency key was used before with other content (I1). */
export class IdempotencyMismatch extends Schema.TaggedError<IdempotencyMismatch>("evolvent/IdempotencyMismatch")(
  "IdempotencyMismatch",
  { idempotencyKey: Schema.String }
) {
  readonly retryable = false
  readonly mayHaveCommitted = false
  override get message() {
    return `The idempotency key ${JSON.stringify(this.idempotencyKey)} stands for other events: use a new key for new content.`
  }
}

/** The log would pass `Number.MAX_SAFE_INTEGER`. Nothing was stored. */
export class SequenceLimit extends Schema.TaggedError<SequenceLimit>("evolvent/SequenceLimit")("SequenceLimit", {
  headSequenceNumber: Schema.Number
}) {
  readonly retryable = false
  readonly mayHaveCommitted = false
  override get message() {
    return `The log ends at ${this.headSequenceNumber} and cannot number the events: start a new log.`
  }
}

/** The store was locked by others for longer than it may wait. Nothing was stored. */
export class StoreBusy extends Schema.TaggedError<StoreBusy>("evolvent/StoreBusy")("StoreBusy", {
  waitedMs: Schema.Number
}) {
  readonly retryable = true
  readonly mayHaveCommitted = false
  override get message() {
    return `The store was locked by other writers for ${this.waitedMs} ms: try again later, or allow a longer wait.`
  }
}

/** The store could not be reached, or failed in a way that says nothing about the input. */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>("evolvent/StoreUnavailable")(
  "StoreUnavailable",
  {
    /** The driver's error code, for example `SQLITE_IOERR_READ`. */
    code: Schema.String,
    /** What the store was doing. */
    operation: Schema.String,
    /** Whether the failure may pass by itself, as an I/O error may and a missing right does not. */
    retryable: Schema.Boolean
  }
) {
  readonly mayHaveCommitted = false
  override get message() {
    return `The store failed to ${this.operation} (${this.code}): check the store, then try again.`
  }
}

/** The disk or the database is full. Nothing was stored. */
export class StorageFull extends Schema.TaggedError<StorageFull>("evolvent/StorageFull")("StorageFull", {
  code: Schema.String
}) {
  readonly retryable = false
  readonly mayHaveCommitted = false
  override get message() {
    return `The storage is full (${this.code}): make room, then try again.`
  }
}

/** The store is closed. */
export class StoreClosed extends Schema.TaggedError<StoreClosed>("evolvent/StoreClosed")("StoreClosed", {}) {
  readonly retryable = false
  readonly mayHaveCommitted = false
  override get message() {
    return "The store is closed: open it again."
  }
}

/** The log holds a row that is unreadable, missing or out of sequence (L2). */
export class CorruptLog extends Schema.TaggedError<CorruptLog>("evolvent/CorruptLog")("CorruptLog", {
  sequenceNumber: Schema.Number,
  problem: Schema.String
}) {
  readonly retryable = false
  readonly mayHaveCommitted = false
  override get message() {
    return `The log is corrupt at ${this.sequenceNumber}: ${this.problem}. Stop writing and restore a backup.`
  }
}

/** The database holds something else than a log that this version reads (L3). Nothing was changed. */
export class SchemaMismatch extends Schema.TaggedError<SchemaMismatch>("evolvent/SchemaMismatch")("SchemaMismatch", {
  /** What was expected, what was found, and what to do. */
  problem: Schema.String
}) {
  readonly retryable = false
  readonly mayHaveCommitted = false
  override get message() {
    return this.problem
  }
}

/** The durable stream's name belongs to another query, or the projection to another number of partitions (D4). */
export class DurableStreamMismatch extends Schema.TaggedError<DurableStreamMismatch>("evolvent/DurableStreamMismatch")(
  "DurableStreamMismatch",
  { stream: Schema.String }
) {
  readonly retryable = false
  readonly mayHaveCommitted = false
  override get message() {
    return (
      `The durable stream ${JSON.stringify(this.stream)} was registered with another query or number of partitions: ` +
      "use a new name or, for a projection, raise its version."
    )
  }
}

/** The durable stream is already active in this store (D5). */
export class DurableStreamActive extends Schema.TaggedError<DurableStreamActive>("evolvent/DurableStreamActive")(
  "DurableStreamActive",
  { stream: Schema.String }
) {
  readonly retryable = false
  readonly mayHaveCommitted = false
  override get message() {
    return `The durable stream ${JSON.stringify(this.stream)} is active already: unsubscribe it first.`
  }
}

/** A stored cursor lies beyond the log's end, as after a restored backup (D7). */
export class CursorAheadOfLog extends Schema.TaggedError<CursorAheadOfLog>("evolvent/CursorAheadOfLog")(
  "CursorAheadOfLog",
  { stream: Schema.String, cursor: Schema.Number, headSequenceNumber: Schema.Number }
) {
  readonly retryable = false
  readonly mayHaveCommitted = false
  override get message() {
    return (
      `The durable stream ${JSON.stringify(this.stream)} has seen ${this.cursor}, the log ends at ${this.headSequenceNumber}: ` +
      "the log was replaced by an older one; rebuild what the stream feeds and start it under a new name " +
      "or, for a projection, raise its version."
    )
  }
}

/** The cursor was taken over by another worker (D5). */
export class Fenced extends Schema.TaggedError<Fenced>("evolvent/Fenced")("Fenced", { stream: Schema.String }) {
  readonly retryable = false
  readonly mayHaveCommitted = false
  override get message() {
    return `Another worker has taken over the durable stream ${JSON.stringify(this.stream)}: this one must stop.`
  }
}

const Reason = Schema.Union([
  EmptyAppend,
  InvalidInput,
  LimitExceeded,
  ConditionalAppendConflict,
  CommitUnknown,
  IdempotencyMismatch,
  SequenceLimit,
  StoreBusy,
  StoreUnavailable,
  StorageFull,
  StoreClosed,
  CorruptLog,
  SchemaMismatch,
  DurableStreamMismatch,
  DurableStreamActive,
  CursorAheadOfLog,
  Fenced
])

/** Why a call to an event store failed: a closed union, discriminated by `_tag`. */
export type EventStoreErrorReason = typeof Reason.Type

/** The error of every operation of an event store; `reason` says which of the closed union it is. */
export class EventStoreError extends Schema.TaggedError<EventStoreError>("evolvent/EventStoreError")(
  "EventStoreError",
  { reason: Reason }
) {
  /** Whether the same call may succeed when it is made again. */
  get retryable(): boolean {
    return this.reason.retryable
  }
  /** Whether the call may have been committed in spite of the error. */
  get mayHaveCommitted(): boolean {
    return this.reason.mayHaveCommitted
  }
  override get message() {
    return `${this.reason._tag}: ${this.reason.message}`
  }
}

/** Wraps a reason. */
export const fromReason = (reason: EventStoreErrorReason): EventStoreError => new EventStoreError({ reason })
