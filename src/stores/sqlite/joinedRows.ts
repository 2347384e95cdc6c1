/** Rows that the database joins into two texts: the driver makes two values of them instead of nine for each. */
import type { JsonValue } from "../Event.ts"
import { parseJoined, toRecords } from "../internal/joinedColumns.ts"
import { shortTextLists } from "../internal/plainTexts.ts"
import { columns, ReadRecord } from "../internal/rows.ts"

/** Rows to join into one text: larger ones are handled more slowly. */
export const rowsPerText = 64

/** Bytes of a payload that is not joined. A text without it does not have a payload for every row. */
const largePayload = 65_536

/** Numbers with what a column has there, in turns, of those rows alone where that is not the usual. */
const exceptions = (column: string, usual: string) =>
  `coalesce(group_concat(sequence_number || ',' || coalesce(${column}, 'null')) FILTER (WHERE ${column} IS NOT ${usual}), '')`

/** The columns that `fromJoined` reads, of rows in the order in which they are found. */
export const joinedColumns = `
'[[' || group_concat(sequence_number) || '],'
|| json_group_array(event_id) || ','
|| json_group_array(event_type) || ',['
|| ${exceptions("schema_version", "1")} || '],['
|| group_concat(CASE WHEN octet_length(payload) <= ${largePayload} THEN payload END) || '],['
|| group_concat(metadata) || '],['
|| group_concat(occurred_at) || '],['
|| ${exceptions("batch_end", "sequence_number")} || ']]',
group_concat(tags)`

/** One row of `joinedColumns`. Both are null where there are no rows, the first where no payload is joined. */
export type JoinedRow = readonly [text: string | null, tags: string | null]

/** What the text holds, unless a payload in it is no JSON. */
type Joined = readonly [
  numbers: ReadonlyArray<number>,
  eventIds: ReadonlyArray<string>,
  eventTypes: ReadonlyArray<string>,
  otherVersions: ReadonlyArray<number | null>,
  payloads: ReadonlyArray<JsonValue>,
  metadata: ReadonlyArray<JsonValue>,
  occurredAt: ReadonlyArray<number>,
  otherBatchEnds: ReadonlyArray<number | null>
]

/**
 * The records of all numbers after one and up to another; `undefined` where that is not what the texts hold, because a payload
 * is large or a row cannot be read. Rows that are then read one by one say what is wrong.
 */
export const fromJoined = ([text, tagLists]: JoinedRow, after: number, upTo: number): Array<ReadRecord> | undefined => {
  if (text === null || tagLists === null) return undefined
  const joined = parseJoined(text) as Joined | undefined
  // All columns but the tags.
  if (joined?.length !== columns.length - 1) return undefined
  const [numbers, eventIds, eventTypes, otherVersions, payloads, metadata, occurredAt, otherBatchEnds] = joined
  const schemaVersions = completed(numbers, otherVersions, () => 1)
  const batchEnds = completed(numbers, otherBatchEnds, (number) => number)
  const tags = shortTextLists(tagLists) ?? (parseJoined(`[${tagLists}]`) as ReadonlyArray<JsonValue> | undefined)
  if (schemaVersions === undefined || batchEnds === undefined || tags === undefined) return undefined
  const records = toRecords({ numbers, eventIds, eventTypes, schemaVersions, payloads, tags, metadata, occurredAt })
  if (records?.length !== upTo - after) return undefined
  const meanLength = Math.ceil((text.length + tagLists.length) / records.length)
  const read: Array<ReadRecord> = []
  for (let index = 0; index < records.length; index++) {
    const number = after + 1 + index
    const batchEnd = batchEnds[index]!
    if (numbers[index] !== number || batchEnd < number) return undefined
    read.push(new ReadRecord(records[index]!, batchEnd, meanLength))
  }
  return read
}

/** A value for each number, from the exceptions or the usual one. `undefined` where an exception is none, or of no number. */
const completed = (
  numbers: ReadonlyArray<number>,
  others: ReadonlyArray<number | null>,
  usual: (number: number) => number
): Array<number> | undefined => {
  const values: Array<number> = []
  let used = 0
  for (const number of numbers) {
    const isUsual = others[used] !== number
    const value = isUsual ? usual(number) : others[used + 1]
    if (typeof value !== "number") return undefined
    values.push(value)
    if (!isUsual) used += 2
  }
  return used === others.length ? values : undefined
}
