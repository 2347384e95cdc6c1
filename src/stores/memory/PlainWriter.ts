/**
 * Writes a record's text byte by byte and makes its terms on the way: to look at a string's characters is most of the work, and
 * this does it once. To make a string first takes no less time, and leaves it to the garbage collector.
 *
 * It writes what is plain, as most records are: printable ASCII without quotes and backslashes, which is the same in JSON.
 */
import type { EventRecord, JsonValue } from "../Event.ts"
import type { Term } from "../internal/terms.ts"
import { addUnit, beginText, finish, pathOf, scalarTerm, seedOf, textSeed } from "../internal/terms.ts"

export class PlainWriter {
  private bytes: Uint8Array = new Uint8Array()
  /** Where the next byte goes; the end of the bytes, where nothing is written any more, once something was not plain or had no room. */
  private at = 0
  private terms: Array<Term> = []

  /**
   * Writes the record's parts at `offset`, each with a NUL after it, appends its terms, and returns where the text ends. That is the
   * end of the bytes if it was not possible; neither what was written nor the terms are good for anything then.
   */
  write(bytes: Uint8Array, offset: number, record: EventRecord, terms: Array<Term>): number {
    const { eventId, eventType, metadata, payload, tags } = record
    this.bytes = bytes
    this.at = offset
    this.terms = terms
    this.text(eventId, 0, separator)
    terms.push(finish(this.text(eventType, seedOf.type, separator)))
    this.value(payload, seedOf.payload)
    this.byte(separator)
    if (!isEmpty(metadata)) this.metadata(metadata)
    this.byte(separator)
    for (let index = 0; index < tags.length; index++) {
      terms.push(finish(this.text(tags[index]!, seedOf.tag, separator)))
    }
    return this.at
  }

  private byte(byte: number): void {
    if (this.at < this.bytes.length) this.bytes[this.at++] = byte
  }

  /** Writes a text and a byte after it, or goes to the end of the bytes. Returns the text's hash, which goes on from `seed`. */
  private text(text: string, seed: number, after: number): number {
    const { at, bytes } = this
    const end = at + text.length
    let hash = beginText(seed)
    this.at = bytes.length
    if (end >= bytes.length) return hash
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      if (code < firstPrintable || code > lastPrintable || code === quote || code === backslash) return hash
      bytes[at + index] = code
      hash = addUnit(hash, code)
    }
    bytes[end] = after
    this.at = end + 1
    return hash
  }

  private quoted(text: string, seed: number): number {
    this.byte(quote)
    return this.text(text, seed, quote)
  }

  private value(value: JsonValue, path: number): void {
    if (typeof value === "string") this.terms.push(finish(this.quoted(value, textSeed(path))))
    else if (value === null || typeof value !== "object") this.scalar(value, path)
    else if (Array.isArray(value)) this.array(value as ReadonlyArray<JsonValue>, pathOf.elements(path))
    else this.object(value as Readonly<Record<string, JsonValue>>, pathOf.members(path))
  }

  private scalar(value: number | boolean | null, path: number): void {
    if (typeof value === "number" && value === value >>> 0) this.digits(value)
    else for (let text = String(value), index = 0; index < text.length; index++) this.byte(text.charCodeAt(index))
    this.terms.push(scalarTerm(path, value))
  }

  /** The digits of a whole number of 32 bits. */
  private digits(value: number): void {
    let end = this.at + 1
    for (let rest = value; rest > 9; rest = (rest / 10) >>> 0) end++
    if (end >= this.bytes.length) {
      this.at = this.bytes.length
      return
    }
    this.at = end
    for (let rest = value; ; rest = (rest / 10) >>> 0) {
      this.bytes[--end] = 0x30 + (rest % 10)
      if (rest < 10) return
    }
  }

  private array(values: ReadonlyArray<JsonValue>, path: number): void {
    this.byte(openArray)
    for (let index = 0; index < values.length; index++) {
      if (index > 0) this.byte(comma)
      this.value(values[index]!, path)
    }
    this.byte(closeArray)
  }

  private object(object: Readonly<Record<string, JsonValue>>, path: number): void {
    this.byte(openObject)
    let isFirst = true
    for (const key in object) {
      if (!hasOwnProperty.call(object, key)) continue
      if (!isFirst) this.byte(comma)
      isFirst = false
      const member = this.quoted(key, path)
      this.byte(colon)
      this.value(object[key]!, member)
    }
    this.byte(closeObject)
  }

  /** Metadata has no terms. */
  private metadata(metadata: EventRecord["metadata"]): void {
    const { length } = this.terms
    this.object(metadata, 0)
    this.terms.length = length
  }
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
