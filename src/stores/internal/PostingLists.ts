/**
 * Lists of ascending numbers, one per term: a hash table and chains in flat arrays, so that adding a posting allocates
 * nothing, however many terms there are. Numbers lie less than 2^31 above the base.
 */
import type { Term } from "./terms.ts"

/** A place of the table: the term, the last entry of its list, and the length of its list, side by side in memory. */
const placeSize = 4 // 1 << 2
const lastOf = 1
const countOf = 2

/** An entry of a list: its number, counted from the base, and the entry before it or -1. */
const entrySize = 2
const previousOf = 1

/** The empty place: no term, for the term 0 is kept as 1. */
const free = 0

export class PostingLists {
  private readonly base: number
  /** A power of two of places, at most three quarters of them taken. */
  private table = new Int32Array(1_024 * placeSize)
  private taken = 0
  private entries = new Int32Array(1_024 * entrySize)
  /** Where the next entry goes. */
  private end = 0

  constructor(base: number) {
    this.base = base
  }

  /** Adds a number, which is above every number added before, to the lists of these terms. */
  add(terms: ReadonlyArray<Term>, number: number): void {
    this.reserve(terms)
    const firstEntry = this.end
    for (const term of terms) {
      const place = this.claim(term || 1)
      const last = this.table[place + lastOf]!
      if (last >= firstEntry) continue
      if (this.end === this.entries.length) this.growEntries()
      this.entries[this.end] = number - this.base
      this.entries[this.end + previousOf] = last
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
    for (let entry = this.lastEntry(term); entry >= 0; entry = this.entries[entry + previousOf]!) {
      const number = this.base + this.entries[entry]!
      if (number <= after) return undefined
      if (number <= upTo && test(number)) return number
    }
    return undefined
  }

  /** Everything of the list that lies in the span and passes the test, descending. */
  collect(term: Term, after: number, upTo: number, test: (number: number) => boolean): Array<number> {
    const found: Array<number> = []
    for (let entry = this.lastEntry(term); entry >= 0; entry = this.entries[entry + previousOf]!) {
      const number = this.base + this.entries[entry]!
      if (number <= after) break
      if (number <= upTo && test(number)) found.push(number)
    }
    return found
  }

  /** Forgets the list's numbers after `head`. Their entries stay behind unused. */
  truncate(term: Term, head: number): void {
    const place = this.find(term || 1)
    if (this.table[place] === free) return
    for (let last = this.table[place + lastOf]!; last >= 0 && this.base + this.entries[last]! > head;) {
      last = this.entries[last + previousOf]!
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
    for (const term of terms) if (this.table[this.home(term || 1)] !== (term || 1)) unknown++
    while ((this.taken + unknown) * placeSize * 4 > this.table.length * 3) this.growTable()
  }

  private lastEntry(term: Term): number {
    const place = this.find(term || 1)
    return this.table[place] === free ? -1 : this.table[place + lastOf]!
  }

  /** The place of the term, or the free place where it belongs. */
  private find(term: Term): number {
    const { table } = this
    const mask = table.length - 1
    let place = this.home(term)
    while (table[place] !== free && table[place] !== term) place = (place + placeSize) & mask
    return place
  }

  /** The place where the search for a term begins. */
  private home(term: Term): number {
    return (term << 2) & (this.table.length - 1)
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
    const { table } = this
    this.table = new Int32Array(table.length * 4)
    for (let from = 0; from < table.length; from += placeSize) {
      if (table[from] === free) continue
      const place = this.find(table[from]!)
      this.table[place] = table[from]!
      this.table[place + lastOf] = table[from + lastOf]!
      this.table[place + countOf] = table[from + countOf]!
    }
  }

  private growEntries(): void {
    const { entries } = this
    this.entries = new Int32Array(entries.length * 2)
    this.entries.set(entries)
  }
}
