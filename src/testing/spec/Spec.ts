/**
 * `Spec`: given these events, when this command comes, then this is decided. For deciders and views, without a store and
 * without a test runner: an expectation that does not hold throws a `SpecFailure`, which every runner shows.
 *
 * Given events go the way of recorded ones, so a query that selects too little or too much shows. What the decider and its
 * views get is frozen, plain objects and arrays of command, payloads and initial state: changing it in place fails the spec.
 */
import * as Result from "effect/Result"
import type * as Decider from "../../decider/Decider.ts"
import type * as EventCatalog from "../../decider/EventCatalog.ts"
import type * as View from "../../decider/View.ts"
import type { DecidedBy, Folded, Log } from "./carryOut.ts"
import { decideAfter, foldOf } from "./carryOut.ts"
import * as Mismatch from "./Mismatch.ts"
import type { Given, Recorded } from "./givenEvents.ts"
import type { Difference, Evidence } from "./SpecFailure.ts"
import { SpecFailure } from "./SpecFailure.ts"

export { SpecFailure }
export type { DecidedBy, Difference, Evidence, Folded, Given, Recorded }

/** A spec of a decider. `Event` is what may be given. Specs are values: each call gives a new one. */
export interface DeciderSpec<D extends Decider.Any, Event> {
  /** Appends to the log that the command meets. Without it the log is empty. */
  readonly given: (...events: ReadonlyArray<Event>) => DeciderSpec<D, Event>
  /** Decides the command. Nothing is thrown before one of the expectations is called. Freezes the command. */
  readonly when: (command: Decider.CommandOf<D>) => Decided<D>
}

/** What was decided, to be compared with what should be. Each expectation throws `SpecFailure` where it does not hold. */
export interface Decided<D extends Decider.Any> {
  /** These events in this order, compared as they would be recorded: type, version, encoded payload, tags. */
  readonly then: (...events: ReadonlyArray<Decider.EventOf<D>>) => void
  /** This rejection, compared by class and content; or one that the predicate accepts. */
  readonly thenRejects: (rejection: Decider.RejectionOf<D> | ((rejection: Decider.RejectionOf<D>) => boolean)) => void
  /** Accepted without events. */
  readonly thenNothing: () => void
  /** The same as data: how the decision came about, or why there is none. */
  readonly result: () => Result.Result<
    DecidedBy<Decider.StateOf<D>, Decider.EventOf<D>, Decider.RejectionOf<D>>,
    SpecFailure
  >
}

/** A spec of a view: of evolving alone. */
export interface ViewSpec<State, Event> {
  /** Appends to the log that is folded. Without it the log is empty. */
  readonly given: (...events: ReadonlyArray<Event>) => ViewSpec<State, Event>
  /** This state, compared by class and content. Throws `SpecFailure` where it is another. */
  readonly thenState: (state: State) => void
  /** The same as data: the state and how it came about, or why there is none. */
  readonly result: () => Result.Result<Folded<State>, SpecFailure>
}

/** The events of catalogs. */
export type EventIn<C extends EventCatalog.Any> = C extends EventCatalog.Any ? EventCatalog.Event<C> : never

/** The spec of a decider. Events of further catalogs can be given as well: the log holds more than a decider looks at. */
export const of = <D extends Decider.Any, C extends ReadonlyArray<EventCatalog.Any> = []>(
  decider: D,
  ...catalogs: C
): DeciderSpec<D, Decider.EventOf<D> | EventIn<C[number]>> => deciderSpec(decider, { catalogs, events: [] })

/** The spec of a view, bound to its parameters. Events of further catalogs can be given as well. */
export const ofView = <State, Event, C extends ReadonlyArray<EventCatalog.Any> = []>(
  view: View.View<State, Event>,
  ...catalogs: C
): ViewSpec<State, Event | EventIn<C[number]>> => viewSpec(view, { catalogs, events: [] })

const deciderSpec = <D extends Decider.Any>(decider: D, log: Log): DeciderSpec<D, any> => ({
  given: (...events) => deciderSpec(decider, append(log, events)),
  when: (command) => decided(decider, log, command)
})

const decided = <D extends Decider.Any>(decider: D, log: Log, command: unknown): Decided<D> => {
  const result = decideAfter(decider, log, command)
  const expect = (caller: Caller, compare: (actual: Actual) => Mismatch.Mismatch | undefined): void => {
    const actual = orThrow(result, caller)
    const mismatch = compare(actual)
    if (mismatch !== undefined) throwFrom(caller, new SpecFailure(actual, mismatch))
  }
  const then = (...events: ReadonlyArray<EventCatalog.AnyEvent>): void =>
    expect(then, (actual) => Mismatch.ofEvents(decider.events, actual, events))
  const thenNothing = (): void => expect(thenNothing, (actual) => Mismatch.ofEvents(decider.events, actual, []))
  const thenRejects = (rejection: unknown): void =>
    expect(thenRejects, (actual) => Mismatch.ofRejection(actual, rejection))
  // oxlint-disable-next-line unicorn/no-thenable -- the word of the field; `Mismatch` refuses the call of an await
  return { then, thenNothing, thenRejects, result: () => result as ReturnType<Decided<D>["result"]> }
}

const viewSpec = (view: View.Any, log: Log): ViewSpec<any, any> => {
  const result = () => foldOf(view, log)
  const thenState = (state: unknown): void => {
    const actual = orThrow(result(), thenState)
    const mismatch = Mismatch.ofState(actual, state)
    if (mismatch !== undefined) throwFrom(thenState, new SpecFailure(actual, mismatch))
  }
  return { given: (...events) => viewSpec(view, append(log, events)), thenState, result }
}

const append = (log: Log, events: Log["events"]): Log => ({ ...log, events: [...log.events, ...events] })

type Actual = DecidedBy<unknown, unknown, unknown>
type Caller = (...args: Array<any>) => void

const orThrow = <A>(result: Result.Result<A, SpecFailure>, caller: Caller): A =>
  Result.isSuccess(result) ? result.success : throwFrom(caller, result.failure)

/** The stack starts where the expectation was called: at the line of the test. */
const throwFrom = (caller: Caller, failure: SpecFailure): never => {
  Error.captureStackTrace(failure, caller)
  throw failure
}
