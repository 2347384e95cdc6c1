/** Sufficiency on course subscriptions: the right deciders, and wrong ones with the smallest history that shows it. */
import { Laws } from "evolvent/testing"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { application } from "../../domains/courses/application.ts"
import { changeCapacity, defineCourse, subscribe, unsubscribe } from "../../domains/courses/deciders.ts"
import { rules, subscribeOverAll } from "../../domains/courses/rules.ts"
import * as wrong from "../../domains/courses/wrong.ts"
import { told } from "./told.ts"

const judge = (decider: typeof subscribe) =>
  Laws.sufficiency({ decider, commands: application({ subscribe: decider }), invariants: rules, seed: 1, runs: 300 })

/** Without anybody to say what is right. */
const judgeAlone = (decider: typeof subscribe) =>
  Laws.sufficiency({ decider, commands: application({ subscribe: decider }), seed: 1, runs: 300 })

describe("sufficiency holds for", () => {
  it("the decider of subscriptions, by the rules and by an oracle that reads everything", () => {
    const verdict = Laws.sufficiency({
      decider: subscribe,
      commands: application(),
      invariants: rules,
      oracle: subscribeOverAll,
      runs: 300,
      seed: 1
    })
    expect(verdict.explanation).toMatchInlineSnapshot(
      `"Subscribe: sufficiency holds; 300 histories, 1,176 decisions, seed 1"`
    )
    Laws.assert(verdict)
  })

  it("the other deciders of courses", () => {
    for (const decider of [defineCourse, changeCapacity, unsubscribe]) {
      Laws.assert(Laws.sufficiency({ decider, commands: application(), invariants: rules, seed: 1, runs: 200 }))
    }
  })
})

