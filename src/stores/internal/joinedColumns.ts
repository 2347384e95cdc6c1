/**
 * Events that were read column by column: the database joins the texts of many rows into one, and the parser that takes them
 * apart knows the shape of an event after the first. That is half the work of reading them one by one.
 */
import type { EventRecord, JsonValue } from "../Event.ts"
import { freezeJson } from "./freezeJson.ts"
import { frozenRecord } from "./frozenRecord.ts"
import { toMetadata, toTags } from "./rows.ts"

/** The values of each column, one for every event. */
export interface JoinedColumns {
  readonly numbers: ReadonlyArray<number>
  readonly eventIds: ReadonlyArray<string>
  readonly eventTypes: ReadonlyArray<string>
  readonly schemaVersions: ReadonlyArray<number>
  readonly payloads: ReadonlyArray<JsonValue>
  readonly tags: ReadonlyArray<JsonValue>
  readonly metadata: ReadonlyArray<JsonValue>
  readonly occurredAt: ReadonlyArray<number>
}

/**
 * The records, which have the values for their own from here on. `undefined` where the columns do not belong together: an event is
 * damaged or lacks a value, and only its own row says which one that is.
 */
export const toRecords = (columns: JoinedColumns): Array<EventRecord> | undefined => {
  const { eventIds, eventTypes, metadata, numbers, occurredAt, payloads, schemaVersions, tags } = columns
  for (const { length } of [eventIds, eventTypes, schemaVersions, payloads, tags, metadata, occurredAt]) {
    if (length !== numbers.length) return undefined
  }
  const records: Array<EventRecord> = []
  for (let index = 0; index < numbers.length; index++) {
    const ownTags = toTags(tags[index]!)
    const ownMetadata = toMetadata(metadata[index]!)
    if (ownTags === undefined || ownMetadata === undefined) return undefined
    records.push(
      frozenRecord({
        sequenceNumber: numbers[index]!,
        eventId: eventIds[index]!,
        eventType: eventTypes[index]!,
        schemaVersion: schemaVersions[index]!,
        payload: freezeJson(payloads[index]!),
        tags: ownTags,
        metadata: ownMetadata,
        occurredAt: occurredAt[index]!
      })
    )
  }
  return records
}

/** What a text should be that was joined from JSON; `undefined` where it is none. */
export const parseJoined = (text: string): JsonValue | undefined => {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return undefined
  }
}
