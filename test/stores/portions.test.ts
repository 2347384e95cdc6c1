/** Portions of what is delivered together grow while they are quick, and shrink as soon as one was slow. */
import { describe, expect, it } from "vitest"
import type { EventBatch } from "../../src/stores/Event.ts"
import { Portions } from "../../src/stores/internal/Portions.ts"
import { times } from "../../src/testing/conformance/expectations.ts"

const batchOf = (size: number): EventBatch => times(size, (index) => ({ sequenceNumber: index + 1 })) as never

describe("portions", () => {
  it("begin with few records, grow to the most, and never take half a batch", () => {
    const portions = new Portions(200)
    const batches = times(500, () => batchOf(3))
    const sizes = times(4, () => {
      const { length } = portions.first(batches)
      portions.took(1)
      return length * 3
    })
    expect(sizes).toEqual([63, 126, 198, 198])
  })

  it("hold one batch at least, however large it is, and all that is there at most", () => {
    const portions = new Portions(1_000)
    expect(portions.first([batchOf(5_000), batchOf(1)])).toHaveLength(1)
    expect(portions.first([batchOf(1), batchOf(2)])).toHaveLength(2)
  })

  it("shrink to what takes a quarter of a second", () => {
    const portions = new Portions(1_000)
    const batches = times(500, () => batchOf(1))
    portions.took(2_000)
    expect(portions.first(batches)).toHaveLength(8)
    portions.took(200)
    expect(portions.first(batches)).toHaveLength(8)
    for (const _ of times(10, () => 0)) portions.took(10_000)
    expect(portions.first(batches)).toHaveLength(1)
    portions.took(10)
    expect(portions.first(batches)).toHaveLength(2)
  })
})
