/**
 * Lists of ascending numbers, one per term: a hash table and chains in flat arrays, so that a posting is no object for the
 * garbage collector, however many there are. Numbers lie less than 2^31 above the base.
 *
 * Nothing grows by copying millions of terms or postings at once, which would stop the process: chains lie in segments that stay
 * where they are, and of an outgrown table a few places move with every number added.
 */
import type { Term } from "./terms.ts"

/** A place of the table: the term, the last entry of its list, and the length of its list, side by side in memory. */
const placeSize = 4 // 1 << 2
const lastOf = 1
const countOf = 2

/** An entry of a list: its number, counted from the base, and the entry before it or -1. */
const entrySize = 2
const previousOf = 1

/** Integers of one segment of entries, a power of two. */
const segmentSize = 1 << 14
const segmentMask = segmentSize - 1

/** The empty place: no term, for the term 0 is kept as 1. */
const free = 0

/** Places of an outgrown table that are looked at with every number added. */
const placesAtOnce = 64

export class PostingLists {
  private readonly base: number
  /** A power of two of places, at most three quarters of them taken. */
  private table = new Int32Array(1_024 * placeSize)
  /** How many terms there are, wherever their places. */
  private taken = 0
  /** The table before, as long as it has places that are not yet in the new one. */
  private outgrown: Int32Array | undefined
  /** Up to here they are. */
  private moved = 0
  /** Entries, in segments that stay where they are. */
  private readonly segments: Array<Int32Array> = []
  private lastSegment = new Int32Array()
  /** Where the next entry goes. */
  private end = 0

  constructor(base: number) {
    this.base = base
  }

  /** Adds a number, which is above every number added before, to the lists of these terms. */
  add(terms: ReadonlyArray<Term>, number: number): void {
    this.reserve(terms)
    if (this.outgrown !== undefined) this.move(this.outgrown, placesAtOnce)
    const firstEntry = this.end
    for (const term of terms) {
      const place = this.claim(term || 1)
      const last = this.table[place + lastOf]!
      if (last >= firstEntry) continue
      const at = this.end & segmentMask
      if (at === 0) this.addSegment()
      this.lastSegment[at] = number - this.base
      this.lastSegment[at + previousOf] = last
      this.table[place + lastOf] = this.end
      this.table[place + countOf]!++
      this.end += entrySize
    }
  }

  /** How many numbers the list has. */
  count(term: Term): number {
    return this.table[this.find(term || 1) + countOf]!
  }

  /** The last number of the list that lies in the span and passes the test. */
  findLast(term: Term, after: number, upTo: number, test: (number: number) => boolean): number | undefined {
    for (let entry = this.lastEntry(term); entry >= 0; entry = this.previous(entry)) {
      const number = this.numberAt(entry)
      if (number <= after) return undefined
      if (number <= upTo && test(number)) return number
    }
    return undefined
  }

  /** Everything of the list that lies in the span and passes the test, descending. */
  collect(term: Term, after: number, upTo: number, test: (number: number) => boolean): Array<number> {
    const found: Array<number> = []
    for (let entry = this.lastEntry(term); entry >= 0; entry = this.previous(entry)) {
      const number = this.numberAt(entry)
      if (number <= after) break
      if (number <= upTo && test(number)) found.push(number)
    }
    return found
  }

  /** Forgets the list's numbers after `head`. Their entries stay behind unused. */
  truncate(term: Term, head: number): void {
    const place = this.find(term || 1)
    if (this.table[place] === free) return
    for (let last = this.table[place + lastOf]!; last >= 0 && this.numberAt(last) > head;) {
      last = this.previous(last)
      this.table[place + lastOf] = last
      this.table[place + countOf]!--
    }
  }

  /**
   * Makes room for terms that may be new. Few of their places are in a cache; looked at one after the other, before anything
   * is written, they are fetched at the same time.
   */
  private reserve(terms: ReadonlyArray<Term>): void {
    let unknown = 0
    for (const term of terms) if (this.table[homeIn(this.table, term || 1)] !== (term || 1)) unknown++
    while ((this.taken + unknown) * placeSize * 4 > this.table.length * 3) this.growTable()
  }

  private lastEntry(term: Term): number {
    const place = this.find(term || 1)
    return this.table[place] === free ? -1 : this.table[place + lastOf]!
  }

  /** The place of the term, or the free place where it belongs. */
  private find(term: Term): number {
    const place = findIn(this.table, term)
    if (this.table[place] === free && this.outgrown !== undefined) this.fetch(this.outgrown, term, place)
    return place
  }

  private claim(term: Term): number {
    const place = this.find(term)
    if (this.table[place] === term) return place
    this.taken++
    this.table[place] = term
    this.table[place + lastOf] = -1
    return place
  }

  private growTable(): void {
    if (this.outgrown !== undefined) this.move(this.outgrown, this.outgrown.length)
    this.outgrown = this.table
    this.moved = 0
    this.table = new Int32Array(this.table.length * 4)
  }

  /** Sees to it that the next so many places of the outgrown table are in the new one. */
  private move(outgrown: Int32Array, count: number): void {
    const end = Math.min(this.moved + count * placeSize, outgrown.length)
    for (; this.moved < end; this.moved += placeSize)
      if (outgrown[this.moved] !== free) this.find(outgrown[this.moved]!)
    if (end === outgrown.length) this.outgrown = undefined
  }

  /** Copies the term's place, where it has one, to this free place of the new table. */
  private fetch(outgrown: Int32Array, term: Term, place: number): void {
    const from = findIn(outgrown, term)
    for (let part = 0; part < placeSize; part++) this.table[place + part] = outgrown[from + part]!
  }

  private addSegment(): void {
    this.lastSegment = new Int32Array(segmentSize)
    this.segments.push(this.lastSegment)
  }

  private numberAt(entry: number): number {
    return this.base + this.segments[Math.floor(entry / segmentSize)]![entry & segmentMask]!
  }

  private previous(entry: number): number {
    return this.segments[Math.floor(entry / segmentSize)]![(entry & segmentMask) + previousOf]!
  }
}

/** The place of the term, or the free place where it belongs. */
const findIn = (table: Int32Array, term: Term): number => {
  const mask = table.length - 1
  let place = homeIn(table, term)
  while (table[place] !== free && table[place] !== term) place = (place + placeSize) & mask
  return place
}

/** The place where the search for a term begins. */
const homeIn = (table: Int32Array, term: Term): number => (term << 2) & (table.length - 1)
