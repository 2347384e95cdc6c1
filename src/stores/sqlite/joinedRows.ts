/** Rows that the database joins into one JSON text: the driver makes one value of them instead of nine for each. */
import type { JsonValue } from "../Event.ts"
import { parseJoined, toRecords } from "../internal/joinedColumns.ts"
import { columns, ReadRecord } from "../internal/rows.ts"

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

/** What the text holds, unless a payload in it is no JSON. */
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
  const joined = text === null ? undefined : (parseJoined(text) as Joined | undefined)
  if (joined?.length !== columns.length) return undefined
  const [numbers, eventIds, eventTypes, schemaVersions, payloads, tags, metadata, occurredAt, batchEnds] = joined
  const records = toRecords({ numbers, eventIds, eventTypes, schemaVersions, payloads, tags, metadata, occurredAt })
  if (records?.length !== upTo - after || batchEnds.length !== records.length) return undefined
  const meanLength = Math.ceil(text!.length / records.length)
  const read: Array<ReadRecord> = []
  for (let index = 0; index < records.length; index++) {
    const number = after + 1 + index
    const batchEnd = batchEnds[index]!
    if (numbers[index] !== number || batchEnd < number) return undefined
    read.push(new ReadRecord(records[index]!, batchEnd, meanLength))
  }
  return read
}
