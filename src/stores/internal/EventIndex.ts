/**
 * A run of consecutive records in memory, with an index of their types, tags and payload scalars, so that a context is found in
 * time proportional to the context, and one of their ids. The memory store is one such run; the SQLite and PostgreSQL
 * stores keep the newest part of their log in runs.
 *
 * The index only narrows down; the matcher decides.
 */
import type { EventRecord, JsonValue } from "../Event.ts"
import { matchesFilter } from "./match.ts"
import type { NormalisedFilter, NormalisedQuery } from "./normaliseQuery.ts"
import { PostingLists } from "./PostingLists.ts"
import type { RecordList } from "./RecordList.ts"
import { RecordArray } from "./RecordList.ts"
import type { Span, StepUp, StoredRecord } from "./reading.ts"
import { enoughPayload } from "./reading.ts"
import type { Term } from "./terms.ts"
import { collectScalarTerms, idTerm, tagTerm, termsOf, typeTerm } from "./terms.ts"

/** Terms whose postings together hold every match of a filter, and how many postings that is. */
interface Candidates {
  readonly terms: ReadonlyArray<Term>
  readonly size: number
}

/** A scan is cheaper than postings when they hold more than one in so many records. */
const denseShare = 16

export class EventIndex {
  /** The number before the first record. */
  readonly base: number
  private readonly records: RecordList
  private readonly lists: PostingLists
  /** The ids of the records up to `idsThrough`: see `hasId`. */
  private readonly ids: PostingLists
  private idsThrough: number

  constructor(base: number, records: RecordList = new RecordArray()) {
    this.base = base
    this.idsThrough = base
    this.lists = new PostingLists(base)
    this.ids = new PostingLists(base)
    this.records = records
  }

  /** The last record's number, or `base`. */
  get head(): number {
    return this.base + this.records.length
  }

  get size(): number {
    return this.records.length
  }

  /** The record of that number, which has to be one of this run. */
  at(sequenceNumber: number): EventRecord {
    return this.records.at(sequenceNumber - this.base - 1)
  }

  /** Kibibytes of the payloads after that number. */
  payloadsAfter(sequenceNumber: number): number {
    let length = 0
    for (let place = Math.max(0, sequenceNumber - this.base); place < this.size; place++) {
      length += this.records.payloadLength(place)
    }
    return length / 1_024
  }

  /** Adds the next record. */
  add(record: EventRecord, batchEnd: number, payloadLength?: number): void {
    this.lists.add(this.records.push(record, batchEnd, payloadLength), record.sequenceNumber)
  }

  /** Forgets the records after `head`: they were never committed. */
  truncate(head: number): void {
    for (let number = this.head; number > head; number--) {
      for (const term of termsOf(this.at(number))) this.lists.truncate(term, head)
      if (number <= this.idsThrough) this.ids.truncate(idTerm(this.idOf(number)), head)
    }
    this.idsThrough = Math.min(this.idsThrough, Math.max(this.base, head))
    this.records.truncate(Math.min(this.records.length, Math.max(0, head - this.base)))
  }

  /** Whether one of the records has this id. Only callers who choose ids ask, so ids are indexed when they are asked for. */
  hasId(eventId: string): boolean {
    while (this.idsThrough < this.head) {
      const number = this.idsThrough + 1
      this.ids.add([idTerm(this.idOf(number))], number)
      this.idsThrough = number
    }
    const test = (number: number) => this.idOf(number) === eventId
    return this.ids.findLast(idTerm(eventId), this.base, this.head, test) !== undefined
  }

  private idOf(sequenceNumber: number): string {
    return this.records.eventId(sequenceNumber - this.base - 1)
  }

  /** The highest number in the span that matches; `undefined` when none does. */
  lastMatch(query: NormalisedQuery, span: Span): number | undefined {
    const after = Math.max(span.after, this.base)
    const upTo = Math.min(span.upTo, this.head)
    if (upTo <= after) return undefined
    if (query.filters === undefined) return upTo
    let best = after
    for (const filter of query.filters) {
      const test = (number: number) => matchesFilter(filter, this.at(number))
      for (const term of this.candidates(filter)?.terms ?? [undefined]) {
        best = (term === undefined ? scanDown(best, upTo, test) : this.lists.findLast(term, best, upTo, test)) ?? best
      }
    }
    return best > after ? best : undefined
  }

