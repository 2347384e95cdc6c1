/**
 * Lists of ascending numbers, one per term: a hash table and chains in flat arrays, so that adding a posting allocates
 * nothing, however many terms there are.
 */
import type { Term } from "./terms.ts"

/** The empty place in the table: no term, for the term 0 is kept as 1. */
const free = 0

export class PostingLists {
  /** The term in each place of the table; its size is a power of two, at most half of it is taken. */
  private terms = new Int32Array(1_024)
  /** The last entry of the place's list. */
  private last = new Int32Array(1_024)
  private counts = new Int32Array(1_024)
  private taken = 0
  /** Entries: a number, and the entry before it in the same list or -1. */
  private numbers = new Float64Array(1_024)
  private previous = new Int32Array(1_024)
  private entries = 0

  /** Adds a number that is not below the last one of the list; a repetition of the last one counts once. */
  add(term: Term, number: number): void {
    const place = this.claim(term || 1)
    const last = this.last[place]!
    if (last >= 0 && this.numbers[last] === number) return
    if (this.entries === this.numbers.length) this.growEntries()
    this.numbers[this.entries] = number
    this.previous[this.entries] = last
    this.last[place] = this.entries++
    this.counts[place]!++
  }

  /** How many numbers the list has. */
  count(term: Term): number {
    const place = this.find(term || 1)
    return this.terms[place] === free ? 0 : this.counts[place]!
  }

  /** The last number of the list that lies in the span and passes the test. */
  findLast(term: Term, after: number, upTo: number, test: (number: number) => boolean): number | undefined {
    for (let entry = this.lastEntry(term); entry >= 0; entry = this.previous[entry]!) {
      const number = this.numbers[entry]!
      if (number <= after) return undefined
      if (number <= upTo && test(number)) return number
    }
    return undefined
  }

  /** Everything of the list that lies in the span and passes the test, descending. */
  collect(term: Term, after: number, upTo: number, test: (number: number) => boolean): Array<number> {
    const found: Array<number> = []
    for (let entry = this.lastEntry(term); entry >= 0; entry = this.previous[entry]!) {
      const number = this.numbers[entry]!
      if (number <= after) break
      if (number <= upTo && test(number)) found.push(number)
    }
    return found
  }

  /** Forgets the list's numbers after `head`. Their entries stay behind unused. */
  truncate(term: Term, head: number): void {
    const place = this.find(term || 1)
    if (this.terms[place] === free) return
    while (this.last[place]! >= 0 && this.numbers[this.last[place]!]! > head) {
      this.last[place] = this.previous[this.last[place]!]!
      this.counts[place]!--
    }
  }

  private lastEntry(term: Term): number {
    const place = this.find(term || 1)
    return this.terms[place] === free ? -1 : this.last[place]!
  }

  /** The place of the term, or the free place where it belongs. */
  private find(term: Term): number {
    const mask = this.terms.length - 1
    let place = term & mask
    while (this.terms[place] !== free && this.terms[place] !== term) place = (place + 1) & mask
    return place
  }

  private claim(term: Term): number {
    const place = this.find(term)
    if (this.terms[place] === term) return place
    if (this.taken * 2 >= this.terms.length) {
      this.growTable()
      return this.claim(term)
    }
    this.taken++
    this.terms[place] = term
    this.last[place] = -1
    return place
  }

  private growTable(): void {
    const { counts, last, terms } = this
    this.terms = new Int32Array(terms.length * 2)
    this.last = new Int32Array(terms.length * 2)
    this.counts = new Int32Array(terms.length * 2)
    for (let from = 0; from < terms.length; from++) {
      if (terms[from] === free) continue
      const place = this.find(terms[from]!)
      this.terms[place] = terms[from]!
      this.last[place] = last[from]!
      this.counts[place] = counts[from]!
    }
  }

  private growEntries(): void {
    const { numbers, previous } = this
    this.numbers = new Float64Array(numbers.length * 2)
    this.numbers.set(numbers)
    this.previous = new Int32Array(previous.length * 2)
    this.previous.set(previous)
  }
}
