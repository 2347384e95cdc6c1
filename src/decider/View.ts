/**
 * `View`: a named fold with its own query. Plain data: what it looks at, where it starts, and how it evolves by event.
 *
 * Views compose: `struct` and `merge` make one view of several, whose query matches what any part's query matches, and
 * in which each part sees only what its own query matches. So the facts of a decision are written apart and asked for
 * at once.
 */
import * as Result from "effect/Result"
import type { EventQuery } from "../stores/EventQuery.ts"
import * as Query from "../stores/EventQuery.ts"
import type * as EventCatalog from "./EventCatalog.ts"
import type { Foldable } from "./internal/foldParts.ts"
import { foldParts, ViewPart } from "./internal/foldParts.ts"

export type { Foldable, ViewPart }

/** A fold of the events that match a query. */
export interface View<State, in Event> {
  readonly name: string
  /** Which events the view looks at, from the start of the log. */
  readonly query: EventQuery
  readonly initial: State
  /**
   * The state after one more event; the same state when the event is not one that the view looks at. See `projectFrom`.
   */
  readonly evolve: (state: State, event: Event) => State
  /**
   * Identifies the fold: equal if and only if the views come from the same definitions, composed in the same way under
   * the same names, with the same canonical query per part. Valid within this process. Throws the typed error of a
   * query that is refused.
   */
  readonly key: string
  /** `EventQuery.canonical` of the query. Throws the typed error of a query that is refused. */
  readonly canonicalQuery: string
  /** The views that this one is composed of, flat; itself when it is not composed. */
  readonly parts: ReadonlyArray<ViewPart>
  /** The state from the states of the parts. */
  readonly join: (states: ReadonlyArray<unknown>) => State
  /** The states of the parts from the state. */
  readonly split: (state: State) => ReadonlyArray<unknown>
}

/** Any view. */
export type Any = View<any, any>

/** The state of a view. */
export type StateOf<V extends Any> = V extends View<infer S, never> ? S : never

/** The events that a view takes. */
export type EventOf<V extends Any> = V extends View<any, infer E> ? E : never

/** How a state evolves, by event type. A type without a case leaves the state as it is. */
export type Evolve<C extends EventCatalog.Any, State> = {
  readonly [Type in EventCatalog.EventType<C>]?: (state: State, payload: EventCatalog.Payload<C, Type>) => State
}

/** What `make` takes. */
export interface Definition<C extends EventCatalog.Any, State, Params extends ReadonlyArray<unknown>> {
  readonly name: string
  readonly events: C
  /** Which events the view looks at. A read cursor is not kept: a view reads from the start. */
  readonly query: (...params: Params) => EventQuery
  readonly initial: State
  readonly evolve: Evolve<C, NoInfer<State>>
}

let definitions = 0

/**
 * Defines a view; the result binds it to parameters. `initial` and `evolve` never see the parameters: only the query
 * does.
 *
 * Every event that the query matches must be one that the catalog can decode, cases or not.
 */
export const make = <C extends EventCatalog.Any, State, Params extends ReadonlyArray<unknown>>(
  definition: Definition<C, State, Params>
): ((...params: Params) => View<State, EventCatalog.Event<C>>) => {
  const { events, initial, name, query } = definition
  const id = ++definitions
  const cases = new Map(Object.entries(definition.evolve)) as unknown as ViewPart["cases"]
  return (...params) => {
    const part = new ViewPart(id, name, events, Query.make(...(query(...params).filters ?? [])), cases)
    return new PartsView({
      name,
      query: part.query,
      initial,
      parts: [part],
      join: (states) => states[0] as State,
      split: (state) => [state],
      makeKey: () => `${id}:${part.canonical}`
    })
  }
}

/** Views by name. */
export type Views = { readonly [name: string]: Any }

/** The states of views, by name. */
export type StructState<V extends Views> = { readonly [Name in keyof V]: StateOf<V[Name]> }

/**
 * One view of several: its state has each part's state under the part's name. Without parts it looks at no event at
 * all, for a decision that depends on nothing.
 */
export const struct = <const V extends Views>(
  views: V
): View<StructState<V>, { [Name in keyof V]: EventOf<V[Name]> }[keyof V]> => {
  const entries = Object.entries(views)
  return compose(
    `{ ${entries.map(([name, view]) => `${name}: ${view.name}`).join(", ")} }`,
    entries.map(([, view]) => view),
    (states) => Object.fromEntries(entries.map(([name], index) => [name, states[index]])) as StructState<V>,
    (state) => entries.map(([name]) => state[name]),
    () =>
      `{${entries
        .map(([name, view]) => `${JSON.stringify(name)}:${view.key}`)
        .sort()
        .join(",")}}`
  )
}

