/**
 * The newest part of the log in memory, at least everything that the index in the database does not hold yet. Checks of a
 * condition mostly look no further than this.
 *
 * Two runs: when the newer one is full it becomes the older one, and the older one is forgotten.
 */
import type { EventRecord } from "../Event.ts"
import { EventIndex } from "./EventIndex.ts"
import type { NormalisedQuery } from "./normaliseQuery.ts"
import type { Span, StepUp } from "./reading.ts"

export class RecentEvents {
  private older: EventIndex
  private newer: EventIndex
  /** Of the newer run, in kibibytes. */
  private payloads = 0

  constructor(base: number) {
    this.older = new EventIndex(base)
    this.newer = new EventIndex(base)
  }

  /** The number before the first record held here. */
  get base(): number {
    return this.older.base
  }

  get head(): number {
    return this.newer.head
  }

  /** Adds the next record. The length of its payload's text counts for how many are kept. */
  add(record: EventRecord, batchEnd: number, payloadLength: number): void {
    this.newer.add(record, batchEnd, payloadLength)
    this.payloads += payloadLength / 1_024
  }

  /** Forgets records that were not committed after all. They are never older than the last call of `rotate`. */
  truncate(head: number): void {
    this.newer.truncate(head)
  }

  /** Makes room when a run holds `size` records, or as many kibibytes of payloads. Records past `indexedThrough` are kept. */
  rotate(size: number, indexedThrough: number): void {
    if (Math.max(this.newer.size, this.payloads) < size || this.newer.base > indexedThrough) return
    this.payloads = 0
    this.older = this.newer
    this.newer = new EventIndex(this.older.head)
  }

  at(sequenceNumber: number): EventRecord {
    return this.runOf(sequenceNumber).at(sequenceNumber)
  }

  hasId(eventId: string): boolean {
    return this.newer.hasId(eventId) || this.older.hasId(eventId)
  }

  lastMatch(query: NormalisedQuery, span: Span): number | undefined {
    return this.newer.lastMatch(query, span) ?? this.older.lastMatch(query, span)
  }

  /** Kibibytes of the payloads after that number. */
  payloadsAfter(sequenceNumber: number): number {
    return this.older.payloadsAfter(sequenceNumber) + this.newer.payloadsAfter(sequenceNumber)
  }

  /** Matches of a span that begins here, within one of the runs. */
  up(query: NormalisedQuery, span: Span, limit: number): StepUp {
    const run = this.runOf(span.after + 1)
    return run.up(query, { after: span.after, upTo: Math.min(span.upTo, run.head) }, limit)
  }

  /** All matches of a span that begins here. */
  collect(query: NormalisedQuery, span: Span): ReadonlyArray<EventRecord> {
    return [...this.older.collect(query, span), ...this.newer.collect(query, span)]
  }

  private runOf(sequenceNumber: number): EventIndex {
    return sequenceNumber > this.newer.base ? this.newer : this.older
  }
}
