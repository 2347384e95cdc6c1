/**
 * `Reactor`: what follows from a recorded event, as values: commands to dispatch, messages to send, whatever the
 * application describes. Pure: nothing is carried out here.
 *
 * Every reaction carries where it comes from, so that whoever carries it out, perhaps more than once, can tell repeats.
 */
import * as Result from "effect/Result"
import type { EventRecord } from "../stores/Event.ts"
import type { EventQuery } from "../stores/EventQuery.ts"
import * as Query from "../stores/EventQuery.ts"
import type * as EventCatalog from "./EventCatalog.ts"

/** From records to reactions. */
export interface Reactor<Reaction> {
  readonly name: string
  /** Which events the reactor looks at. */
  readonly query: EventQuery
  /** The reactors that this one is merged from; itself when it is not merged. */
  readonly parts: ReadonlyArray<ReactorPart<Reaction>>
}

/** A reactor that is not merged from others. */
export interface ReactorPart<Reaction> {
  readonly name: string
  readonly query: EventQuery
  /**
   * The reactions to a record; `[]` when it does not match the query. Throws the typed error of a query that is
   * refused.
   */
  readonly react: (record: EventRecord) => Result.Result<ReadonlyArray<Reaction>, EventCatalog.DecodeError>
}

/** A reaction and where it comes from: reactor, record and index together are unique. */
export interface Reacted<Reaction> {
  /** Name of the reactor, of the part where reactors are merged. */
  readonly reactor: string
  /** Position of the record that is reacted to. */
  readonly sequenceNumber: number
  /** Index among the reactor's reactions to this record, from 0. */
  readonly index: number
  readonly reaction: Reaction
}

/** The reaction to an event type, from its decoded payload and the whole record. */
export type ReactCases<C extends EventCatalog.Any> = {
  readonly [Type in EventCatalog.EventType<C>]?: (
    payload: EventCatalog.Payload<C, Type>,
    record: EventRecord
  ) => ReadonlyArray<unknown>
}

type ReactionOf<Cases> = {
  [Type in keyof Cases]: Cases[Type] extends (...args: any) => ReadonlyArray<infer Reaction> ? Reaction : never
}[keyof Cases]

/** What `make` takes. */
export interface Definition<C extends EventCatalog.Any, Cases extends ReactCases<C>> {
  /** Identifies the reactor's reactions: keep it. */
  readonly name: string
  readonly events: C
  /** Which events the reactor looks at. A read cursor is not kept. */
  readonly query: EventQuery
  readonly react: Cases & { readonly [Type in Exclude<keyof Cases, EventCatalog.EventType<C>>]: never }
}

/**
 * Makes a reactor. A type without a case has no reactions. Every event that the query matches must be one that the
 * catalog can decode.
 */
export const make = <C extends EventCatalog.Any, Cases extends ReactCases<C>>(
  definition: Definition<C, Cases>
): Reactor<ReactionOf<Cases>> => {
  type Reaction = ReactionOf<Cases>
  type Case = (payload: unknown, record: EventRecord) => ReadonlyArray<Reaction>
  const { events, name } = definition
  const query = Query.make(...(definition.query.filters ?? []))
  const cases = new Map(Object.entries(definition.react)) as ReadonlyMap<string, unknown> as ReadonlyMap<string, Case>
  const matches = Result.getOrElse(
    Query.matcher(query),
    () => (record: Query.Matchable) => Query.matches(query, record)
  )
  const react = (record: EventRecord): Result.Result<ReadonlyArray<Reaction>, EventCatalog.DecodeError> =>
    matches(record)
      ? Result.map(events.decode(record), (event) => cases.get(event.eventType)?.(event.payload, record) ?? [])
      : Result.succeed([])
  return { name, query, parts: [{ name, query, react }] }
}

/** The reactions to one record, in the order of the parts. Fails when a part that looks at it cannot decode it. */
export const react = <Reaction>(
  reactor: Reactor<Reaction>,
  record: EventRecord
): Result.Result<ReadonlyArray<Reaction>, EventCatalog.DecodeError> =>
  Result.map(reactAll(reactor, [record]), (all) => all.map((it) => it.reaction))

/**
 * The reactions to all records, in their order, each with where it comes from. Fails at the first that cannot be
 * decoded.
 */
export const reactAll = <Reaction>(
  reactor: Reactor<Reaction>,
  records: ReadonlyArray<EventRecord>
): Result.Result<ReadonlyArray<Reacted<Reaction>>, EventCatalog.DecodeError> => {
  const all: Array<Reacted<Reaction>> = []
  for (const record of records) {
    for (const part of reactor.parts) {
      const reactions = part.react(record)
      if (Result.isFailure(reactions)) return Result.fail(reactions.failure)
      reactions.success.forEach((reaction, index) => {
        all.push({ reactor: part.name, sequenceNumber: record.sequenceNumber, index, reaction })
      })
    }
  }
  return Result.succeed(all)
}

/**
 * One reactor of two, each reacting to what its own query matches. Throws when a name occurs twice, since names tell
 * reactions apart.
 */
export const merge = <A, B>(a: Reactor<A>, b: Reactor<B>): Reactor<A | B> => {
  const parts: ReadonlyArray<ReactorPart<A | B>> = [...a.parts, ...b.parts]
  const names = new Set(parts.map((part) => part.name))
  if (names.size < parts.length) throw new Error(`reactors ${a.name} and ${b.name} share a name: rename one`)
  return { name: `[${a.name}, ${b.name}]`, query: Query.or(a.query, b.query), parts }
}

/** The same reactor with every reaction mapped. */
export const map = <A, B>(reactor: Reactor<A>, f: (reaction: A) => B): Reactor<B> => ({
  ...reactor,
  parts: reactor.parts.map((part) => ({
    ...part,
    react: (record) => Result.map(part.react(record), (reactions) => reactions.map(f))
  }))
})
