/**
 * Rows that the database joins into one JSON text: taken over and parsed together, they cost half of what they cost one by one,
 * because the driver makes one value of them instead of nine for each, and the parser knows their shape after the first.
 */
import type { EventRecord, JsonValue } from "../Event.ts"
import { freezeJson } from "../internal/freezeJson.ts"
import { columns, ReadRecord, toMetadata, toTags } from "../internal/rows.ts"

/** Rows to join into one text: larger ones are handled more slowly. */
export const rowsPerText = 64

/** Bytes of a payload that is not joined. A text without it does not have a payload for every row. */
const largePayload = 65_536

/** The column that `fromJoined` reads, of rows in the order in which they are found. */
export const joinedColumns = `
'[[' || group_concat(sequence_number) || '],'
|| json_group_array(event_id) || ','
|| json_group_array(event_type) || ',['
|| group_concat(schema_version) || '],['
|| group_concat(CASE WHEN octet_length(payload) <= ${largePayload} THEN payload END) || '],['
|| group_concat(tags) || '],['
|| group_concat(metadata) || '],['
|| group_concat(occurred_at) || '],['
|| group_concat(batch_end) || ']]'`

type Joined = readonly [
  numbers: ReadonlyArray<number>,
  eventIds: ReadonlyArray<string>,
  eventTypes: ReadonlyArray<string>,
  schemaVersions: ReadonlyArray<number>,
  payloads: ReadonlyArray<JsonValue>,
  tags: ReadonlyArray<JsonValue>,
  metadata: ReadonlyArray<JsonValue>,
  occurredAt: ReadonlyArray<number>,
  batchEnds: ReadonlyArray<number>
]

/**
 * The records of all numbers after one and up to another; `undefined` where that is not what the text holds, because a payload
 * is large or a row cannot be read. Rows that are then read one by one say what is wrong.
 */
export const fromJoined = (text: string | null, after: number, upTo: number): Array<ReadRecord> | undefined => {
  const joined = parse(text)
  const count = upTo - after
  if (joined?.length !== columns.length || joined.some((column) => column.length !== count)) return undefined
  const [numbers, eventIds, eventTypes, schemaVersions, payloads, tags, metadata, occurredAt, batchEnds] = joined
  const meanLength = Math.ceil(text!.length / count)
  const records: Array<ReadRecord> = []
  for (let index = 0; index < count; index++) {
    const number = numbers[index]!
    const ownTags = toTags(tags[index]!)
    const ownMetadata = toMetadata(metadata[index]!)
    const isAsExpected = number === after + 1 + index && batchEnds[index]! >= number
    if (!isAsExpected || ownTags === undefined || ownMetadata === undefined) return undefined
    const record: EventRecord = Object.freeze({
      sequenceNumber: number,
      eventId: eventIds[index]!,
      eventType: eventTypes[index]!,
      schemaVersion: schemaVersions[index]!,
      payload: freezeJson(payloads[index]!),
      tags: ownTags,
      metadata: ownMetadata,
      occurredAt: occurredAt[index]!
    })
    records.push(new ReadRecord(record, batchEnds[index]!, meanLength))
  }
  return records
}

/** Only a payload that is no JSON keeps the text from being what the statement makes. */
const parse = (text: string | null): Joined | undefined => {
  if (text === null) return undefined
  try {
    return JSON.parse(text) as Joined
  } catch {
    return undefined
  }
}
