/** Histories: logs that can come about. What they say happened is what a dispatcher on a store makes of the same commands. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { EventStore, MemoryStore } from "evolvent"
import { History } from "evolvent/testing"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Dispatcher from "../../src/dispatch/Dispatcher.ts"
import { application } from "../domains/courses/application.ts"
import { printLine } from "../../src/testing/spec/printValue.ts"
import { itEffect } from "../support/it.ts"

const histories = History.arbitrary(application(), { maxCommands: 20 })

describe("a history", () => {
  itEffect("is what a dispatcher on a store makes of the same commands", () =>
    Effect.gen(function* () {
      let appended = 0
      for (const history of fc.sample(histories, { numRuns: 40, seed: 1 })) {
        const records = yield* dispatchAll(history).pipe(Effect.provide(MemoryStore.layer()), Effect.scoped)
        const stored = records.map(({ eventType, payload, schemaVersion, sequenceNumber, tags }) => {
          return { eventType, payload, schemaVersion, sequenceNumber, tags }
        })
        expect(stored.map((record) => ({ ...record, event: expect.anything() }))).toEqual(history.log)
        appended += stored.length
      }
      expect(appended).toBeGreaterThan(100)
    })
  )

  it("has every kind of step, and commands that are about the same things", () => {
    const steps = fc.sample(histories, { numRuns: 100, seed: 1 }).flatMap((history) => history.steps)
    const kinds = new Set(
      steps.map(({ decider, outcome }) =>
        Result.isFailure(outcome) ? "failure" : `${decider.name} ${describeKind(outcome.success)}`
      )
    )
    expect([...kinds].sort()).toMatchInlineSnapshot(`
      [
        "ChangeCapacity accepted",
        "ChangeCapacity nothing",
        "ChangeCapacity rejected",
        "DefineCourse accepted",
        "DefineCourse rejected",
        "Subscribe accepted",
        "Subscribe nothing",
        "Subscribe rejected",
        "Unsubscribe accepted",
        "Unsubscribe nothing",
      ]
    `)
  })

  it("shrinks to the commands that it takes, each as small as it can be", () => {
    const isNeverFull = fc.property(histories, ({ steps }) =>
      steps.every(
        ({ outcome }) => Result.isFailure(outcome) || !printLine(outcome.success.decision).includes("CourseFull")
      )
    )
    const { counterexample } = fc.check(isNeverFull, { seed: 1, numRuns: 1000 })
    expect(counterexample![0].steps.map(({ command, decider }) => [decider.name, command])).toMatchInlineSnapshot(`
      [
        [
          "DefineCourse",
          {
            "capacity": 1,
            "courseId": "a",
          },
        ],
        [
          "Subscribe",
          {
            "courseId": "a",
            "studentId": "b",
          },
        ],
        [
          "Subscribe",
          {
            "courseId": "a",
            "studentId": "a",
          },
        ],
      ]
    `)
  })
})

const describeKind = ({ decision, emitted }: History.Decided): string =>
  decision._tag === "Reject" ? "rejected" : emitted.length === 0 ? "nothing" : "accepted"

const dispatchAll = (history: History.History) =>
  Effect.gen(function* () {
    const dispatcher = yield* Dispatcher.make()
    for (const { command, decider, outcome } of history.steps) {
      const answer = yield* Effect.result(dispatcher.dispatch(decider, command))
      const decided = Result.getOrThrow(outcome)
      if (decided.decision._tag === "Reject") {
        expect(Result.isFailure(answer) && printLine(answer.failure)).toBe(printLine(decided.decision.rejection))
      } else {
        expect(Result.isSuccess(answer)).toBe(true)
      }
    }
    const store = yield* EventStore
    return (yield* store.query({})).eventRecords
  })