/** One view of two: its state is the pair of theirs. */
export const merge = <StateA, EventA, StateB, EventB>(
  a: View<StateA, EventA>,
  b: View<StateB, EventB>
): View<readonly [StateA, StateB], EventA | EventB> =>
  compose(
    `[${a.name}, ${b.name}]`,
    [a as Any, b as Any],
    (states) => [states[0] as StateA, states[1] as StateB] as const,
    (state) => state,
    () => `[${a.key},${b.key}]`
  )

/**
 * The state after all records that the view looks at, in the given order; others are passed over. Fails at the first
 * that the view looks at and cannot decode. Throws the typed error of a query that is refused.
 */
export const fold = <State, Event>(
  view: View<State, Event>,
  records: ReadonlyArray<Foldable>
): Result.Result<State, EventCatalog.DecodeError> => foldFrom(view, view.initial, records)

/** `fold`, going on from a state: the same state, not a copy, when no record changes it. */
export const foldFrom = <State, Event>(
  view: View<State, Event>,
  state: State,
  records: ReadonlyArray<Foldable>
): Result.Result<State, EventCatalog.DecodeError> => {
  const before = view.split(state)
  const states = [...before]
  return Result.map(foldParts(view.parts, states, records), () =>
    states.every((it, index) => it === before[index]) ? state : view.join(states)
  )
}

/**
 * The state after the events, for tests and for trying out a decision. The events go the way of recorded ones: encoded,
 * matched against the query, decoded, evolved. Throws `EncodeError` or `DecodeError` when one does not survive that.
 */
export const project = <State, Event>(view: View<State, Event>, events: ReadonlyArray<NoInfer<Event>>): State =>
  projectFrom(view, view.initial, events)

/** `project`, going on from a state. */
export const projectFrom = <State, Event>(
  view: View<State, Event>,
  state: NoInfer<State>,
  events: ReadonlyArray<NoInfer<Event>>
): State => {
  const catalogs = view.parts.map((part) => part.events)
  return Result.getOrThrow(foldFrom(view, state, toRecords(catalogs, events as ReadonlyArray<EventCatalog.AnyEvent>)))
}

/**
 * The events as a fold takes them, each encoded with the first catalog that knows its type, numbered from 1. Throws
 * `EncodeError`.
 */
export const toRecords = (
  catalogs: ReadonlyArray<EventCatalog.Any>,
  events: ReadonlyArray<EventCatalog.AnyEvent>
): ReadonlyArray<Foldable> =>
  events.map((event, index) => {
    const catalog = catalogs.find((it) => Object.hasOwn(it.definitions, event.eventType)) ?? catalogs[0]
    return { ...Result.getOrThrow(catalog!.encode(event)), sequenceNumber: index + 1 }
  })

const compose = <State, Event>(
  name: string,
  views: ReadonlyArray<Any>,
  join: (states: ReadonlyArray<unknown>) => State,
  split: (state: State) => ReadonlyArray<unknown>,
  makeKey: () => string
): View<State, Event> =>
  new PartsView({
    name,
    query: Query.or(...views.map((view) => view.query)),
    initial: join(views.map((view) => view.initial)),
    parts: views.flatMap((view) => view.parts),
    join: (states) => {
      let next = 0
      return join(views.map((view) => view.join(states.slice(next, (next += view.parts.length)))))
    },
    split: (state) => split(state).flatMap((it, index) => views[index]!.split(it)),
    makeKey
  })

interface Parts<State> extends Pick<View<State, never>, "name" | "query" | "initial" | "parts" | "join" | "split"> {
  readonly makeKey: () => string
}

class PartsView<State, Event> implements View<State, Event> {
  readonly name: string
  readonly query: EventQuery
  readonly initial: State
  readonly parts: ReadonlyArray<ViewPart>
  readonly join: (states: ReadonlyArray<unknown>) => State
  readonly split: (state: State) => ReadonlyArray<unknown>
  readonly #makeKey: () => string
  #key: string | undefined
  #canonicalQuery: string | undefined

  constructor(parts: Parts<State>) {
    this.name = parts.name
    this.query = parts.query
    this.initial = parts.initial
    this.parts = parts.parts
    this.join = parts.join
    this.split = parts.split
    this.#makeKey = parts.makeKey
  }

  readonly evolve = (state: State, event: Event): State => projectFrom(this, state, [event])

  get key(): string {
    return (this.#key ??= this.#makeKey())
  }

  get canonicalQuery(): string {
    return (this.#canonicalQuery ??= Query.canonical(this.query))
  }
}
