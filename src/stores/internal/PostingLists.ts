/**
 * Lists of ascending numbers, one per term, kept as chains in flat arrays: adding a posting allocates nothing, however
 * many terms there are.
 */

/** Names one list. */
export type Term = number

export class PostingLists {
  private readonly numbers: Array<number> = []
  /** The entry before this one in the same list, or -1. */
  private readonly previous: Array<number> = []
  private readonly last: Array<number> = []
  private readonly counts: Array<number> = []

  /** A new, empty list. */
  make(): Term {
    this.last.push(-1)
    return this.counts.push(0) - 1
  }

  /** Adds a number that is not below the last one; a repetition of the last one counts once. */
  add(term: Term, number: number): void {
    const last = this.last[term]!
    if (last >= 0 && this.numbers[last] === number) return
    this.previous.push(last)
    this.last[term] = this.numbers.push(number) - 1
    this.counts[term]!++
  }

  count(term: Term): number {
    return this.counts[term]!
  }

  /** The first number of the list, from its end, that lies in the span and passes the test. */
  findLast(term: Term, after: number, upTo: number, test: (number: number) => boolean): number | undefined {
    for (let entry = this.last[term]!; entry >= 0; entry = this.previous[entry]!) {
      const number = this.numbers[entry]!
      if (number <= after) return undefined
      if (number <= upTo && test(number)) return number
    }
    return undefined
  }

  /** Everything of the list that lies in the span and passes the test, descending. */
  collect(term: Term, after: number, upTo: number, test: (number: number) => boolean): Array<number> {
    const found: Array<number> = []
    for (let entry = this.last[term]!; entry >= 0; entry = this.previous[entry]!) {
      const number = this.numbers[entry]!
      if (number <= after) break
      if (number <= upTo && test(number)) found.push(number)
    }
    return found
  }

  /** Forgets the list's numbers after `head`. Their entries stay behind unused. */
  truncate(term: Term, head: number): void {
    while (this.last[term]! >= 0 && this.numbers[this.last[term]!]! > head) {
      this.last[term] = this.previous[this.last[term]!]!
      this.counts[term]!--
    }
  }
}
