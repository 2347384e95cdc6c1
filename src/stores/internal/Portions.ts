/**
 * How many records are delivered together: as many as take about as long as somebody else may have to wait for a lock, or for the
 * end of what is under way. Learnt from what the last ones took, from few to many.
 */
import type { EventBatch } from "../Event.ts"

/** Milliseconds that a portion should take. */
const span = 250

const fewest = 64

export class Portions {
  private readonly most: number
  private size = fewest

  /** `most`: records in a portion, one large batch aside. */
  constructor(most: number) {
    this.most = most
  }

  /** The first batches of a list: one at least. */
  first(batches: ReadonlyArray<EventBatch>): ReadonlyArray<EventBatch> {
    let records = 0
    const end = batches.findIndex((batch) => (records += batch.length) > this.size)
    return end < 0 ? batches : batches.slice(0, Math.max(1, end))
  }

  /** What the last portion took, in milliseconds. */
  took(millis: number): void {
    if (millis < span / 2) this.size = Math.min(this.most, this.size * 2)
    else if (millis > span) this.size = Math.max(1, Math.floor((this.size * span) / millis))
  }
}
