/** The columns of an event, how much of them comes in one answer, and how many events come as one text a column. */
import type { EventRecord, JsonValue } from "../Event.ts"
import { parseJoined, toRecords } from "../internal/joinedColumns.ts"
import { columns } from "../internal/rows.ts"

/** The columns of an event, read from the table or subquery of that name. */
export const columnsOf = (name: string): string => columns.map((column) => `${name}.${column}`).join(", ")

/** Bytes of payloads in one answer, after which rows come without one. */
const bytesPerAnswer = 8_388_608

/** The columns of a row with a running sum `bytes`; the payload only as long as the rows before it are not too much together. */
export const cutOff = (name: string, type = ""): string =>
  columns
    .map((column) =>
      column === "payload"
        ? `CASE WHEN ${name}.bytes OPERATOR(pg_catalog.-) pg_catalog.octet_length(${name}.payload)
      OPERATOR(pg_catalog.<) ${bytesPerAnswer} THEN ${name}.payload END`
        : `${name}.${column}${type}`
    )
    .join(", ")

/** Bytes of an event's texts above which it does not come joined to others. */
const bytesPerJoined = 4_096

/** Events that are joined at most, so that no text gets too large for the server. */
export const mostJoined = 20_000

/** Stands between joined texts. It cannot occur in JSON, and a type that has it is not joined. */
const separator = "\u001e"
const separatorSql = "E'\\x1e'"

/**
 * The columns of many rows but the end of the batch, each joined to one text: that is formatted, sent and read in a fraction of the
 * time that rows take. For functions with a search path of their own.
 */
export const joined = (name: string): string => `string_agg(${name}.sequence_number::text, ','),
      string_agg(${name}.event_id::text, '","'), string_agg(${name}.event_type, ${separatorSql}),
      string_agg(${name}.schema_version::text, ','), string_agg(${name}.payload, ${separatorSql}),
      string_agg(${name}.tags, ${separatorSql}), string_agg(${name}.metadata, ${separatorSql}),
      string_agg(${name}.occurred_at::text, ',')`

/** Which rows are joined: none that would make the texts too large, come apart at another place, or not be an event. */
export const mayBeJoined = (name: string): string =>
  `octet_length(${name}.payload) + octet_length(${name}.tags) + octet_length(${name}.metadata) <= ${bytesPerJoined}
      AND strpos(${name}.event_type, ${separatorSql}) = 0 AND ${name}.batch_end >= ${name}.sequence_number`

/**
 * Takes joined columns apart. None where there is nothing to take apart, and where `toRecords` gives none: an event is damaged, or has
 * the separator in its type.
 */
export const separated = (texts: ReadonlyArray<string | null>): ReadonlyArray<EventRecord> => {
  if (texts.includes(null)) return []
  const [numbers, ids, types, versions, payloads, tags, metadata, times] = texts as ReadonlyArray<string>
  return (
    toRecords({
      numbers: wholeNumbers(numbers!),
      eventIds: JSON.parse(`["${ids!}"]`) as Array<string>,
      eventTypes: distinctly(types!.split(separator)),
      schemaVersions: wholeNumbers(versions!),
      payloads: jsonValues(payloads!),
      tags: jsonValues(tags!),
      metadata: jsonValues(metadata!),
      occurredAt: wholeNumbers(times!)
    }) ?? []
  )
}

/** The values of joined JSON; none where it is no JSON. */
const jsonValues = (text: string): ReadonlyArray<JsonValue> =>
  (parseJoined(`[${text.replaceAll(separator, ",")}]`) ?? []) as ReadonlyArray<JsonValue>

const wholeNumbers = (text: string): Array<number> => JSON.parse(`[${text}]`) as Array<number>

/** One string for all that are equal, which does not keep the text alive that it was a part of. */
const distinctly = (texts: Array<string>): Array<string> => {
  const known = new Map<string, string>()
  return texts.map((text) => {
    const same = known.get(text) ?? (JSON.parse(JSON.stringify(text)) as string)
    known.set(same, same)
    return same
  })
}
