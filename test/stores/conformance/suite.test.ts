/** The conformance suite itself: what it consists of. Each store under test is run through it in a file of its own. */
import { readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { conformance } from "../../../src/testing/index.ts"
import { stores } from "../../support/stores.ts"
import { allCases, casesOnDamagedLogs, casesThatReopen } from "./runThrough.ts"

describe("the conformance suite", () => {
  it("is run by every store under test, each in a file of its own", () => {
    const files = readdirSync(import.meta.dirname).filter(
      (file) => file.endsWith(".test.ts") && file !== "suite.test.ts"
    )
    const named = files.map(
      (file) => /runThrough\("(.*)"\)/.exec(readFileSync(join(import.meta.dirname, file), "utf8"))?.[1]
    )
    expect(named.sort()).toEqual(stores.map(({ name }) => name).sort())
  })

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
