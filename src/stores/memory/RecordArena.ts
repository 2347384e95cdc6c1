/**
 * Records as text in large buffers outside the JavaScript heap: a log of millions of events costs their text and hardly
 * any work of the garbage collector. A record that is read is parsed anew, so nobody can change it for somebody else; the
 * newest ones are kept as they are, for streams and conflict tails.
 */
import type { EventRecord, JsonValue, Metadata } from "../Event.ts"
import { freezeJson } from "../internal/freezeJson.ts"
import { frozenRecord } from "../internal/frozenRecord.ts"
import type { RecordList } from "../internal/RecordList.ts"
import type { Term } from "../internal/terms.ts"
import { termsOf } from "../internal/terms.ts"
import { isEmpty, PlainWriter } from "./PlainWriter.ts"

/** Bytes of one buffer; a record that is larger gets one of its own. */
const bufferBytes = 4_194_304

/** Characters of a UUID. */
const eventIdLength = 36

/** Newest records that are kept as objects; a power of two. */
const newestCount = 256

/** A record's place in memory and its numbers: see `push`. */
const placeSize = 6

/** Places of one segment. Segments stay where they are, so growing never stops the process to copy them. */
const segmentPlaces = 1_024

export class RecordArena implements RecordList {
  length = 0
  private readonly buffers = [Buffer.alloc(0)]
  /** Free bytes of the last buffer begin here. */
  private offset = 0
  private readonly segments: Array<Float64Array> = []
  private readonly writer = new PlainWriter()
  private readonly newest = new Array<EventRecord | undefined>(newestCount).fill(undefined)

  at(place: number): EventRecord {
    const newest = this.newest[place % newestCount]
    if (newest?.sequenceNumber === place + 1) return newest
    const segment = this.segmentOf(place)
    const at = indexOf(place)
    const start = segment[at + 1]!
    const text = this.buffers[segment[at]!]!.toString("utf8", start, start + segment[at + 2]! - 1)
    return fromText(text, place + 1, segment[at + 4]!, segment[at + 5]!)
  }

  /** An id is what every text begins with. */
  eventId(place: number): string {
    const segment = this.segmentOf(place)
    const at = indexOf(place)
    const start = segment[at + 1]!
    return this.buffers[segment[at]!]!.toString("latin1", start, start + eventIdLength)
  }

  batchEnd(place: number): number {
    return this.segmentOf(place)[indexOf(place) + 3]!
  }

  /** Of the whole text. */
  payloadLength(place: number): number {
    return this.segmentOf(place)[indexOf(place) + 2]!
  }

  push(record: EventRecord, batchEnd: number): ReadonlyArray<Term> {
    const plainTerms: Array<Term> = []
    const plainEnd = this.writer.write(this.last, this.offset, record, plainTerms)
    const isPlain = plainEnd < this.last.length
    const end = isPlain ? plainEnd : this.write(record)
    if (this.length === this.segments.length * segmentPlaces) {
      this.segments.push(new Float64Array(segmentPlaces * placeSize))
    }
    const segment = this.segmentOf(this.length)
    const at = indexOf(this.length)
    segment[at] = this.buffers.length - 1
    segment[at + 1] = this.offset
    segment[at + 2] = end - this.offset
    segment[at + 3] = batchEnd
    segment[at + 4] = record.schemaVersion
    segment[at + 5] = record.occurredAt
    this.offset = end
    this.newest[this.length % newestCount] = record
    this.length++
    return isPlain ? plainTerms : termsOf(record)
  }

  truncate(length: number): void {
    this.length = length
    this.newest.fill(undefined)
  }

  /** Writes the record's text where the free bytes begin, in a new buffer if need be; returns where it ends. */
  private write(record: EventRecord): number {
    const text = toText(record)
    const most = text.length * 3
    if (this.offset + most > this.last.length) {
      this.buffers.push(Buffer.allocUnsafeSlow(Math.max(bufferBytes, most)))
      this.offset = 0
    }
    return this.offset + this.last.write(text, this.offset)
  }

  private get last(): Buffer {
    return this.buffers[this.buffers.length - 1]!
  }

  private segmentOf(place: number): Float64Array {
    return this.segments[Math.floor(place / segmentPlaces)]!
  }
}

/** Where the numbers of a place begin in its segment. */
const indexOf = (place: number): number => (place % segmentPlaces) * placeSize

const noMetadata: Metadata = Object.freeze({})

/** Each part with a NUL after it, of which there are none in ids, names and JSON: id, type, payload, metadata or nothing, tags. */
const toText = ({ eventId, eventType, metadata, payload, tags }: EventRecord): string => {
  let text = `${eventId}\0${eventType}\0${JSON.stringify(payload)}\0${metadataText(metadata)}\0`
  for (let index = 0; index < tags.length; index++) text += `${tags[index]}\0`
  return text
}

const metadataText = (metadata: Metadata): string => (isEmpty(metadata) ? "" : JSON.stringify(metadata))

const fromText = (text: string, sequenceNumber: number, schemaVersion: number, occurredAt: number): EventRecord => {
  const [eventId, eventType, payload, metadata, ...tags] = text.split("\0") as [string, string, string, string]
  return frozenRecord({
    sequenceNumber,
    eventId,
    eventType,
    schemaVersion,
    payload: freezeJson(JSON.parse(payload) as JsonValue),
    tags: Object.freeze(tags),
    metadata: metadata === "" ? noMetadata : Object.freeze(JSON.parse(metadata) as Metadata),
    occurredAt
  })
}
