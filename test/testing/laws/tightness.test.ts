/** Tightness on course subscriptions. */
import { Laws } from "evolvent/testing"
import { describe, expect, it } from "vitest"
import { application } from "../../domains/courses/application.ts"
import { changeCapacity, defineCourse, subscribe, unsubscribe } from "../../domains/courses/deciders.ts"
import * as wrong from "../../domains/courses/wrong.ts"
import { told } from "./told.ts"

describe("tightness", () => {
  it("holds for the deciders of courses, and says how often each part of a query mattered", () => {
    const verdicts = [defineCourse, changeCapacity, subscribe, unsubscribe].map((decider) =>
      Laws.tightness({ decider, commands: application(), seed: 1 })
    )
    Laws.assert(...verdicts)
    expect(verdicts[2]!.explanation).toMatchInlineSnapshot(`
      "Subscribe: tightness holds; 1,000 histories, 4,082 decisions, seed 1

      how often each part of the query mattered
        CapacityOf: the type CourseDefined: in 868 of 1,154 decisions that read events because of it
        CapacityOf: the type CapacityChanged: in 44 of 286 decisions that read events because of it
        CapacityOf: the tag course:...: in 903 of 1,286 decisions that left events out because of it
        SeatsTaken: the type StudentSubscribed: in 64 of 622 decisions that read events because of it
        SeatsTaken: the type StudentUnsubscribed: in 21 of 100 decisions that read events because of it
        SeatsTaken: the tag course:...: in 29 of 544 decisions that left events out because of it
        CoursesOf: the type StudentSubscribed: in 331 of 632 decisions that read events because of it
        CoursesOf: the type StudentUnsubscribed: in 39 of 83 decisions that read events because of it
        CoursesOf: the tag student:...: in 242 of 718 decisions that left events out because of it"
    `)
    expect(verdicts[2]!.parts.every(({ mattered, selected }) => mattered > 0 && mattered <= selected)).toBe(true)
  })

  it("catches 'reads the whole course': a needless conflict, and the smallest history with one", () => {
    const decider = wrong.readsTheWholeCourse
    const verdict = Laws.tightness({ decider, commands: application({ unsubscribe: decider }), seed: 1 })
    expect(verdict.explanation).toMatchInlineSnapshot(`
      "SeatsTaken: the type StudentSubscribed never mattered, in 221 decisions that read events because of it

      history
        DefineCourse { capacity: 1, courseId: "a" }
          1 CourseDefined (version 2) { capacity: 1, courseId: "a" } tags course:a
        Subscribe { courseId: "a", studentId: "a" }
          2 StudentSubscribed { courseId: "a", studentId: "a" } tags course:a, student:a
        Unsubscribe { courseId: "a", studentId: "a" }
          3 StudentUnsubscribed { courseId: "a", studentId: "a" } tags course:a, student:a

      context of the last command
        CoursesOf: StudentSubscribed | StudentUnsubscribed, tags student:a
        SeatsTaken: StudentSubscribed | StudentUnsubscribed, tags course:a

      read without need
        2 StudentSubscribed { courseId: "a", studentId: "a" } tags course:a, student:a

      what to do
        leave it out: whoever appends such an event makes this command be decided again for nothing

      note: SeatsTaken: the type StudentUnsubscribed was read in 28 decisions only, and mattered in none: more runs tell

      how often each part of the query mattered
        CoursesOf: the type StudentSubscribed: in 112 of 231 decisions that read events because of it
        CoursesOf: the type StudentUnsubscribed: in 9 of 21 decisions that read events because of it
        CoursesOf: the tag student:...: in 100 of 245 decisions that left events out because of it
        SeatsTaken: the type StudentSubscribed: in 0 of 221 decisions that read events because of it
        SeatsTaken: the type StudentUnsubscribed: in 0 of 28 decisions that read events because of it
        SeatsTaken: the tag course:...: in 0 of 188 decisions that left events out because of it"
    `)
  })

  it("catches a type that nobody emits", () => {
    const commands = application().slice(0, 3)
    const verdict = Laws.tightness({ decider: subscribe, commands, seed: 1 })
    expect(verdict.findings.map(({ problem }) => problem)).toMatchInlineSnapshot(`
      [
        "SeatsTaken: the type StudentUnsubscribed never selected an event, in 4,793 decisions",
        "CoursesOf: the type StudentUnsubscribed never selected an event, in 4,793 decisions",
      ]
    `)
    expect(told(verdict).length).toBe(1)
  })

  it("does not take chance for proof: what was hardly ever read is told, and not held against the query", () => {
    const decider = wrong.readsTheWholeCourse
    const verdict = Laws.tightness({ decider, commands: application({ unsubscribe: decider }), seed: 1, runs: 100 })
    expect(verdict.holds).toBe(true)
    expect(verdict.explanation).toContain("mattered in none: more runs tell")
  })
})
