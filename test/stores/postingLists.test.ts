/** Posting lists give back what was added and not forgotten, whatever table the terms are in: they are asked while tables grow. */
import assert from "node:assert/strict"
import * as fc from "fast-check"
import { it } from "vitest"
import { PostingLists } from "../../src/stores/internal/PostingLists.ts"

const base = 1_000
const additions = 10_000

/** So many that the table, of 1,024 places to begin with, is outgrown three times. */
const mostTerms = 30_000

/** Whole numbers below `bound`, from a seed: xorshift, of 32 bits. */
const numbersFrom = (seed: number) => {
  let state = seed | 1
  return (bound: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % bound
  }
}

/** Some of the terms share their lowest bits, and so the places where their search begins. */
const termOf = (index: number): number => (index % 3 === 0 ? index * 65_536 : Math.imul(index, 0x9e3779b1)) | 0

const all = () => true

it("gives back what was added and not forgotten", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const below = numbersFrom(seed)
      const lists = new PostingLists(base)
      const model = new Map<number, Array<number>>()
      let head = base
      const added: Array<ReadonlyArray<number>> = []
      const check = (term: number) => {
        const expected = model.get(term) ?? []
        const after = base + below(head - base + 1)
        assert.equal(lists.count(term), expected.length)
        assert.deepEqual(
          lists.collect(term, after, head, all),
          expected.filter((number) => number > after).toReversed()
        )
        assert.equal(
          lists.findLast(term, base, after, all),
          expected.findLast((number) => number <= after)
        )
      }
      for (let addition = 0; addition < additions; addition++) {
        // Now and then so many that the table is outgrown again while places still move.
        const length = below(1_000) === 0 ? 5_000 : below(6)
        const terms = Array.from({ length }, () => termOf(below(mostTerms)))
        lists.add(terms, ++head)
        added.push(terms)
        for (const term of new Set(terms)) {
          if (!model.has(term)) model.set(term, [])
          model.get(term)!.push(head)
        }
        check(termOf(below(mostTerms)))
        if (terms.length > 0) check(terms[0]!)
        if (below(50) > 0) continue
        for (let count = below(4); count > 0 && head > base; count--) {
          head--
          for (const term of added.pop()!) {
            lists.truncate(term, head)
            model.set(
              term,
              model.get(term)!.filter((number) => number <= head)
            )
          }
        }
      }
      for (const term of model.keys()) check(term)
    }),
    { numRuns: 4 }
  )
})
