/** Lists of texts that are read without the JSON parser are what the parser makes of them. */
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { plainTexts, shortTextLists } from "../../src/stores/internal/plainTexts.ts"

const characters = fc.constantFrom("a", "é", "🎟", " ", ":", ",", "[", "]", '"', "\\", "\n", "\u2028", "\u007f")
const tag = fc.string({ unit: characters, maxLength: 14 })
const lists = fc.array(fc.array(tag, { maxLength: 4 }), { minLength: 1, maxLength: 4 })

const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

const joinedOf = (values: ReadonlyArray<unknown>) => values.map((value) => JSON.stringify(value)).join(",")

describe("lists of texts", () => {
  it("are what was written, or left to the parser", () => {
    let plain = 0
    let left = 0
    fc.assert(
      fc.property(lists, (written) => {
        const read = shortTextLists(joinedOf(written))
        if (read === undefined) left++
        else plain++
        const isPlain = written.flat().every((text) => text.length <= 12 && !/["\\\n]/.test(text))
        expect(read).toEqual(isPlain ? written : undefined)
      }),
      { numRuns: 2_000 }
    )
    expect([plain > 100, left > 100]).toEqual([true, true])
  })

  it("of one event may be long", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom("a", ",", "]", "é"), maxLength: 40 })), (written) => {
        expect(plainTexts(JSON.stringify(written))).toEqual(written)
      })
    )
    expect(plainTexts('["a"],["b"]')).toBe(undefined)
  })

  it("are read from nothing that the parser refuses or reads otherwise", () => {
    const damage = fc.constantFrom("", "[", "]", '"', ",", "{}", "1", "null", " ", "\\", '""', "[]", "\n")
    let damaged = 0
    fc.assert(
      fc.property(lists, fc.nat(), fc.nat(3), damage, (written, place, removed, inserted) => {
        const joined = joinedOf(written)
        const at = place % (joined.length + 1)
        const text = joined.slice(0, at) + inserted + joined.slice(at + removed)
        const read = shortTextLists(text)
        if (read !== undefined) expect(read).toEqual(parsed(`[${text}]`))
        else damaged++
      }),
      { numRuns: 5_000 }
    )
    expect(damaged).toBeGreaterThan(1_000)
  })
})
