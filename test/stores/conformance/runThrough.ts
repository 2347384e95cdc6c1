/** Runs a store under test through the conformance suite. */
import { describe, expect, it } from "vitest"
import { applies, conformance } from "../../../src/testing/index.ts"
import { itEffect } from "../../support/it.ts"
import { stores } from "../../support/stores.ts"

export const allCases = 267
export const casesThatReopen = 28
export const casesOnDamagedLogs = 2

/** What a store cannot be run through is stated here, and nowhere skipped. */
const expectedCases = (store: string): number =>
  store === "memory" ? allCases - casesThatReopen - casesOnDamagedLogs : allCases

/** By the store's name in `stores`. */
export const runThrough = (name: string): void => {
  const store = stores.find((it) => it.name === name)
  if (store === undefined) throw new Error(`no store under test is called ${name}`)
  describe(store.name, () => {
    const cases = conformance.filter((it) => applies(it, store))

    it("is run through every case that applies to it", () => {
      expect(cases.length).toBe(expectedCases(store.name))
    })

    for (const { name, rule, run } of cases) itEffect(`${rule}: ${name}`, () => run(store), { timeout: 60_000 })
  })
}
