/**
 * `Decider`: how one kind of command is decided. Plain data: which facts the decision depends on (a view per command)
 * and what the command leads to on the state that they fold into (`decide`): events, nothing, or a rejection.
 *
 * Everything here is pure. `decide` must be total and deterministic, since it may run again on a newer state.
 */
import * as Result from "effect/Result"
import type { EventQuery } from "../stores/EventQuery.ts"
import type * as EventCatalog from "./EventCatalog.ts"
import * as View from "./View.ts"

/** What a command leads to. */
export type Decision<Event, Rejection> = Accept<Event> | Reject<Rejection>

/** The command is accepted and leads to these events; to nothing at all where there are none. */
export interface Accept<Event> {
  readonly _tag: "Accept"
  readonly events: ReadonlyArray<Event>
}

/** The command is rejected: a typed outcome of the domain, never retried. */
export interface Reject<Rejection> {
  readonly _tag: "Reject"
  readonly rejection: Rejection
}

/**
 * How one kind of command is decided. `Event` is what the view folds and what the decision may emit; what it emits is
 * of the catalog `events`, as `make` checks.
 */
export interface Decider<Command, State, Event, Rejection> {
  readonly name: string
  /** The catalog of the events that decisions emit. */
  readonly events: EventCatalog.Any
  /** The facts that the decision of this command depends on. */
  readonly view: (command: Command) => View.View<State, Event>
  readonly decide: (command: Command, state: State) => Decision<Event, Rejection>
}

/** Any decider. */
export type Any = Decider<any, any, any, any>

/** The command of a decider. */
export type CommandOf<D extends Any> = D extends Decider<infer C, any, any, any> ? C : never

/** The state of a decider. */
export type StateOf<D extends Any> = ReturnType<D["view"]>["initial"]

/** The events of a decider. */
export type EventOf<D extends Any> = D extends Decider<any, any, infer E, any> ? E : never

/** The rejections of a decider. */
export type RejectionOf<D extends Any> = D extends Decider<any, any, any, infer R> ? R : never

/** Accepts the command with the events that it leads to. */
export const accept = <const Events extends ReadonlyArray<EventCatalog.AnyEvent>>(
  ...events: Events
): Accept<Events[number]> => ({ _tag: "Accept", events })

/** Accepts the command; there is nothing to do. */
export const nothing: Accept<never> = { _tag: "Accept", events: [] }

/** Rejects the command. */
export const reject = <Rejection>(rejection: Rejection): Reject<Rejection> => ({ _tag: "Reject", rejection })

/** What `make` takes in any case. `Outcome` is the type of the decisions that `decide` returns. */
export interface Deciding<C extends EventCatalog.Any, Command, State, Outcome> {
  readonly name: string
  /** The catalog of the events that are emitted; of those that are folded too where there is no `view`. */
  readonly events: C
  /** Pure, total, deterministic: it runs again when the facts have changed. */
  readonly decide: (command: Command, state: NoInfer<State>) => Outcome
}

/** The facts of a decision as one query over the decider's catalog, with its fold. */
export interface OwnContext<C extends EventCatalog.Any, Command, State> {
  /** The events that the decision depends on. */
  readonly context: (command: Command) => EventQuery
  readonly initial: State
  readonly evolve: View.Evolve<C, NoInfer<State>>
  readonly view?: never
}

/** The facts of a decision as a view, composed or shared. */
export interface OfView<Command, State, Event> {
  readonly view: (command: Command) => View.View<State, Event>
  readonly context?: never
  readonly initial?: never
  readonly evolve?: never
}

type RejectedBy<Outcome> = Outcome extends Reject<infer Rejection> ? Rejection : never

/**
 * Makes a decider, from a context with its fold, or from a view. Only the type of the command needs to be written:
 * state, events and rejections follow from the parts.
 */
export const make = <
  C extends EventCatalog.Any,
  Command,
  State,
  Outcome extends Decision<EventCatalog.Event<C>, unknown>,
  Viewed = never
>(
  definition: Deciding<C, Command, State, Outcome> & (OwnContext<C, Command, State> | OfView<Command, State, Viewed>)
): Decider<Command, State, EventCatalog.Event<C> | Viewed, RejectedBy<Outcome>> => {
  const { decide, events, name } = definition
  const view =
    definition.view ??
    View.make({
      name,
      events,
      query: definition.context,
      initial: definition.initial,
      evolve: definition.evolve
    })
  return { name, events, view, decide } as Any
}

/** The decision on a command after the given events, of which the decider's view picks those that it looks at. */
export const computeEvents = <Command, State, Event, Rejection>(
  decider: Decider<Command, State, Event, Rejection>,
  input: { readonly given: ReadonlyArray<NoInfer<Event>>; readonly command: NoInfer<Command> }
): Decision<Event, Rejection> => {
  const { command, given } = input
  const view = decider.view(command)
  return decider.decide(command, projectWith(decider, view, view.initial, given))
}

/** The state after deciding a command on a state (the view's initial one by default) and folding what it leads to. */
export const computeState = <Command, State, Event, Rejection>(
  decider: Decider<Command, State, Event, Rejection>,
  input: { readonly command: NoInfer<Command>; readonly state?: NoInfer<State> }
): Result.Result<State, Rejection> => {
  const view = decider.view(input.command)
  const state = Object.hasOwn(input, "state") ? (input.state as State) : view.initial
  const decision = decider.decide(input.command, state)
  return decision._tag === "Reject"
    ? Result.fail(decision.rejection)
    : Result.succeed(projectWith(decider, view, state, decision.events))
}

/** Folds records and decides the command on the state: one attempt of dispatch, without a store. */
export const decideOn = <Command, State, Event, Rejection>(
  decider: Decider<Command, State, Event, Rejection>,
  command: NoInfer<Command>,
  records: ReadonlyArray<View.Foldable>
): Result.Result<{ readonly state: State; readonly decision: Decision<Event, Rejection> }, EventCatalog.DecodeError> =>
  Result.map(View.fold(decider.view(command), records), (state) => ({
    state,
    decision: decider.decide(command, state)
  }))

const projectWith = <Command, State, Event, Rejection>(
  decider: Decider<Command, State, Event, Rejection>,
  view: View.View<State, Event>,
  state: State,
  events: ReadonlyArray<Event>
): State => {
  const catalogs = [decider.events, ...view.parts.map((part) => part.events)]
  const records = View.toRecords(catalogs, events as ReadonlyArray<unknown> as ReadonlyArray<EventCatalog.AnyEvent>)
  return Result.getOrThrow(View.foldFrom(view, state, records))
}
