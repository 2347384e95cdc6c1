/**
 * Events as they are offered to a store and as they are recorded.
 *
 * Everything here is plain, JSON-serialisable, readonly data. What a store hands out is deeply frozen: a record can be
 * shared between readers, and nobody can change it for somebody else (contract A5).
 */

/** A JSON scalar. */
export type JsonScalar = string | number | boolean | null

/** Any JSON value: what a payload is made of. */
export type JsonValue = JsonScalar | ReadonlyArray<JsonValue> | { readonly [key: string]: JsonValue }

/** String to string, never part of matching: correlation id, causation id, actor and the like. */
export type Metadata = Readonly<Record<string, string>>

/**
 * An event that has not been recorded yet.
 *
 * Limits are listed in `Limits`. `-0` is stored as `0`, object properties that are `undefined` are dropped, everything
 * else that JSON cannot express is refused with `InvalidInput`.
 */
export interface NewEvent {
  /** Name of the event's type, 1 to 255 UTF-8 bytes. */
  readonly eventType: string
  /** Any JSON value. `undefined` is refused, `null` is a value. */
  readonly payload: unknown
  /** What the event is about, for queries; order and duplicates are irrelevant. Default: none. */
  readonly tags?: ReadonlyArray<string> | undefined
  /** UUID, unique in the log. Default: a generated UUID version 7. */
  readonly eventId?: string | undefined
  /** Version of the payload's schema, an integer of at least 1. Default: 1. */
  readonly schemaVersion?: number | undefined
  /** Default: empty. */
  readonly metadata?: Metadata | undefined
}

/** An event as the log holds it. Deeply frozen. */
export interface EventRecord {
  /** Position in the log: 1, 2, 3 ... without gaps, in commit order (A1). */
  readonly sequenceNumber: number
  /** Lower-case UUID. */
  readonly eventId: string
  readonly eventType: string
  readonly schemaVersion: number
  readonly payload: JsonValue
  /** Distinct, sorted by UTF-16 code unit. */
  readonly tags: ReadonlyArray<string>
  readonly metadata: Metadata
  /** When the store recorded it: milliseconds since the Unix epoch, a whole number. Not an ordering key. */
  readonly occurredAt: number
}

/**
 * The records of one committed append that match a stream's query, in order and never empty: what streams deliver (S1).
 */
export type EventBatch = ReadonlyArray<EventRecord>
