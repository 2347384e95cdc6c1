/** Consecutive records, as a run of the log holds them. */
import type { EventRecord } from "../Event.ts"
import type { Term } from "./terms.ts"
import { termsOf } from "./terms.ts"

/** Places are counted from 0. */
export interface RecordList {
  readonly length: number
  readonly at: (place: number) => EventRecord
  readonly eventId: (place: number) => string
  /** The last number of the committed batch that the record belongs to. */
  readonly batchEnd: (place: number) => number
  /** Characters of the payload's text, or somewhat more. */
  readonly payloadLength: (place: number) => number
  /** Adds a record and returns its terms. The length of the payload's text may be left out where the list makes the text itself. */
  readonly push: (record: EventRecord, batchEnd: number, payloadLength?: number) => ReadonlyArray<Term>
  /** Forgets the records from this place on. */
  readonly truncate: (length: number) => void
}

/** Records as they are: for runs that stay short. */
export class RecordArray implements RecordList {
  private readonly records: Array<EventRecord> = []
  private readonly batchEnds: Array<number> = []
  private readonly payloadLengths: Array<number> = []

  get length(): number {
    return this.records.length
  }

  at(place: number): EventRecord {
    return this.records[place]!
  }

  eventId(place: number): string {
    return this.records[place]!.eventId
  }

  batchEnd(place: number): number {
    return this.batchEnds[place]!
  }

  payloadLength(place: number): number {
    return this.payloadLengths[place]!
  }

  push(record: EventRecord, batchEnd: number, payloadLength = 0): ReadonlyArray<Term> {
    this.records.push(record)
    this.batchEnds.push(batchEnd)
    this.payloadLengths.push(payloadLength)
    return termsOf(record)
  }

  truncate(length: number): void {
    this.records.length = length
    this.batchEnds.length = length
    this.payloadLengths.length = length
  }
}
