/** The bug of the tutorial (docs/testing-deciders.md) is found soon and told briefly, whatever the seed. */
import { Decider, EventCatalog, EventQuery } from "evolvent"
import * as Schema from "effect/Schema"
import { Laws } from "evolvent/testing"
import { describe, expect, it } from "vitest"

const Loan = Schema.Struct({ copy: Schema.NonEmptyString, member: Schema.NonEmptyString })
const Copy = Schema.Struct({ copy: Schema.NonEmptyString })
const Library = EventCatalog.make({ CopyAdded: Copy, CopyLent: Loan, CopyReturned: Loan })

const addCopy = Decider.make({
  name: "AddCopy",
  events: Library,
  context: ({ copy }: typeof Copy.Type) => Library.query("CopyAdded", { copy }),
  initial: false,
  evolve: { CopyAdded: () => true },
  decide: (command, isThere) => (isThere ? Decider.nothing : Decider.accept(Library.CopyAdded(command)))
})

const lend = Decider.make({
  name: "Lend",
  events: Library,
  context: ({ copy, member }: typeof Loan.Type) =>
    EventQuery.or(Library.query("CopyAdded", { copy }), Library.query(["CopyLent", "CopyReturned"], { copy, member })),
  initial: { isThere: false, isOut: false },
  evolve: {
    CopyAdded: () => ({ isThere: true, isOut: false }),
    CopyLent: () => ({ isThere: true, isOut: true }),
    CopyReturned: () => ({ isThere: true, isOut: false })
  },
  decide: (loan, { isOut, isThere }) =>
    isThere && !isOut ? Decider.accept(Library.CopyLent(loan)) : Decider.reject("NotHere" as const)
})

const takeBack = Decider.make({
  name: "TakeBack",
  events: Library,
  context: (loan: typeof Loan.Type) => Library.query(["CopyLent", "CopyReturned"], loan),
  initial: false,
  evolve: { CopyLent: () => true, CopyReturned: () => false },
  decide: (loan, hasIt) => (hasIt ? Decider.accept(Library.CopyReturned(loan)) : Decider.nothing)
})

const commands = [Laws.commands(addCopy, Copy), Laws.commands(lend, Loan), Laws.commands(takeBack, Loan)] as const

const rules = {
  "a copy is with one member at a time": (
    log: ReadonlyArray<Laws.InLog<EventCatalog.Event<typeof Library>>>
  ): boolean => {
    const holders = new Map<string, Set<string>>()
    for (const { eventType, payload } of log) {
      if (eventType === "CopyAdded") holders.set(payload.copy, new Set())
      else if (eventType === "CopyLent") holders.get(payload.copy)?.add(payload.member)
      else holders.get(payload.copy)?.delete(payload.member)
    }
    return ![...holders.values()].some((members) => members.size > 1)
  }
}

describe("the wrong decider of the tutorial", () => {
  it(
    "is found within 100 histories and told with three events at most, with every one of 10 seeds",
    { timeout: 120_000 },
    () => {
      for (let seed = 1; seed <= 10; seed++) {
        const verdict = Laws.sufficiency({ decider: lend, commands, invariants: rules, seed, runs: 100 })
        expect(verdict.holds).toBe(false)
        expect(verdict.runs).toBeLessThanOrEqual(100)
        expect(verdict.counterExample!.events.length).toBeLessThanOrEqual(3)
        expect(verdict.findings[0]!.missing).toMatchObject({ by: "predicate", event: { eventType: "CopyLent" } })
      }
    }
  )
})
