/** Making the commands of a counter-example fewer and plainer, where fast-check cannot. */
import * as fc from "fast-check"
import { Laws } from "evolvent/testing"
import { describe, expect, it } from "vitest"
import type { Issued } from "../../../src/testing/arbitrary/History.ts"
import { smallest } from "../../../src/testing/laws/smallest.ts"
import { Capacity, defineCourse, Seat, subscribe } from "../../domains/courses/deciders.ts"

const define = (courseId: string, capacity = 1): Issued => ({ kind: 0, command: Object.freeze({ courseId, capacity }) })
const seat = (courseId: string, studentId: string): Issued => ({
  kind: 1,
  command: Object.freeze({ courseId, studentId })
})
const of = [Laws.commands(defineCourse, Capacity), Laws.commands(subscribe, Seat)]

const courses = (commands: ReadonlyArray<Issued>) => commands.map(({ command }) => (command as Seat).courseId)

/** Deciders get their commands frozen. */
const frozen = (fails: (commands: ReadonlyArray<Issued>) => boolean) => (commands: ReadonlyArray<Issued>) => {
  for (const { command } of commands) Object.freeze(command)
  return fails(commands)
}

describe("the smallest commands", () => {
  it("are those that it takes: an odd one is left out, and so are two that need one another", () => {
    const odd = smallest(of, [define("a"), seat("a", "a")], (it) => it.some(({ kind }) => kind === 1))
    expect(odd).toEqual([seat("a", "a")])
    const paired = (it: ReadonlyArray<Issued>) =>
      it.filter(({ kind }) => kind === 0).length % 2 === 0 && it.some(({ kind }) => kind === 1)
    expect(smallest(of, [define("a"), define("a"), seat("a", "a")], paired)).toEqual([seat("a", "a")])
  })

  it("are about the first letters, everywhere at once, or in one field of all", () => {
    const same = (it: ReadonlyArray<Issued>) => it.length === 2 && new Set(courses(it)).size === 1
    expect(smallest(of, [define("c"), seat("c", "b")], frozen(same))).toEqual([define("a"), seat("a", "a")])
    const others = (it: ReadonlyArray<Issued>) =>
      it.length === 2 &&
      same(it) &&
      (it[1]!.command as Seat).studentId === "b" &&
      (it[0]!.command as Capacity).capacity === 1
    expect(smallest(of, [define("b"), seat("b", "b")], others)).toEqual([define("a"), seat("a", "b")])
  })

  it("take over a field of a command that is left out", () => {
    const reaches = (it: ReadonlyArray<Issued>) =>
      it[0]?.kind === 0 && it.some(({ command }) => (command as Partial<Capacity>).capacity === 3)
    expect(smallest(of, [define("a", 1), define("a", 3)], reaches)).toEqual([define("a", 3)])
  })

  it("are such that their arbitraries could have generated them", () => {
    const own = fc.record({ courseId: fc.constantFrom("z", "y"), studentId: fc.constant("ann") })
    const kinds = [Laws.commands(subscribe, own)]
    const command: Issued = { kind: 0, command: Object.freeze({ courseId: "y", studentId: "ann" }) }
    expect(smallest(kinds, [command], (it) => it.length === 1)).toEqual([
      { kind: 0, command: { courseId: "z", studentId: "ann" } }
    ])
  })
})
