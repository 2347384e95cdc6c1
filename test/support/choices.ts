/** A stream of choices, out of a list of numbers or a seed: what generated tests are made of. */

export class Choices {
  private readonly numbers: ReadonlyArray<number>
  private next = 0

  constructor(numbers: ReadonlyArray<number>) {
    this.numbers = numbers
  }

  /** One of `count`, from 0 on. The numbers are used again when they run out, but never twice with the same meaning. */
  below(count: number): number {
    const number = this.numbers[this.next % this.numbers.length] ?? 0
    const round = Math.floor(this.next / Math.max(1, this.numbers.length))
    this.next++
    return (number + round * 7) % count
  }

  /** True in about `percent` of 100. */
  chance(percent: number): boolean {
    return this.below(100) >= 100 - percent
  }

  of<A>(items: ReadonlyArray<A>): A {
    return items[this.below(items.length)]!
  }

  times<A>(count: number, make: () => A): Array<A> {
    return Array.from({ length: count }, make)
  }

  /** Some of the items, each with the same chance, in their order. */
  some<A>(items: ReadonlyArray<A>, percent: number): Array<A> {
    return items.filter(() => this.chance(percent))
  }
}

/** Choices without end, for what is too large to be shrunk (mulberry32). */
export const seeded = (seed: number, count: number): Choices => {
  let state = seed
  return new Choices(
    Array.from({ length: count }, () => {
      state = (state + 0x6d2b79f5) | 0
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
      return (mixed ^ (mixed >>> 14)) >>> 0
    })
  )
}
