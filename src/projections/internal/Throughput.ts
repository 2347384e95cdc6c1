/** How many events a second were handled lately. */

/** Milliseconds that are looked back on. */
const span = 10_000

/** Milliseconds of one slot. */
const slotLength = 1_000

const slots = span / slotLength

export class Throughput {
  private readonly counts = new Array<number>(slots).fill(0)
  private current = 0
  private readonly start = performance.now()

  add(events: number): void {
    this.moveOn()
    this.counts[this.current % slots]! += events
  }

  /** Events a second, over the last ten seconds or since the start. */
  get rate(): number {
    this.moveOn()
    const elapsed = Math.max(slotLength, Math.min(span, performance.now() - this.start))
    const total = this.counts.reduce((sum, count) => sum + count, 0)
    return (total * 1_000) / elapsed
  }

  /** Empties the slots that have passed. */
  private moveOn(): void {
    const now = Math.floor((performance.now() - this.start) / slotLength)
    const passed = Math.min(now - this.current, slots)
    for (let step = 1; step <= passed; step++) this.counts[(this.current + step) % slots] = 0
    this.current = now
  }
}
