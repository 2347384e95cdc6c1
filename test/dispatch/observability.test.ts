/** What operators see of dispatch: spans and metrics. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { describe, expect } from "vitest"
import { conflicts, dispatches } from "../../src/dispatch/DispatchMetrics.ts"
import { itEffect } from "../support/it.ts"
import type { Book } from "./accounts.ts"
import { deposit, depositEvent, misbehave, withdraw } from "./accounts.ts"
import { atOnce, watchedDispatcher } from "./watchedStore.ts"

/** Runs the effect with a tracer that keeps its spans, and gives those. */
const spansOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const spans: Array<Tracer.NativeSpan> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    yield* Effect.withTracer(effect, tracer)
    return spans
  })

const exitOf = ({ status }: Tracer.NativeSpan) => (status._tag === "Ended" ? status.exit : undefined)

describe("a span", () => {
  itEffect("covers a dispatch, and shows reading and appending beside it", () =>
    Effect.gen(function* () {
      const spans = yield* spansOf(
        Effect.gen(function* () {
          const { dispatch } = yield* watchedDispatcher()
          yield* dispatch(deposit, { account: "a", amount: 1 }).pipe(Effect.withSpan("request"))
        })
      )
      expect(spans.map((span) => span.name).toSorted()).toEqual([
        "evolvent.appendBatchesIf",
        "evolvent.dispatch",
        "evolvent.query",
        "request"
      ])
      const dispatched = spans.find((span) => span.name === "evolvent.dispatch")!
      expect(Object.fromEntries(dispatched.attributes)).toEqual({ "evolvent.decider": "Deposit" })
      expect(Option.map(dispatched.parent, (parent) => parent._tag === "Span" && parent.name)).toEqual(
        Option.some("request")
      )
      expect(spans.every((span) => span.status._tag === "Ended")).toBe(true)
      expect(Object.fromEntries(spans.find((span) => span.name === "evolvent.query")!.attributes)).toEqual({
        "evolvent.store": "memory"
      })
    })
  )

  itEffect("ends as the dispatch ends: a failure is one, a rejection as a value is none", () =>
    Effect.gen(function* () {
      const spans = yield* spansOf(
        Effect.gen(function* () {
          const { outcome } = yield* watchedDispatcher()
          yield* outcome(withdraw, { account: "a", amount: 1 })
          yield* Effect.exit(outcome(misbehave, { account: "a", how: "invalidPayload" }))
        })
      )
      const exits = spans.filter((span) => span.name === "evolvent.dispatch").map(exitOf)
      expect(exits.map((exit) => exit !== undefined && Exit.isSuccess(exit))).toEqual([true, false])
    })
  )
})

describe("the metric", () => {
  const named = (name: string) => ({ ...deposit, name })
  const countOf = (decider: string, outcome: string) =>
    Effect.map(Metric.value(Metric.withAttributes(dispatches, { decider, outcome })), (state) => state.count)

  itEffect("of dispatches counts by decider and outcome", () =>
    Effect.gen(function* () {
      const { dispatch, outcome, watched } = yield* watchedDispatcher()
      const counted = named("CountedDeposit")
      yield* atOnce([1, 1, 0].map((amount) => dispatch(counted, { account: "a", amount })))
      yield* outcome({ ...withdraw, name: "CountedWithdraw" }, { account: "b", amount: 1 })
      yield* Effect.exit(dispatch({ ...misbehave, name: "CountedMisbehave" }, { account: "a", how: "invalidPayload" }))
      yield* Effect.exit(dispatch({ ...misbehave, name: "CountedMisbehave" }, { account: "a", how: "throwInDecide" }))
      watched.beforeAppend = () => watched.foreign.append([depositEvent("a", 1)])
      yield* Effect.exit(dispatch(counted, { account: "a", amount: 1 } satisfies Book, { attempts: 2 }))
      expect(yield* countOf("CountedDeposit", "Accepted")).toBe(2)
      expect(yield* countOf("CountedDeposit", "NothingToDo")).toBe(1)
      expect(yield* countOf("CountedDeposit", "RetriesExhausted")).toBe(1)
      expect(yield* countOf("CountedWithdraw", "Rejected")).toBe(1)
      expect(yield* countOf("CountedMisbehave", "EncodeError")).toBe(1)
      expect(yield* countOf("CountedMisbehave", "Failure")).toBe(1)
    })
  )

  itEffect("of conflicts counts the appends that found the context changed", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      const before = (yield* Metric.value(conflicts)).count
      yield* atOnce([1, 2, 3].map((amount) => dispatch(deposit, { account: "a", amount })))
      expect((yield* Metric.value(conflicts)).count).toBe(before)
      watched.beforeAppend = () =>
        watched.appends.length <= 3 ? watched.foreign.append([depositEvent("a", 1)]) : Effect.void
      yield* dispatch(deposit, { account: "a", amount: 1 })
      expect((yield* Metric.value(conflicts)).count).toBe(before + 2)
    })
  )
})
