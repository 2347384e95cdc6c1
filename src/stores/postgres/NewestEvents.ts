/**
 * The newest events in memory, at least those that the index in the database does not hold yet, and how far the index reaches.
 * What this process commits is added as it is; what others have committed comes with every read.
 */
import type { EventRecord } from "../Event.ts"
import type { StoredRecord } from "../internal/reading.ts"
import { RecentEvents } from "../internal/RecentEvents.ts"
import { corrupt, fromRow } from "../internal/rows.ts"
import { isCutOff } from "./EventReader.ts"
import type { Rows } from "./Database.ts"

/** The state of the log in the snapshot of a read. */
export interface LogState {
  readonly head: number
  /** How far the index reaches. */
  readonly through: number
  /** Whether some events are indexed in part. */
  readonly hasPartly: boolean
}

export class NewestEvents {
  recent = new RecentEvents(0)
  /** How far the index reaches, as far as is known. */
  indexedThrough = 0
  /** Kibibytes of payloads that the index does not reach yet, as far as is known. */
  unindexedPayloads = 0
  /** When the log's end was heard of last, by `performance.now`. */
  heardAt = Number.NEGATIVE_INFINITY
  /** Events of a batch whose last ones are not known yet. What nobody may see in part is not among the newest events. */
  private begun: Array<StoredRecord> = []
  /** The log's last number when they started over after the index, which may end within a batch. */
  private startedOverAt = 0
  private readonly indexEvery: number

  constructor(indexEvery: number) {
    this.indexEvery = indexEvery
  }

  /** Up to here the events are known, the beginning of a batch included. */
  get knownHead(): number {
    return this.recent.head + this.begun.length
  }

  /** Whether they end with a whole batch. Nobody may take their last number for the log's as long as they do not. */
  get isWhole(): boolean {
    return this.recent.head >= this.startedOverAt
  }

  /** Adds a committed event, where it follows what is known. */
  add(record: EventRecord, batchEnd: number, payloadLength: number): void {
    if (record.sequenceNumber !== this.knownHead + 1) return
    this.begun.push({ record, batchEnd, payloadLength })
    if (record.sequenceNumber < batchEnd) return
    for (const one of this.begun) {
      this.recent.add(one.record, one.batchEnd, one.payloadLength)
      this.unindexedPayloads += one.payloadLength / 1_024
    }
    this.begun = []
    this.recent.rotate(this.indexEvery, this.indexedThrough)
  }

  /** Takes note of how far the index reaches. */
  indexed(through: number): void {
    if (through <= this.indexedThrough) return
    this.indexedThrough = through
    this.unindexedPayloads = this.recent.payloadsAfter(through)
  }

  /** Takes over the rows of a read that say what is new since `knownHead`. Throws `CorruptLog`. */
  take(rows: Rows, knownHead: number): LogState {
    const [head, partly, through, lastEnd] = [1, 4, 8, 9].map((column) => Number(rows[0]![column])) as Four
    if (head < knownHead || head < through || lastEnd !== head) corrupt(head + 1, "the log ends before it")
    this.heardAt = performance.now()
    this.indexed(through)
    if (through > this.knownHead) {
      this.recent = new RecentEvents(through)
      this.begun = []
      this.startedOverAt = head
    }
    let expected = Math.max(knownHead, through) + 1
    if (head >= expected && rows[1]?.[0] !== "1") corrupt(expected, "the event is missing")
    for (let index = 1; index < rows.length && rows[index]![0] === "1"; index++, expected++) {
      if (isCutOff(rows[index]!, 1, expected, index === 1)) break
      const { batchEnd, payloadLength, record } = fromRow(rows[index]!, expected, 1)
      this.add(record, batchEnd, payloadLength)
    }
    return { head, through, hasPartly: partly === 1 }
  }
}

type Four = [number, number, number, number]