describe("sufficiency catches a decider that", () => {
  it("'forgets subscriptions': the type is missing from a part of its query", () => {
    const verdict = judge(wrong.forgetsSubscriptions)
    expect(verdict.findings.length).toBe(1)
    expect(verdict.explanation).toMatchInlineSnapshot(`
      "Subscribe does not read enough: the invariant "never more students than seats" is broken: course a has 1 seats and 2 students

      history
        DefineCourse { capacity: 1, courseId: "a" }
          1 CourseDefined (version 2) { capacity: 1, courseId: "a" } tags course:a
        Subscribe { courseId: "a", studentId: "b" }
          2 StudentSubscribed { courseId: "a", studentId: "b" } tags course:a, student:b
        Subscribe { courseId: "a", studentId: "a" }
          3 StudentSubscribed { courseId: "a", studentId: "a" } tags course:a, student:a

      context of the last command
        CapacityOf: CourseDefined | CapacityChanged, tags course:a
        SeatsTaken: StudentUnsubscribed, tags course:a
        CoursesOf: StudentSubscribed | StudentUnsubscribed, tags student:a

      it read
        1 CourseDefined (version 2) { capacity: 1, courseId: "a" } tags course:a
          seen by CapacityOf

      SeatsTaken did not read
        2 StudentSubscribed { courseId: "a", studentId: "b" } tags course:a, student:b
          its type is not asked for

      had it read event 2, it would have decided
        rejected with CourseFull { _tag: "CourseFull" }

      to the query of SeatsTaken
        add the type StudentSubscribed to: StudentUnsubscribed, tags course:a

      found in case 18, seed 1"
    `)
    expect(verdict.findings[0]!.missing).toMatchObject({
      view: "SeatsTaken",
      by: "type",
      event: { eventType: "StudentSubscribed", sequenceNumber: 2 }
    })
  })

  it("'forgets changed capacities': the missing type matters only when the capacity is lowered", () => {
    expect(told(judge(wrong.forgetsChangedCapacities))).toMatchInlineSnapshot(`
      [
        "Subscribe does not read enough: the invariant "never more students than seats" is broken: course a has 1 seats and 2 students",
        "DefineCourse { capacity: 2, courseId: "a" }",
        "  1 CourseDefined (version 2) { capacity: 2, courseId: "a" } tags course:a",
        "Subscribe { courseId: "a", studentId: "a" }",
        "  2 StudentSubscribed { courseId: "a", studentId: "a" } tags course:a, student:a",
        "ChangeCapacity { capacity: 1, courseId: "a" }",
        "  3 CapacityChanged { capacity: 1, courseId: "a" } tags course:a",
        "Subscribe { courseId: "a", studentId: "b" }",
        "  4 StudentSubscribed { courseId: "a", studentId: "b" } tags course:a, student:b",
      ]
    `)
  })

  it("'counts own seats only': a predicate is too narrow", () => {
    const verdict = judge(wrong.countsOwnSeatsOnly)
    expect(told(verdict)).toMatchInlineSnapshot(`
      [
        "Subscribe does not read enough: the invariant "never more students than seats" is broken: course a has 1 seats and 2 students",
        "DefineCourse { capacity: 1, courseId: "a" }",
        "  1 CourseDefined (version 2) { capacity: 1, courseId: "a" } tags course:a",
        "Subscribe { courseId: "a", studentId: "b" }",
        "  2 StudentSubscribed { courseId: "a", studentId: "b" } tags course:a, student:b",
        "Subscribe { courseId: "a", studentId: "a" }",
        "  3 StudentSubscribed { courseId: "a", studentId: "a" } tags course:a, student:a",
      ]
    `)
    expect(verdict.findings[0]!.missing).toMatchObject({ view: "SeatsTaken", by: "predicate" })
    expect(verdict.findings[0]!.missing!.suggestion).toMatchInlineSnapshot(
      `"leave out studentId in the payload of: StudentSubscribed | StudentUnsubscribed, payload { courseId: "a", studentId: "a" }"`
    )
  })

  it("'looks for the wrong student': a tag is wrong", () => {
    const verdict = judge(wrong.looksForTheWrongStudent)
    expect(told(verdict)).toMatchInlineSnapshot(`
      [
        "Subscribe does not read enough: the invariant "no student twice in a course" is broken: student b in course a: 2 times",
        "DefineCourse { capacity: 2, courseId: "a" }",
        "  1 CourseDefined (version 2) { capacity: 2, courseId: "a" } tags course:a",
        "Subscribe { courseId: "a", studentId: "b" }",
        "  2 StudentSubscribed { courseId: "a", studentId: "b" } tags course:a, student:b",
        "Subscribe { courseId: "a", studentId: "b" }",
        "  3 StudentSubscribed { courseId: "a", studentId: "b" } tags course:a, student:b",
      ]
    `)
    expect(verdict.findings[0]!.missing).toMatchObject({ view: "CoursesOf", by: "tag" })
    expect(verdict.findings[0]!.missing!.suggestion).toMatchInlineSnapshot(
      `"ask for StudentSubscribed, by the tag student:b, not by student:a"`
    )
  })

  it("'reads the course only': no view takes the event, and the verdict says so", () => {
    const verdict = judge(wrong.readsTheCourseOnly)
    expect(told(verdict)).toMatchInlineSnapshot(`
      [
        "Subscribe does not read enough: the invariant "never more students than seats" is broken: course a has 1 seats and 2 students",
        "DefineCourse { capacity: 1, courseId: "a" }",
        "  1 CourseDefined (version 2) { capacity: 1, courseId: "a" } tags course:a",
        "Subscribe { courseId: "a", studentId: "a" }",
        "  2 StudentSubscribed { courseId: "a", studentId: "a" } tags course:a, student:a",
        "Subscribe { courseId: "a", studentId: "a" }",
        "  3 StudentSubscribed { courseId: "a", studentId: "a" } tags course:a, student:a",
      ]
    `)
    expect(verdict.explanation).toContain(`without event 2 nothing would be wrong
  CapacityOf has no case for StudentSubscribed: it needs the event and a case for it`)
  })

  it("'reads the course only', by an oracle that says no more than whether to accept", () => {
    const decider = wrong.readsTheCourseOnly
    const verdict = Laws.sufficiency({
      decider,
      commands: application({ subscribe: decider }),
      oracle: (seat, log) => {
        const decision = subscribeOverAll(seat, log)
        return decision._tag === "Accept" && decision.events.length > 0
      },
      seed: 1
    })
    expect(told(verdict)).toMatchInlineSnapshot(`
      [
        "Subscribe does not read enough: the oracle does not accept the command",
        "DefineCourse { capacity: 1, courseId: "a" }",
        "  1 CourseDefined (version 2) { capacity: 1, courseId: "a" } tags course:a",
        "Subscribe { courseId: "a", studentId: "a" }",
        "  2 StudentSubscribed { courseId: "a", studentId: "a" } tags course:a, student:a",
        "Subscribe { courseId: "a", studentId: "a" }",
        "  3 StudentSubscribed { courseId: "a", studentId: "a" } tags course:a, student:a",
      ]
    `)
    expect(verdict.findings[0]!.missing).toMatchObject({ event: { eventType: "StudentSubscribed" } })
  })

  it("'looks for the wrong student', though nobody says what is right: it does not see what it emits itself", () => {
    expect(judgeAlone(wrong.looksForTheWrongStudent).explanation).toMatchInlineSnapshot(`
      "Subscribe emits StudentSubscribed, and CoursesOf does not read it

      history
        DefineCourse { capacity: 1, courseId: "a" }
          1 CourseDefined (version 2) { capacity: 1, courseId: "a" } tags course:a
        Subscribe { courseId: "a", studentId: "b" }
          2 StudentSubscribed { courseId: "a", studentId: "b" } tags course:a, student:b

      the same command once more
        rejected with CourseFull { _tag: "CourseFull" }

      context of the last command
        CapacityOf: CourseDefined | CapacityChanged, tags course:a
        SeatsTaken: StudentSubscribed | StudentUnsubscribed, tags course:a
        CoursesOf: StudentSubscribed | StudentUnsubscribed, tags student:a

      it read
        1 CourseDefined (version 2) { capacity: 1, courseId: "a" } tags course:a
          seen by CapacityOf
        2 StudentSubscribed { courseId: "a", studentId: "b" } tags course:a, student:b
          seen by SeatsTaken

      CoursesOf did not read
        2 StudentSubscribed { courseId: "a", studentId: "b" } tags course:a, student:b
          it has no tag student:a

      had it read event 2, it would have decided
        nothing

      to the query of CoursesOf
        ask for StudentSubscribed, by the tag student:b, not by student:a

      found in case 11, seed 1"
    `)
  })

  it("'forgets subscriptions', though nobody says what is right: a case of its view can never run", () => {
    expect(judgeAlone(wrong.forgetsSubscriptions).explanation).toMatchInlineSnapshot(`
      "Subscribe evolves by StudentSubscribed, which its query never selects, in SeatsTaken: its type is not asked for

      history
        Subscribe { courseId: "a", studentId: "a" }
          rejected with UnknownCourse { _tag: "UnknownCourse" }

      context of the last command
        CapacityOf: CourseDefined | CapacityChanged, tags course:a
        SeatsTaken: StudentUnsubscribed, tags course:a
        CoursesOf: StudentSubscribed | StudentUnsubscribed, tags student:a

      what to do
        add StudentSubscribed to the query of SeatsTaken, or leave the case out

      found in case 1, seed 1"
    `)
  })

  it("'asks for a field that is not there': a case can never run", () => {
    expect(told(judgeAlone(wrong.asksForAFieldThatIsNotThere))).toMatchInlineSnapshot(`
      [
        "Subscribe evolves by CapacityChanged, which its query never selects, in CapacityOf: its payload has no such field: { course: "a" }",
        "Subscribe { courseId: "a", studentId: "a" }",
        "  rejected with UnknownCourse { _tag: "UnknownCourse" }",
      ]
    `)
  })

  it("'counts badly': it reads enough, and the verdict does not blame the query", { timeout: 120_000 }, () => {
    const decider = wrong.countsBadly
    const course = fc.constantFrom("a", "b", "c", "d", "e", "f")
    const verdict = Laws.sufficiency({
      decider,
      commands: [
        Laws.commands(defineCourse, fc.record({ courseId: course, capacity: fc.constantFrom(2, 3) })),
        Laws.commands(decider, fc.record({ courseId: course, studentId: fc.constant("a") }), { weight: 2 })
      ],
      invariants: { "five courses a student at most": rules["five courses a student at most"] },
      maxCommands: 40,
      runs: 5,
      seed: 1
    })
    expect(told(verdict)).toMatchInlineSnapshot(`
      [
        "Subscribe decides wrongly: the invariant "five courses a student at most" is broken: student a has 6 courses",
        "DefineCourse { capacity: 2, courseId: "b" }",
        "  1 CourseDefined (version 2) { capacity: 2, courseId: "b" } tags course:b",
        "DefineCourse { capacity: 2, courseId: "f" }",
        "  2 CourseDefined (version 2) { capacity: 2, courseId: "f" } tags course:f",
        "DefineCourse { capacity: 2, courseId: "c" }",
        "  3 CourseDefined (version 2) { capacity: 2, courseId: "c" } tags course:c",
        "DefineCourse { capacity: 2, courseId: "d" }",
        "  4 CourseDefined (version 2) { capacity: 2, courseId: "d" } tags course:d",
        "Subscribe { courseId: "c", studentId: "a" }",
        "  5 StudentSubscribed { courseId: "c", studentId: "a" } tags course:c, student:a",
        "DefineCourse { capacity: 2, courseId: "a" }",
        "  6 CourseDefined (version 2) { capacity: 2, courseId: "a" } tags course:a",
        "Subscribe { courseId: "b", studentId: "a" }",
        "  7 StudentSubscribed { courseId: "b", studentId: "a" } tags course:b, student:a",
        "Subscribe { courseId: "f", studentId: "a" }",
        "  8 StudentSubscribed { courseId: "f", studentId: "a" } tags course:f, student:a",
        "Subscribe { courseId: "a", studentId: "a" }",
        "  9 StudentSubscribed { courseId: "a", studentId: "a" } tags course:a, student:a",
        "Subscribe { courseId: "d", studentId: "a" }",
        "  10 StudentSubscribed { courseId: "d", studentId: "a" } tags course:d, student:a",
        "Subscribe { courseId: "c", studentId: "a" }",
        "  11 StudentSubscribed { courseId: "c", studentId: "a" } tags course:c, student:a",
      ]
    `)
    expect(verdict.findings[0]!.missing).toBeUndefined()
    expect(verdict.explanation).toContain("None of the events that it did not read would have made the decision right")
  })
})

