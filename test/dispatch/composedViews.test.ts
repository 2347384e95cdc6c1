/** A decision on composed views: its boundary is whatever the views look at, and nothing else. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import type { NewEvent } from "../../src/stores/Event.ts"
import { defined, subscribe, subscribed } from "../decider/courses.ts"
import { SeatEvents } from "../decider/courses.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"
import { atOnce, dispatcherOn, watch } from "./watchedStore.ts"
import * as Result from "effect/Result"

const stored = (...events: ReadonlyArray<Parameters<typeof SeatEvents.encode>[0]>): ReadonlyArray<NewEvent> =>
  events.map((event) => Result.getOrThrow(SeatEvents.encode(event)))

for (const { name, make } of stores) {
  describe(`a decision on composed views on ${name}`, () => {
    const setUp = Effect.gen(function* () {
      const watched = watch(yield* make)
      const { dispatch, outcome } = yield* dispatcherOn(watched.store)
      yield* watched.foreign.append(stored(defined("math", 2), defined("art", 1), defined("law", 9)))
      return { dispatch, outcome, watched }
    })

    itEffect("gives each view only what its own query matches", () =>
      Effect.gen(function* () {
        const { dispatch } = yield* setUp
        yield* dispatch(subscribe, { courseId: "art", studentId: "ada" })
        expect(yield* dispatch(subscribe, { courseId: "math", studentId: "ada" })).toMatchObject({
          _tag: "Accepted",
          state: { course: true, seats: 1, student: ["art", "math"] }
        })
        expect(yield* dispatch(subscribe, { courseId: "math", studentId: "ada" })).toMatchObject({
          _tag: "NothingToDo",
          state: { course: true, seats: 1, student: ["art", "math"] }
        })
      })
    )

    itEffect("keeps every rule when commands of overlapping contexts are dispatched at once", () =>
      Effect.gen(function* () {
        const { outcome, watched } = yield* setUp
        const pairs = ["math", "art", "law", "none"].flatMap((courseId) =>
          ["ada", "bob", "eve"].map((studentId) => ({ courseId, studentId }))
        )
        const answers = yield* atOnce(pairs.map((command) => outcome(subscribe, command, { attempts: 100 })))
        const { eventRecords } = yield* watched.foreign.query()
        const taken = eventRecords.slice(3).map(({ payload }) => payload as { courseId: string; studentId: string })
        const count = (key: "courseId" | "studentId", value: string) => taken.filter((it) => it[key] === value).length
        expect(count("courseId", "math")).toBeLessThanOrEqual(2)
        expect(count("courseId", "art")).toBeLessThanOrEqual(1)
        for (const student of ["ada", "bob", "eve"]) expect(count("studentId", student)).toBeLessThanOrEqual(2)
        expect(answers.filter((answer) => answer._tag === "Accepted").length).toBe(taken.length)
        expect(taken.length).toBeGreaterThanOrEqual(5)
      })
    )

    itEffect("is disturbed by what one of the views looks at, and by nothing else", () =>
      Effect.gen(function* () {
        const { dispatch, watched } = yield* setUp
        const interfering = (...events: ReadonlyArray<NewEvent>) => {
          watched.beforeAppend = () => {
            watched.beforeAppend = () => Effect.void
            return watched.foreign.append(events)
          }
        }
        interfering(...stored(defined("history", 3), subscribed("law", "bob")))
        expect(yield* dispatch(subscribe, { courseId: "math", studentId: "ada" })).toMatchObject({ attempts: 1 })
        interfering(...stored(subscribed("law", "eve")))
        expect(yield* dispatch(subscribe, { courseId: "math", studentId: "eve" })).toMatchObject({
          attempts: 2,
          state: { seats: 0, student: ["law", "math"] }
        })
      })
    )
  })
}