  /** The records of the span that match, ascending. */
  collect(query: NormalisedQuery, span: Span): Array<EventRecord> {
    return this.numbers(query, span, Number.POSITIVE_INFINITY).map((number) => this.at(number))
  }

  /** Up to `limit` matches of the span, in the form in which a log is read: fewer where their payloads are large. */
  up(query: NormalisedQuery, span: Span, limit: number): StepUp {
    const numbers = this.numbers(query, span, limit)
    const found: Array<StoredRecord> = []
    for (let payload = 0; found.length < numbers.length && payload < enoughPayload;) {
      const stored = this.stored(numbers[found.length]!)
      found.push(stored)
      payload += stored.payloadLength
    }
    const isAll = numbers.length < limit && found.length === numbers.length
    return { found, position: isAll ? span.upTo : numbers[found.length - 1]! }
  }

  /** The numbers of the first `limit` records of the span that match, ascending. */
  private numbers(query: NormalisedQuery, span: Span, limit: number): ReadonlyArray<number> {
    const after = Math.max(span.after, this.base)
    const upTo = Math.max(after, Math.min(span.upTo, this.head))
    if (query.filters === undefined) {
      return Array.from({ length: Math.min(upTo - after, limit) }, (_, place) => after + 1 + place)
    }
    const found: Array<Array<number>> = []
    for (const filter of query.filters) {
      const test = (number: number) => matchesFilter(filter, this.at(number))
      const candidates = this.candidates(filter)
      if (candidates === undefined || candidates.size * denseShare > upTo - after) {
        found.push(scanUp(after, upTo, limit, test))
      } else {
        for (const term of candidates.terms) found.push(this.lists.collect(term, after, upTo, test).toReversed())
      }
    }
    return mergeDistinct(found, limit)
  }

  private stored(sequenceNumber: number): StoredRecord {
    const place = sequenceNumber - this.base - 1
    return {
      record: this.records.at(place),
      batchEnd: this.records.batchEnd(place),
      payloadLength: this.records.payloadLength(place)
    }
  }

  /** The cheapest terms that hold every match of the filter; `undefined` when only a scan will do. */
  private candidates(filter: NormalisedFilter): Candidates | undefined {
    let best = filter.tags.length === 0 ? undefined : this.all([this.rarest(filter.tags.map(tagTerm))])
    if (filter.payloadPredicates !== undefined && best?.size !== 0) {
      best = cheaper(best, this.byPayload(filter.payloadPredicates))
    }
    if (filter.eventTypes !== undefined && best?.size !== 0) {
      best = cheaper(best, this.all(filter.eventTypes.map(typeTerm)))
    }
    return best
  }

  private byPayload(predicates: ReadonlyArray<JsonValue>): Candidates | undefined {
    const terms: Array<Term> = []
    for (const predicate of predicates) {
      const leaves: Array<Term> = []
      collectScalarTerms(predicate, leaves)
      if (leaves.length === 0) return undefined
      terms.push(this.rarest(leaves))
    }
    return this.all(terms)
  }

  /** The term with the shortest list. */
  private rarest(terms: ReadonlyArray<Term>): Term {
    let rarest = terms[0]!
    for (let index = 1; index < terms.length; index++) {
      if (this.lists.count(terms[index]!) < this.lists.count(rarest)) rarest = terms[index]!
    }
    return rarest
  }

  private all(terms: ReadonlyArray<Term>): Candidates {
    let size = 0
    for (const term of terms) size += this.lists.count(term)
    return { terms, size }
  }
}

const cheaper = (left: Candidates | undefined, right: Candidates | undefined): Candidates | undefined =>
  left === undefined || (right !== undefined && right.size < left.size) ? right : left

const scanDown = (after: number, upTo: number, test: (number: number) => boolean): number | undefined => {
  for (let number = upTo; number > after; number--) if (test(number)) return number
  return undefined
}

const scanUp = (after: number, upTo: number, limit: number, test: (number: number) => boolean): Array<number> => {
  const found: Array<number> = []
  for (let number = after + 1; number <= upTo && found.length < limit; number++) if (test(number)) found.push(number)
  return found
}

/** The first `limit` distinct numbers of ascending lists. */
export const mergeDistinct = (lists: ReadonlyArray<ReadonlyArray<number>>, limit: number): ReadonlyArray<number> => {
  if (lists.length < 2) return (lists[0] ?? []).slice(0, limit)
  const merged = Float64Array.from(new Set(lists.flat())).sort()
  return Array.from(limit < merged.length ? merged.subarray(0, limit) : merged)
}
