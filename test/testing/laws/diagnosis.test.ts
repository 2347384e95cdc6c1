/** Which event is blamed for a wrong decision, where several could be. */
import * as Result from "effect/Result"
import { History } from "evolvent/testing"
import { describe, expect, it } from "vitest"
import { viewOf } from "../../../src/testing/arbitrary/decide.ts"
import { diagnose } from "../../../src/testing/laws/diagnosis.ts"
import { ofInvariants } from "../../../src/testing/laws/judge.ts"
import { application } from "../../domains/courses/application.ts"
import { rules } from "../../domains/courses/rules.ts"
import { countsBadly, forgetsSubscriptions } from "../../domains/courses/wrong.ts"

const define = (courseId: string, capacity: number) => ({ kind: 0, command: { courseId, capacity } })
const seat = (courseId: string, studentId: string) => ({ kind: 2, command: { courseId, studentId } })

/** The last command of the history, as the wrong decision. */
const lastOf = (decider: typeof forgetsSubscriptions, commands: ReadonlyArray<History.Issued>) => {
  const { log, steps } = History.replay(application({ subscribe: decider }), commands)
  const { command, outcome, position } = steps.at(-1)!
  const view = Result.getOrThrow(viewOf(decider, command))
  const decided = Result.getOrThrow(outcome)
  return {
    decider,
    command,
    view,
    decided,
    log: log.slice(0, position),
    earlier: steps.slice(0, -1).filter((step) => step.decider === decider)
  }
}

describe("the diagnosis", () => {
  it("passes over an event that would have changed the decision, and has nothing to do with what is wrong", () => {
    const wrong = {
      ...lastOf(forgetsSubscriptions, [define("a", 1), define("b", 1), seat("b", "c"), seat("a", "c"), seat("a", "a")]),
      earlier: []
    }
    const diagnosed = diagnose(wrong, ofInvariants(rules))
    expect(diagnosed?.unread.map(({ sequenceNumber }) => sequenceNumber)).toEqual([4])
    expect(diagnosed?.missing).toMatchObject({ view: "SeatsTaken", by: "type" })
  })

  it("blames several events where one would not have been enough", () => {
    const commands = [define("a", 2), seat("a", "a"), seat("a", "b"), seat("a", "c")]
    const diagnosed = diagnose(lastOf(forgetsSubscriptions, commands), ofInvariants(rules))
    expect(diagnosed?.unread.map(({ sequenceNumber }) => sequenceNumber)).toEqual([2, 3])
  })

  it("blames none where everything was read", () => {
    const ids = ["a", "b", "c", "d", "e"]
    const commands = [
      ...ids.map((id) => define(id, 9)),
      ...ids.map((id) => seat(id, "a")),
      define("f", 9),
      seat("f", "a")
    ]
    const wrong = lastOf(countsBadly, commands)
    expect(ofInvariants(rules)(wrong.log, wrong.command, wrong.decided)).toEqual([
      'the invariant "five courses a student at most" is broken: student a has 6 courses'
    ])
    expect(diagnose(wrong, ofInvariants(rules))).toBeUndefined()
  })
})
