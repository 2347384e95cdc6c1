/**
 * The text of a record, written byte by byte where that is what JSON has: printable ASCII without quotes and backslashes, which
 * most records are. To make a string first takes no less time, and leaves it to the garbage collector.
 *
 * Whoever finds something else, or no room, goes on at the end of the buffer, where nothing is written any more.
 */
import type { EventRecord, JsonValue } from "../Event.ts"

/** Writes the record's parts between NULs at `offset` and returns where they end; the buffer's end if that was not possible. */
export const writePlain = (bytes: Buffer, offset: number, record: EventRecord): number => {
  const { eventId, eventType, metadata, payload, tags } = record
  let at = writeText(bytes, offset, eventId)
  at = writeText(bytes, writeByte(bytes, at, separator), eventType)
  at = writeValue(bytes, writeByte(bytes, at, separator), payload)
  at = writeByte(bytes, at, separator)
  if (!isEmpty(metadata)) at = writeObject(bytes, at, metadata)
  for (let index = 0; index < tags.length; index++) {
    at = writeText(bytes, writeByte(bytes, at, separator), tags[index]!)
  }
  return at
}

const { hasOwnProperty } = Object.prototype

/** Whether the object has no enumerable properties of its own. */
export const isEmpty = (object: object): boolean => {
  for (const key in object) if (hasOwnProperty.call(object, key)) return false
  return true
}

const separator = 0
const [quote, comma, colon, backslash] = [0x22, 0x2c, 0x3a, 0x5c]
const [firstPrintable, lastPrintable] = [0x20, 0x7e]
const [openArray, closeArray, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d]

const writeByte = (bytes: Buffer, at: number, byte: number): number => {
  if (at >= bytes.length) return at
  bytes[at] = byte
  return at + 1
}

const writeText = (bytes: Buffer, at: number, text: string): number => {
  const { length } = text
  if (at + length > bytes.length) return bytes.length
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index)
    if (code < firstPrintable || code > lastPrintable || code === quote || code === backslash) return bytes.length
    bytes[at + index] = code
  }
  return at + length
}

const writeQuoted = (bytes: Buffer, at: number, text: string): number =>
  writeByte(bytes, writeText(bytes, writeByte(bytes, at, quote), text), quote)

const writeValue = (bytes: Buffer, at: number, value: JsonValue): number => {
  if (typeof value === "string") return writeQuoted(bytes, at, value)
  if (value === null || typeof value !== "object") return writeText(bytes, at, String(value))
  return Array.isArray(value)
    ? writeArray(bytes, at, value as ReadonlyArray<JsonValue>)
    : writeObject(bytes, at, value as Readonly<Record<string, JsonValue>>)
}

const writeArray = (bytes: Buffer, offset: number, values: ReadonlyArray<JsonValue>): number => {
  let at = writeByte(bytes, offset, openArray)
  for (let index = 0; index < values.length; index++) {
    if (index > 0) at = writeByte(bytes, at, comma)
    at = writeValue(bytes, at, values[index]!)
  }
  return writeByte(bytes, at, closeArray)
}

const writeObject = (bytes: Buffer, offset: number, object: Readonly<Record<string, JsonValue>>): number => {
  let at = writeByte(bytes, offset, openObject)
  let isFirst = true
  for (const key in object) {
    if (!hasOwnProperty.call(object, key)) continue
    if (!isFirst) at = writeByte(bytes, at, comma)
    isFirst = false
    at = writeByte(bytes, writeQuoted(bytes, at, key), colon)
    at = writeValue(bytes, at, object[key]!)
  }
  return writeByte(bytes, at, closeObject)
}
