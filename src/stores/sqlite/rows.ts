/** Events to rows and back. A row that cannot be read is `CorruptLog`, naming its number (L2). */
import type { EventRecord, JsonValue } from "../Event.ts"
import { CorruptLog } from "../EventStoreError.ts"
import type { NormalisedEvent } from "../internal/normaliseEvents.ts"
import type { StoredRecord } from "../internal/reading.ts"
import type { EventRow } from "./statements.ts"

/** The parts of an event that are stored as JSON text. */
export interface EventText {
  readonly payload: string
  readonly tags: string
  readonly metadata: string
}

/** The texts of an event, made before the database is locked. */
export const toText = (event: NormalisedEvent): EventText => ({
  payload: JSON.stringify(event.payload),
  tags: event.tags.length === 0 ? "[]" : JSON.stringify(event.tags),
  metadata: JSON.stringify(event.metadata)
})

/** Reads a row that should hold the number `expected`. Throws `CorruptLog`. */
export const fromRow = (row: EventRow, expected: number): StoredRecord => {
  const [sequenceNumber, eventId, eventType, schemaVersion, payload, tags, metadata, occurredAt, batchEnd] = row
  if (sequenceNumber !== expected) corrupt(expected, "the event is missing")
  if (batchEnd < sequenceNumber) corrupt(expected, "its batch ends before it")
  return {
    record: Object.freeze({
      sequenceNumber,
      eventId,
      eventType,
      schemaVersion,
      payload: parse(payload, expected, "payload"),
      tags: parse(tags, expected, "tags") as EventRecord["tags"],
      metadata: parse(metadata, expected, "metadata") as EventRecord["metadata"],
      occurredAt
    }),
    batchEnd
  }
}

/** Throws `CorruptLog`. */
export const corrupt = (sequenceNumber: number, problem: string): never => {
  throw new CorruptLog({ sequenceNumber, problem })
}

const parse = (text: string, sequenceNumber: number, column: string): JsonValue => {
  try {
    return freeze(JSON.parse(text) as JsonValue)
  } catch {
    return corrupt(sequenceNumber, `its ${column} is not JSON`)
  }
}

const freeze = (value: JsonValue): JsonValue => {
  if (value === null || typeof value !== "object") return value
  if (Array.isArray(value)) for (const element of value) freeze(element)
  else for (const key of Object.keys(value)) freeze((value as Readonly<Record<string, JsonValue>>)[key]!)
  return Object.freeze(value)
}
