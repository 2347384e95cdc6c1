/**
 * Records as JSON text in large buffers outside the JavaScript heap: a log of millions of events costs their text and hardly
 * any work of the garbage collector. A record that is read is parsed anew, so nobody can change it for somebody else; the
 * newest ones are kept as they are, for streams and conflict tails.
 */
import type { EventRecord, JsonValue } from "../Event.ts"
import { freezeJson } from "../internal/freezeJson.ts"
import type { RecordList } from "../internal/RecordList.ts"

/** Bytes of one buffer; a record that is larger gets one of its own. */
const bufferBytes = 4_194_304

/** Newest records that are kept as objects; a power of two. */
const newestCount = 256

/** A record's place in memory: buffer, offset, length, and the last number of its batch. */
const placeSize = 4

export class RecordArena implements RecordList {
  length = 0
  private readonly buffers: Array<Buffer> = []
  /** Free bytes of the last buffer begin here. */
  private offset = bufferBytes
  private places = new Float64Array(1_024 * placeSize)
  private readonly newest = new Array<EventRecord | undefined>(newestCount).fill(undefined)

  at(place: number): EventRecord {
    const newest = this.newest[place % newestCount]
    if (newest?.sequenceNumber === place + 1) return newest
    const at = place * placeSize
    const start = this.places[at + 1]!
    return parse(this.buffers[this.places[at]!]!.toString("utf8", start, start + this.places[at + 2]!), place + 1)
  }

  batchEnd(place: number): number {
    return this.places[place * placeSize + 3]!
  }

  push(record: EventRecord, batchEnd: number): void {
    const text = toText(record)
    const most = text.length * 3
    if (this.offset + most > (this.buffers[this.buffers.length - 1]?.length ?? 0)) {
      this.buffers.push(Buffer.allocUnsafeSlow(Math.max(bufferBytes, most)))
      this.offset = 0
    }
    const buffer = this.buffers.length - 1
    const bytes = this.buffers[buffer]!.write(text, this.offset)
    if (this.length * placeSize === this.places.length) this.growPlaces()
    const at = this.length * placeSize
    this.places[at] = buffer
    this.places[at + 1] = this.offset
    this.places[at + 2] = bytes
    this.places[at + 3] = batchEnd
    this.offset += bytes
    this.newest[this.length % newestCount] = record
    this.length++
  }

  truncate(length: number): void {
    this.length = length
    this.newest.fill(undefined)
  }

  private growPlaces(): void {
    const { places } = this
    this.places = new Float64Array(places.length * 2)
    this.places.set(places)
  }
}

type Stored = readonly [
  string,
  string,
  number,
  JsonValue,
  ReadonlyArray<string>,
  Readonly<Record<string, string>>,
  number
]

const toText = ({ eventId, eventType, metadata, occurredAt, payload, schemaVersion, tags }: EventRecord): string => {
  const stored: Stored = [eventId, eventType, schemaVersion, payload, tags, metadata, occurredAt]
  return JSON.stringify(stored)
}

const parse = (text: string, sequenceNumber: number): EventRecord => {
  const stored = freezeJson(JSON.parse(text) as JsonValue) as Stored
  const [eventId, eventType, schemaVersion, payload, tags, metadata, occurredAt] = stored
  return Object.freeze({ sequenceNumber, eventId, eventType, schemaVersion, payload, tags, metadata, occurredAt })
}
