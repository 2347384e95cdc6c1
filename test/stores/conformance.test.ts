/** Every store keeps every promise of the contract: the conformance suite, for each store under test. */
import { describe, expect, it } from "vitest"
import { applies, conformance } from "../../src/testing/index.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"

const allCases = 267
const casesThatReopen = 28
const casesOnDamagedLogs = 2

/** What a store cannot be run through is stated here, and nowhere skipped. */
const expectedCases = (store: string): number =>
  store === "memory" ? allCases - casesThatReopen - casesOnDamagedLogs : allCases

describe("the conformance suite", () => {
  it("names every case once", () => {
    expect(conformance.length).toBe(allCases)
    expect(new Set(conformance.map((it) => it.name)).size).toBe(allCases)
  })

  it("marks the cases that open one log more than once, or a damaged one", () => {
    expect(conformance.filter((it) => it.needs === "reopen").length).toBe(casesThatReopen)
    expect(conformance.filter((it) => it.needs === "makeDamaged").length).toBe(casesOnDamagedLogs)
  })

  it("has a case for every rule of appending, reading, checking, repeating and streams", () => {
    const rules =
      "A1 A2 A3 A4 A5 Q1 Q2 Q3 Q4 Q5 C1 C2 C3 I1 L2 S1 S2 S3 S4 D1 D2 D3 D4 D5 D6 D7 3.1 3.2 3.3 3.4 3.5 3.6 3.7 5 6 7".split(
        " "
      )
    expect([...new Set(conformance.map((it) => it.rule))].sort()).toEqual(rules.sort())
  })
})

for (const store of stores) {
  describe(store.name, () => {
    const cases = conformance.filter((it) => applies(it, store))

    it("is run through every case that applies to it", () => {
      expect(cases.length).toBe(expectedCases(store.name))
    })

    for (const { name, rule, run } of cases) itEffect(`${rule}: ${name}`, () => run(store), { timeout: 60_000 })
  })
}
