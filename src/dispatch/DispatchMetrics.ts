/** The metrics of dispatch. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"

/** Dispatched commands, by decider and outcome. */
export const dispatches = Metric.counter("evolvent_dispatches_total", {
  description: "Commands dispatched, by decider and outcome",
  incremental: true
})

/** Appends that found the context changed since it was read: by another process, or by a command with an overlapping context. */
export const conflicts = Metric.counter("evolvent_dispatch_conflicts_total", {
  description: "Appends of dispatch that found the context changed by others",
  incremental: true
})

/** Counts a conflict. */
export const countConflict = Metric.update(conflicts, 1)

/** Counts what a dispatch comes to: the outcome's or the failure's tag, `Failure` where it has none. */
export const counted = <A extends { readonly _tag: string }, E, R>(
  effect: Effect.Effect<A, E, R>,
  decider: string
): Effect.Effect<A, E, R> => Effect.onExit(effect, (exit) => Metric.update(seriesOf(decider, tagOf(exit)), 1))

const series = new Map<string, typeof dispatches>()

const seriesOf = (decider: string, outcome: string): typeof dispatches => {
  const key = `${decider}\0${outcome}`
  let metric = series.get(key)
  if (metric === undefined) series.set(key, (metric = Metric.withAttributes(dispatches, { decider, outcome })))
  return metric
}

const tagOf = <A extends { readonly _tag: string }, E>(exit: Exit.Exit<A, E>): string => {
  if (Exit.isSuccess(exit)) return exit.value._tag
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
  return typeof failure === "object" && failure !== null && "_tag" in failure ? String(failure._tag) : "Failure"
}