describe("sufficiency", () => {
  it("does not hold for a decider that no history lets accept anything", () => {
    const verdict = Laws.sufficiency({ decider: subscribe, commands: [application()[2]], seed: 1, runs: 50 })
    expect(verdict.explanation).toMatchInlineSnapshot(`
      "Subscribe was never accepted, in 363 decisions: this says nothing about its query

      what to do
        list the deciders of what has to happen before, and let the commands be about the same few things

      note: without invariants and without an oracle nobody says which decisions are wrong"
    `)
  })

  it("refuses to judge a decider that is not among those of the commands", () => {
    expect(() => Laws.sufficiency({ decider: subscribe, commands: [] })).toThrow("commands does not list Subscribe")
  })

  it("says what nobody has been asked for", () => {
    expect(judgeAlone(wrong.readsTheCourseOnly).explanation).toMatchInlineSnapshot(`
      "Subscribe: sufficiency holds; 300 histories, 1,176 decisions, seed 1

      note: without invariants and without an oracle nobody says which decisions are wrong
      note: Subscribe emits StudentSubscribed and never reads it: right where it does not matter how often it was decided before"
    `)
  })

  it("gives the same verdict for the same seed", () => {
    const first = judge(wrong.countsOwnSeatsOnly)
    const second = judge(wrong.countsOwnSeatsOnly)
    expect(second.explanation).toBe(first.explanation)
    expect(() => Laws.assert(first)).toThrow(Laws.LawBroken)
  })
})
