/** Invariants on course subscriptions: whoever breaks them is named. */
import { Laws } from "evolvent/testing"
import { describe, expect, it } from "vitest"
import { application } from "../../domains/courses/application.ts"
import { rules } from "../../domains/courses/rules.ts"
import * as wrong from "../../domains/courses/wrong.ts"

describe("invariants", () => {
  it("hold for the log of courses after every command of every history", () => {
    const verdict = Laws.invariants({ commands: application(), invariants: rules, seed: 1 })
    expect(verdict.explanation).toMatchInlineSnapshot(
      `"never more students than seats, no student twice in a course and five courses a student at most: invariants hold; 1,000 histories, 2,123 appends, seed 1"`
    )
    Laws.assert(verdict)
  })

  it("catch 'shrinks below': a capacity that is lowered below the students, with the smallest history", () => {
    const commands = application({ changeCapacity: wrong.shrinksBelow })
    expect(Laws.invariants({ commands, invariants: rules, seed: 1 }).explanation).toMatchInlineSnapshot(`
      "ChangeCapacity decides wrongly: the invariant "never more students than seats" is broken: course a has 1 seats and 2 students

      history
        DefineCourse { capacity: 2, courseId: "a" }
          1 CourseDefined (version 2) { capacity: 2, courseId: "a" } tags course:a
        Subscribe { courseId: "a", studentId: "b" }
          2 StudentSubscribed { courseId: "a", studentId: "b" } tags course:a, student:b
        Subscribe { courseId: "a", studentId: "a" }
          3 StudentSubscribed { courseId: "a", studentId: "a" } tags course:a, student:a
        ChangeCapacity { capacity: 1, courseId: "a" }
          4 CapacityChanged { capacity: 1, courseId: "a" } tags course:a

      context of the last command
        CapacityOf: CourseDefined | CapacityChanged, tags course:a
        SeatsTaken: StudentSubscribed | StudentUnsubscribed, tags course:a

      it read
        1 CourseDefined (version 2) { capacity: 2, courseId: "a" } tags course:a
          seen by CapacityOf
        2 StudentSubscribed { courseId: "a", studentId: "b" } tags course:a, student:b
          seen by SeatsTaken
        3 StudentSubscribed { courseId: "a", studentId: "a" } tags course:a, student:a
          seen by SeatsTaken

      what to do
        None of the events that it did not read would have made the decision right: its view or its decide is wrong.

      found in case 184, seed 1"
    `)
  })

  it("catch 'reads the course only', and say what it did not read", () => {
    const commands = application({ subscribe: wrong.readsTheCourseOnly })
    const verdict = Laws.invariants({ commands, invariants: rules, seed: 1 })
    expect(verdict.findings[0]!.missing).toMatchObject({ event: { eventType: "StudentSubscribed" }, by: "type" })
    expect(verdict.counterExample!.events.length).toBe(3)
  })

  it("do not hold where nothing ever happens, and are asked for by name", () => {
    const onlySubscribe = [application()[2]] as const
    expect(Laws.invariants({ commands: onlySubscribe, invariants: rules, runs: 50, seed: 1 }).explanation).toBe(
      "no command was accepted in any history: this says nothing about the invariants"
    )
    expect(() => Laws.invariants({ commands: application(), invariants: {} })).toThrow("invariants are missing")
  })

  it("that throw are mistakes in the test, and say which", () => {
    const throwing = () =>
      Laws.invariants({
        commands: application(),
        invariants: {
          "never throws": () => {
            throw new Error("boom")
          }
        },
        seed: 1
      })
    expect(throwing).toThrow('the invariant "never throws" threw Error: boom')
  })
})
