/** Every read goes through an index: no statement looks at the whole log or sorts what it found. */
import Database from "better-sqlite3"
import { afterAll, describe, expect, it } from "vitest"
import { schema, statements } from "../../../src/stores/sqlite/statements.ts"

const database = new Database(":memory:")
for (const { sql } of schema("evolvent")) database.exec(sql)
afterAll(() => database.close())

const reads = Object.entries(statements("evolvent")).filter(([, sql]) => sql.trimStart().startsWith("SELECT"))

const planOf = (name: string, sql: string): ReadonlyArray<string> => {
  const parameters = Array.from(sql.matchAll(/\?/g), (_, index) => (name.startsWith("match") && index === 0 ? "a" : 1))
  const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...parameters) as Array<{ detail: string }>
  return plan.map(({ detail }) => detail)
}

describe("the plan of a read", () => {
  it("is looked at for all of them", () => {
    expect(reads.map(([name]) => name).toSorted()).toEqual(
      ["findKey", "formatOf", "matchDown", "matchIds", "matchUp", "scan", "scanJoined", "state"].toSorted()
    )
  })

  it.each(reads)("of %s scans no events and sorts nothing", (name, sql) => {
    const plan = planOf(name, sql)
    expect(plan.length).toBeGreaterThan(0)
    for (const step of plan) {
      expect(step).not.toMatch(/TEMP B-TREE/)
      // The log table has one row; a search of the full-text index shows as a scan of a virtual table with a plan number.
      if (step.startsWith("SCAN")) expect(step).toMatch(/^SCAN evolvent_log$|VIRTUAL TABLE INDEX \d+:M\d+/)
    }
  })

  it("of an event by its number is a search, and so are one by its id, through the index of terms, and one by a key", () => {
    const sql = statements("evolvent")
    expect(planOf("scan", sql.scan)).toEqual([expect.stringMatching(/^SEARCH e USING INTEGER PRIMARY KEY/)])
    expect(planOf("scanJoined", sql.scanJoined)).toEqual([
      expect.stringMatching(/^SEARCH evolvent_events USING INTEGER PRIMARY KEY/)
    ])
    expect(planOf("matchIds", sql.matchIds)).toEqual([
      expect.stringMatching(/^SCAN i VIRTUAL TABLE INDEX \d+:M\d+$/),
      expect.stringMatching(/^SEARCH e USING INTEGER PRIMARY KEY/)
    ])
    expect(planOf("findKey", sql.findKey)).toEqual([
      expect.stringMatching(/^SEARCH evolvent_idempotency USING PRIMARY KEY/)
    ])
  })
})
