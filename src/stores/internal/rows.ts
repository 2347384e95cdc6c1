/** Events to rows and back. A row that cannot be read is `CorruptLog`, naming its number (L2). */
import type { EventRecord, JsonValue } from "../Event.ts"
import { freezeJson } from "./freezeJson.ts"
import { CorruptLog } from "../EventStoreError.ts"
import { frozenRecord } from "./frozenRecord.ts"
import type { NormalisedEvent } from "./normaliseEvents.ts"
import { plainTexts } from "./plainTexts.ts"
import type { StoredRecord } from "./reading.ts"

/** The columns of an event, in the order in which rows are written and read. */
export const columns = [
  "sequence_number",
  "event_id",
  "event_type",
  "schema_version",
  "payload",
  "tags",
  "metadata",
  "occurred_at",
  "batch_end"
] as const

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

/** A record as it was read. */
export class ReadRecord implements StoredRecord {
  readonly record: EventRecord
  readonly batchEnd: number
  readonly payloadLength: number

  constructor(record: EventRecord, batchEnd: number, payloadLength: number) {
    this.record = record
    this.batchEnd = batchEnd
    this.payloadLength = payloadLength
  }
}

/**
 * Reads a row that should hold the number `expected`; the row's columns begin at `offset`. Whole numbers may come as text.
 * Throws `CorruptLog`.
 */
export const fromRow = (row: ReadonlyArray<unknown>, expected: number, offset = 0): ReadRecord => {
  const batchEnd = Number(row[offset + 8])
  if (row[offset] === null || Number(row[offset]) !== expected) corrupt(expected, "the event is missing")
  if (batchEnd < expected) corrupt(expected, "its batch ends before it")
  if (row[offset + 1] === null) corrupt(expected, "it has no event_id")
  if (row[offset + 2] === null) corrupt(expected, "it has no event_type")
  if (row[offset + 3] === null) corrupt(expected, "it has no schema_version")
  if (row[offset + 7] === null) corrupt(expected, "it has no occurred_at")
  const payload = row[offset + 4] as string
  const record = frozenRecord({
    sequenceNumber: expected,
    eventId: row[offset + 1] as string,
    eventType: row[offset + 2] as string,
    schemaVersion: Number(row[offset + 3]),
    payload: freezeJson(parse(payload, expected, "payload")),
    tags: parseTags(row[offset + 5] as string, expected),
    metadata: parseMetadata(row[offset + 6] as string, expected),
    occurredAt: Number(row[offset + 7])
  })
  return new ReadRecord(record, batchEnd, payload.length)
}

const noTags: EventRecord["tags"] = Object.freeze([])
const noMetadata: EventRecord["metadata"] = Object.freeze({})

const parseTags = (text: string, expected: number): EventRecord["tags"] => {
  if (text === "[]") return noTags
  const plain = plainTexts(text)
  if (plain !== undefined) return Object.freeze(plain)
  return toTags(parse(text, expected, "tags")) ?? corrupt(expected, "its tags are not an array of texts")
}

/** Freezes tags that were just parsed; `undefined` for anything else. */
export const toTags = (value: JsonValue): EventRecord["tags"] | undefined => {
  if (!Array.isArray(value)) return undefined
  const tags: ReadonlyArray<JsonValue> = value
  for (let index = 0; index < tags.length; index++) if (typeof tags[index] !== "string") return undefined
  return tags.length === 0 ? noTags : (Object.freeze(tags) as EventRecord["tags"])
}

const parseMetadata = (text: string, expected: number): EventRecord["metadata"] =>
  text === "{}"
    ? noMetadata
    : (toMetadata(parse(text, expected, "metadata")) ?? corrupt(expected, "its metadata is not an object of texts"))

/** Freezes metadata that was just parsed; `undefined` for anything else. */
export const toMetadata = (value: JsonValue): EventRecord["metadata"] | undefined => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined
  const texts = Object.values(value)
  if (texts.length === 0) return noMetadata
  return texts.every(isText) ? (Object.freeze(value) as EventRecord["metadata"]) : undefined
}

const isText = (value: JsonValue): value is string => typeof value === "string"

/** Throws `CorruptLog`. */
export const corrupt = (sequenceNumber: number, problem: string): never => {
  throw new CorruptLog({ sequenceNumber, problem })
}

const parse = (text: string, sequenceNumber: number, column: string): JsonValue => {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return corrupt(sequenceNumber, `its ${column} is not JSON`)
  }
}
