/** Purity on course subscriptions: functions that look elsewhere, remember, change what they get, or do not take every event. */
import * as Schema from "effect/Schema"
import { Laws } from "evolvent/testing"
import { describe, expect, it } from "vitest"
import { application } from "../../domains/courses/application.ts"
import { changeCapacity, defineCourse, subscribe, unsubscribe } from "../../domains/courses/deciders.ts"
import * as wrong from "../../domains/courses/wrong.ts"
import { told } from "./told.ts"

const older = { CourseDefined: { 1: Schema.Struct({ courseId: Schema.NonEmptyString }) } }

const judge = (decider: typeof subscribe, more: Pick<Parameters<typeof Laws.purity>[0], "older"> = { older }) =>
  Laws.purity({ decider, commands: application({ subscribe: decider }), seed: 1, runs: 150, ...more })

describe("purity", () => {
  it("holds for the deciders of courses, and leaves the globals as they were", () => {
    const before = [Date, Math.random, performance.now, crypto.randomUUID, crypto.getRandomValues, process.hrtime]
    for (const decider of [defineCourse, changeCapacity, subscribe, unsubscribe]) {
      Laws.assert(Laws.purity({ decider, commands: application(), seed: 1, runs: 150, older }))
    }
    expect([Date, Math.random, performance.now, crypto.randomUUID, crypto.getRandomValues, process.hrtime]).toEqual(
      before
    )
    expect(Object.hasOwn(performance, "now")).toBe(false)
    expect(judge(subscribe).explanation).toMatchInlineSnapshot(
      `"Subscribe: purity holds; 150 histories, 621 decisions, 150 sequences of events, seed 1"`
    )
  })

  it("catches 'reads the clock', with the smallest history", () => {
    expect(judge(wrong.readsTheClock).explanation).toMatchInlineSnapshot(`
      "Subscribe: decide uses Date.now: it may run again, and must come to the same

      history
        Subscribe { courseId: "a", studentId: "a" }
          rejected with UnknownCourse { _tag: "UnknownCourse" }

      what to do
        let the caller put the time, or a new id, into the command

      found in case 1, seed 1"
    `)
  })

  it("catches 'draws lots'", () => {
    expect(told(judge(wrong.drawsLots))).toMatchInlineSnapshot(`
      [
        "Subscribe: decide uses Math.random: it may run again, and must come to the same",
        "Subscribe { courseId: "a", studentId: "a" }",
        "  rejected with UnknownCourse { _tag: "UnknownCourse" }",
      ]
    `)
  })

  it("catches 'answers later'", () => {
    expect(told(judge(wrong.answersLater))).toMatchInlineSnapshot(`
      [
        "Subscribe: decide returned a promise; it must be pure: effects follow from events that are recorded",
        "Subscribe { courseId: "a", studentId: "a" }",
        "  failed: decide returned a promise; it must be pure: effects follow from events that are recorded",
      ]
    `)
  })

  it("catches 'changes the command'", () => {
    expect(told(judge(wrong.changesTheCommand))).toMatchInlineSnapshot(`
      [
        "Subscribe: decide changed the command in place (- before, + after); make a new value",
        "Subscribe { courseId: "a", studentId: "a" }",
        "  failed: decide changed the command in place (- before, + after); make a new value",
      ]
    `)
  })

  it("catches 'changes the state'", () => {
    expect(told(judge(wrong.changesTheState))).toMatchInlineSnapshot(`
      [
        "Subscribe: CoursesOf.evolve.StudentSubscribed changed the state in place (- before, + after); make a new value",
        "DefineCourse { capacity: 1, courseId: "a" }",
        "  1 CourseDefined (version 2) { capacity: 1, courseId: "a" } tags course:a",
        "Subscribe { courseId: "a", studentId: "a" }",
        "  2 StudentSubscribed { courseId: "a", studentId: "a" } tags course:a, student:a",
        "Subscribe { courseId: "a", studentId: "a" }",
        "  failed: CoursesOf.evolve.StudentSubscribed changed the state in place (- before, + after); make a new value",
      ]
    `)
  })

  it("catches 'remembers': it decides otherwise the second time", () => {
    expect(judge(wrong.remembers()).explanation).toMatchInlineSnapshot(`
      "Subscribe: decide gives another decision for the same command and state the second time

      history
        Subscribe { courseId: "a", studentId: "a" }
          rejected with UnknownCourse { _tag: "UnknownCourse" }

      first and second time
        - rejected with UnknownCourse { _tag: "UnknownCourse" }
        + nothing

      found in case 4, seed 1"
    `)
  })

  it("catches 'evolves partially': its evolve refuses events that its query can select", () => {
    const verdict = judge(wrong.evolvesPartially)
    expect(verdict.explanation).toMatchInlineSnapshot(`
      "Subscribe: CoursesOf.evolve.StudentSubscribed threw Error: subscribed already

      events, in this order
        1 StudentSubscribed { courseId: "b", studentId: "a" } tags course:b, student:a
        2 StudentSubscribed { courseId: "b", studentId: "a" } tags course:b, student:a

      for the context of
        Subscribe { courseId: "a", studentId: "a" }

      found in case 45, seed 1"
    `)
  })

  it("catches 'trusts old capacities': evolve refuses what an older version is upcast to", () => {
    const verdict = judge(wrong.trustsOldCapacities)
    expect(verdict.findings[0]!.problem).toMatchInlineSnapshot(
      `"Subscribe: CapacityOf.evolve.CourseDefined threw RangeError: too many seats"`
    )
    expect(verdict.counterExample!.events).toMatchInlineSnapshot(`
      [
        {
          "eventType": "CourseDefined",
          "payload": {
            "courseId": "b",
          },
          "schemaVersion": 1,
          "sequenceNumber": 1,
          "tags": [
            "course:b",
          ],
        },
      ]
    `)
  })

  it("takes recorded events of older versions as well, and says which versions it has none of", () => {
    const recorded = [{ eventType: "CourseDefined", schemaVersion: 1, payload: { courseId: "a" } }]
    const decider = wrong.trustsOldCapacities
    const commands = application({ subscribe: decider })
    expect(Laws.purity({ decider, commands, recorded, seed: 1, runs: 150 }).holds).toBe(false)
    expect(judge(subscribe, {}).explanation).toContain(
      "note: version 1 of CourseDefined was not looked at: pass recorded or older"
    )
  })
})
