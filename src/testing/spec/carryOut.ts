/** Carries a spec out: records the given events, selects, folds and decides, and keeps what it saw on the way. */
import * as Result from "effect/Result"
import type * as Decider from "../../decider/Decider.ts"
import type * as EventCatalog from "../../decider/EventCatalog.ts"
import type * as View from "../../decider/View.ts"
import { callPure, Fault } from "./callPure.ts"
import type { Given, Recorded } from "./givenEvents.ts"
import { fold, record, select } from "./givenEvents.ts"
import { printLine } from "./printValue.ts"
import type { Evidence } from "./SpecFailure.ts"
import { SpecFailure } from "./SpecFailure.ts"

/** What is given: events, and the catalogs that they may be of beside those of the decider and its views. */
export interface Log {
  readonly catalogs: ReadonlyArray<EventCatalog.Any>
  readonly events: ReadonlyArray<EventCatalog.AnyEvent>
}

/** How a state came about. */
export interface Folded<State> extends Evidence {
  /** The given events as they would be recorded, each with whether the query selects it. */
  readonly given: ReadonlyArray<Given>
  readonly state: State
}

/** How a decision came about. */
export interface DecidedBy<State, Event, Rejection> extends Folded<State> {
  readonly decision: Decider.Decision<Event, Rejection>
  /** The events of the decision as they would be recorded, numbered from 1; none where it is a rejection. */
  readonly emitted: ReadonlyArray<Recorded>
}

/** Grows as the spec is carried out; a failure shows how far it got. */
interface Progress {
  evidence: Evidence
}

/** The state of the view after the log. */
export const foldOf = (view: View.Any, log: Log): Result.Result<Folded<any>, SpecFailure> => {
  const progress: Progress = { evidence: { subject: view.name } }
  return failing(progress, foldInto(progress, view, log))
}

/** The decision on the command after the log. */
export const decideAfter = (
  decider: Decider.Any,
  log: Log,
  command: unknown
): Result.Result<DecidedBy<unknown, unknown, unknown>, SpecFailure> => {
  const progress: Progress = { evidence: { subject: decider.name, command } }
  return failing(
    progress,
    Result.gen(function* () {
      const view = yield* callPure("view", { command }, (input) => decider.view(input.command))
      const catalogs = [decider.events, ...log.catalogs]
      const folded = yield* foldInto(progress, view, { ...log, catalogs })
      const decision = yield* decide(decider, command, folded.state)
      const events = decision._tag === "Accept" ? decision.events : []
      return { ...folded, decision, emitted: yield* record([decider.events], events, "emitted") }
    })
  )
}

const failing = <A>(progress: Progress, result: Result.Result<A, Fault>): Result.Result<A, SpecFailure> =>
  Result.mapError(result, (fault) => new SpecFailure(progress.evidence, fault))

const foldInto = (progress: Progress, view: View.Any, log: Log): Result.Result<Folded<unknown>, Fault> =>
  Result.gen(function* () {
    progress.evidence = { ...progress.evidence, view }
    const catalogs = [...view.parts.map((part) => part.events), ...log.catalogs]
    const given = yield* select(view, yield* record(catalogs, log.events, "given"))
    progress.evidence = { ...progress.evidence, given }
    const state = yield* fold(view, given)
    progress.evidence = { ...progress.evidence, state }
    return { ...progress.evidence, given, state }
  })

const decide = (
  decider: Decider.Any,
  command: unknown,
  state: unknown
): Result.Result<Decider.Decision<EventCatalog.AnyEvent, unknown>, Fault> =>
  Result.flatMap(
    callPure("decide", { command, state }, (input): unknown => decider.decide(input.command, input.state)),
    (decision) =>
      isDecision(decision)
        ? Result.succeed(decision)
        : Result.fail(new Fault(`decide returned no decision but ${printLine(decision)}`))
  )

const isDecision = (value: unknown): value is Decider.Decision<EventCatalog.AnyEvent, unknown> => {
  if (typeof value !== "object" || value === null || !("_tag" in value)) return false
  return value._tag === "Accept" ? "events" in value && Array.isArray(value.events) : value._tag === "Reject"
}
