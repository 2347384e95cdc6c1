/** No mutant survives the conformance suite, and the store that they are made of passes it: it is the mistake that is found. */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import type { ConformanceCase } from "../../src/testing/index.ts"
import { applies, conformance, Mutants } from "../../src/testing/index.ts"
import { jsonReport, textReport } from "../../mutants/report.ts"
import { itEffect } from "../support/it.ts"

const named = (name: string): ConformanceCase => {
  const found = conformance.find((it) => it.name === name)
  if (found === undefined) throw new Error(`there is no case "${name}"`)
  return found
}

describe("the store that mutants are made of", () => {
  itEffect("passes every case of the conformance suite, those of reopened and damaged logs included", () =>
    Effect.gen(function* () {
      expect(conformance.filter((it) => !applies(it, Mutants.original))).toEqual([])
      expect(yield* Mutants.failuresOf(Mutants.original, conformance)).toEqual([])
    })
  )
})

describe("the mutants", () => {
  it("have names of their own", () => {
    expect(Mutants.all.length).toBeGreaterThan(120)
    expect(new Set(Mutants.all.map(({ name }) => name)).size).toBe(Mutants.all.length)
    expect(new Set(Mutants.all.map(({ mistake }) => mistake)).size).toBe(Mutants.all.length)
  })

  it("together need a case of every rule that is about more than input", () => {
    const rules = new Set(Mutants.all.flatMap(({ killedBy }) => killedBy.map((name) => named(name).rule)))
    const needed = [
      "A1 A2 A3 A4 A5 Q1 Q2 Q3 Q4 Q5 C1 C2 C3 I1 L2 S1 S2 S3 S4 D1 D2 D3 D4 D5 D6 D7",
      "3.1 3.2 3.3 3.4 3.5 3.6 3.7 5 6 7"
    ].flatMap((rules) => rules.split(" "))
    expect(needed.filter((rule) => !rules.has(rule))).toEqual([])
  })

  for (const mutant of Mutants.all) {
    itEffect(`${mutant.name} is killed by: ${mutant.killedBy.join("; ")}`, () =>
      Effect.gen(function* () {
        const trial = yield* Mutants.attempt(mutant, mutant.killedBy.map(named))
        expect(trial.missed).toEqual([])
        expect(trial.killers.filter(({ how }) => how === "crashed")).toEqual([])
        expect(Mutants.survives(trial)).toBe(false)
      })
    )
  }
})

const [mutant] = Mutants.all as readonly [Mutants.Mutant]

/** A case of which only the end matters. */
const ending = (name: string, run: Effect.Effect<void, unknown>): ConformanceCase => ({
  name,
  rule: "A1",
  needs: undefined,
  run: () => run
})

const spinning: Effect.Effect<void> = Effect.forever(Effect.yieldNow)

describe("a trial", () => {
  itEffect("lets a mutant survive a suite without the case that it fails", () =>
    Effect.gen(function* () {
      const others = conformance.filter(({ rule }) => rule === "Q1")
      const trial = yield* Mutants.attempt(mutant, others)
      expect(trial).toEqual({ mutant, killers: [], missed: [] })
      expect(Mutants.survives(trial)).toBe(true)
    })
  )

  itEffect("names the registered case that has not killed its mutant, though others have", () =>
    Effect.gen(function* () {
      const tame = {
        ...mutant,
        killedBy: [named("events are numbered 1, 2, 3 and so on across appends").name] as const
      }
      const trial = yield* Mutants.attempt(tame, [named(tame.killedBy[0]), ending("never ends", Effect.never)])
      expect(trial.missed).toEqual(tame.killedBy)
      expect(trial.killers.map(({ name }) => name)).toEqual(["never ends"])
      expect(Mutants.survives(trial)).toBe(true)
    })
  )

  itEffect("says how a case has failed, whatever it waits for", () =>
    Effect.gen(function* () {
      const failures = yield* Mutants.failuresOf(Mutants.original, [
        ending("holds", Effect.void),
        ending("waits an hour", Effect.sleep("1 hour")),
        ending("never ends", Effect.never),
        ending("goes round in circles", spinning),
        ending("waits while others go round in circles", Effect.andThen(Effect.forkDetach(spinning), Effect.never)),
        ending("waits a minute", Effect.sleep("1 minute")),
        ending(
          "expects another number",
          Effect.sync(() => assert.equal(1, 2, "one is not two"))
        ),
        ending("throws", Effect.die(new TypeError("a mistake of the mutant")))
      ])
      expect(failures.map(({ how, name, problem }) => [name, how, problem])).toEqual([
        ["waits an hour", "silent", "the case did not end"],
        ["never ends", "silent", "the case did not end"],
        ["goes round in circles", "silent", "the case did not end"],
        ["waits while others go round in circles", "silent", "the case did not end"],
        ["expects another number", "broken", "one is not two"],
        ["throws", "crashed", "a mistake of the mutant"]
      ])
    })
  )

  itEffect("tells a call that should have succeeded from an expectation that does not hold", () =>
    Effect.gen(function* () {
      const refused: ConformanceCase = {
        ...ending("appends nothing", Effect.void),
        run: ({ make }) => Effect.flatMap(make, (store) => Effect.asVoid(store.append([])))
      }
      const [failure] = yield* Mutants.failuresOf(Mutants.original, [refused])
      expect(failure).toMatchObject({ how: "failed", problem: expect.stringContaining("EmptyAppend") })
    })
  )
})

describe("a report on trials", () => {
  const killer = { name: "a case", rule: "C2", how: "silent", problem: "waited in vain" } as const
  const wrong = { ...mutant, name: "wrong", mistake: "Is wrong.", killedBy: ["a case"] as const }
  const killed = { mutant: wrong, killers: [killer], missed: [] }
  const survived = { mutant: { ...wrong, name: "subtle" }, killers: [], missed: ["a case"] }

  it("is one line of JSON", () => {
    const lines: Array<string> = []
    const report = jsonReport((line) => lines.push(line))
    report.original([])
    report.trial(killed)
    expect(report.end()).toBe(true)
    expect(lines).toEqual(['{"mutants":1,"killed":1,"survivors":[]}'])
  })

  it("names survivors, and then all is not well", () => {
    const lines: Array<string> = []
    const report = jsonReport((line) => lines.push(line))
    report.original([])
    for (const trial of [killed, survived]) report.trial(trial)
    expect(report.end()).toBe(false)
    expect(lines).toEqual(['{"mutants":2,"killed":1,"survivors":["subtle"]}'])
  })

  it("complains of a store without a mistake that fails a case", () => {
    const [lines, complaints]: [Array<string>, Array<string>] = [[], []]
    const report = jsonReport(
      (line) => lines.push(line),
      (line) => complaints.push(line)
    )
    report.original([killer])
    report.trial(killed)
    expect(report.end()).toBe(false)
    expect(lines).toEqual(['{"mutants":1,"killed":1,"survivors":[]}'])
    expect(complaints).toEqual(['the store without a mistake fails "a case": waited in vain'])
  })

  it("lists for people what has killed a mutant and what has not", () => {
    const lines: Array<string> = []
    const report = textReport((line) => lines.push(line))
    for (const trial of [killed, survived]) report.trial(trial)
    expect(report.end()).toBe(false)
    expect(lines).toEqual([
      "wrong: Is wrong.",
      "  * C2  a case (silent)",
      "subtle: Is wrong.",
      "  ! not killed by: a case",
      "  ! SURVIVES",
      "\n2 mutants, 1 killed",
      "survivors: subtle"
    ])
  })
})
