/** How every store makes the records that it hands out. */
import type { EventRecord } from "../Event.ts"

type Unfrozen = { -readonly [Field in keyof EventRecord]: EventRecord[Field] }

/**
 * Makes plain objects by a constructor: of a literal whose objects outlive a collection V8 learns to make them in the old generation,
 * where a record that nobody needs any more keeps its payload alive until the next full collection.
 */
const Plain = function (this: Unfrozen, from: EventRecord): void {
  this.sequenceNumber = from.sequenceNumber
  this.eventId = from.eventId
  this.eventType = from.eventType
  this.schemaVersion = from.schemaVersion
  this.payload = from.payload
  this.tags = from.tags
  this.metadata = from.metadata
  this.occurredAt = from.occurredAt
} as unknown as new (from: EventRecord) => EventRecord
Plain.prototype = Object.prototype

/** The record with these values, which are frozen already. */
export const frozenRecord = (from: EventRecord): EventRecord => Object.freeze(new Plain(from))
