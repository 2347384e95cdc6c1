/**
 * `EventCatalog`: the event types that a part of the domain knows, each with one schema, and everything that follows
 * from that: constructors, encoding and decoding, and queries that only accept the catalog's types and fields.
 *
 * A catalog is data and pure functions. It checks what comes out of a log (`decode`) and what goes into it (`encode`);
 * constructors are checked by the compiler only.
 */
import * as Result from "effect/Result"
import type { JsonValue } from "../stores/Event.ts"
import type { EventQuery } from "../stores/EventQuery.ts"
import { DecodeError, EncodeError } from "./EventCatalogError.ts"
import type { AnyEventDefinition, Decodable, EncodedEvent, EventDefinition, PayloadSchema } from "./EventDefinition.ts"
import type { EventValue, RequireJson } from "./EventDefinition.ts"
import { event, toDefinition } from "./EventDefinition.ts"
import type { CommonPayload, PayloadPredicate } from "./PayloadPredicate.ts"
import type { CompiledEvent } from "./internal/compileEvent.ts"
import { compileEvent, decodeError } from "./internal/compileEvent.ts"

export { DecodeError, EncodeError, event }
export type { DecodeProblem, EncodeProblem } from "./EventCatalogError.ts"
export type { AnyEventDefinition, Decodable, EncodedEvent, EventDefinition, EventOptions } from "./EventDefinition.ts"
export type { EventValue, PayloadSchema, Upcast } from "./EventDefinition.ts"
export type { PayloadPredicate } from "./PayloadPredicate.ts"

/** Payload schemas by event type: the type-level content of a catalog. */
export type Schemas = { readonly [eventType: string]: PayloadSchema }

/** A catalog: its members, and a constructor per event type under the type's name. */
export type EventCatalog<S extends Schemas> = EventConstructors<S> & EventCatalogMembers<S>

/** Builds an event value from a payload; the compiler checks it, `encode` validates it. */
export type EventConstructors<S extends Schemas> = {
  readonly [Type in keyof S & string]: (payload: S[Type]["Type"]) => EventValue<Type, S[Type]["Type"]>
}

/** What a catalog has beside its constructors. None of these names can be an event type. */
export interface EventCatalogMembers<S extends Schemas> {
  readonly definitions: { readonly [Type in keyof S & string]: EventDefinition<S[Type]> }
  /** The names of the types, in the order in which they were given. */
  readonly eventTypes: ReadonlyArray<keyof S & string>
  /** The event's stored form: payload encoded and validated, current schema version, tags. */
  readonly encode: (event: EventUnion<S>) => Result.Result<EncodedEvent, EncodeError>
  /** The event in a record: upcast from the record's version, then decoded. */
  readonly decode: (record: Decodable) => Result.Result<EventUnion<S>, DecodeError>
  /**
   * The events of these types whose encoded payload contains `predicate` and that carry all of the tags. A predicate
   * may name only fields that all of the types have. Combine queries with `EventQuery.or`.
   */
  readonly query: <Type extends keyof S & string>(
    types: Type | ReadonlyArray<Type>,
    predicate?: PayloadPredicate<CommonPayload<S[NoInfer<Type>]["Encoded"]>>,
    options?: QueryOptions
  ) => EventQuery
  /** `query` with all types of the catalog. */
  readonly queryAll: (
    predicate?: PayloadPredicate<CommonPayload<S[keyof S & string]["Encoded"]>>,
    options?: QueryOptions
  ) => EventQuery
}

/** Further constraints of a query. */
export interface QueryOptions {
  /** The event has all of these tags. */
  readonly tags?: ReadonlyArray<string> | undefined
}

/** Any catalog, for functions that take one. */
export interface Any {
  readonly definitions: { readonly [eventType: string]: EventDefinition<any> }
  readonly eventTypes: ReadonlyArray<string>
  readonly encode: (event: any) => Result.Result<EncodedEvent, EncodeError>
  readonly decode: (record: Decodable) => Result.Result<AnyEvent, DecodeError>
}

/** An event value of some catalog. */
export type AnyEvent = EventValue<string, unknown>

/** The event values of a catalog, as a union. */
export type Event<C extends Any> = { [Type in EventType<C>]: EventOf<C, Type> }[EventType<C>]

/** The event value of one type of a catalog. */
export type EventOf<C extends Any, Type extends EventType<C>> = EventValue<Type, Payload<C, Type>>

/** The decoded payload of one type of a catalog. */
export type Payload<C extends Any, Type extends EventType<C>> = C["definitions"][Type]["schema"]["Type"]

/** The names of a catalog's types. */
export type EventType<C extends Any> = keyof C["definitions"] & string

type EventUnion<S extends Schemas> = {
  [Type in keyof S & string]: EventValue<Type, S[Type]["Type"]>
}[keyof S & string]

type Definitions = { readonly [eventType: string]: PayloadSchema | EventDefinition<any> }

type SchemaOf<Definition> =
  Definition extends EventDefinition<infer S> ? S : Definition extends PayloadSchema ? Definition : never

type SchemasOf<D extends Definitions> = { readonly [Type in keyof D & string]: SchemaOf<D[Type]> }

type Checked<D extends Definitions> = { readonly [Type in keyof D]: RequireJson<SchemaOf<D[Type]>["Encoded"]> } & {
  readonly [Name in MemberName]?: never
}

type MemberName = keyof EventCatalogMembers<Schemas>

const memberNames: { readonly [Name in MemberName]: true } = {
  definitions: true,
  eventTypes: true,
  encode: true,
  decode: true,
  query: true,
  queryAll: true
}

/**
 * Makes a catalog from payload schemas (version 1, no tags) and `event` definitions, by event type.
 *
 * Throws where a definition cannot be right, which is a mistake in the program: an event type with the name of a
 * member, upcasts that do not lead from version 1 to the current one.
 */
export const make = <const D extends Definitions>(definitions: D & Checked<D>): EventCatalog<SchemasOf<D>> => {
  const prototype: unknown = Object.getPrototypeOf(definitions)
  if (prototype !== Object.prototype && prototype !== null) {
    throw new Error('event types must be own properties of a plain object; write ["__proto__"] for that name')
  }
  return fromDefinitions(new Map(Object.entries(definitions).map(([type, it]) => [type, toDefinition(it)]))) as never
}

/** The catalog of the types of both. Throws when they share a type. */
export const merge = <A extends Any, B extends Any>(
  a: A,
  b: B & ([EventType<A> & EventType<B>] extends [never] ? unknown : "The catalogs share an event type")
): EventCatalog<SchemasIn<A> & SchemasIn<B>> => {
  const definitions = new Map<string, AnyEventDefinition>(Object.entries(a.definitions))
  for (const [type, definition] of Object.entries((b as Any).definitions)) {
    if (definitions.has(type)) throw new Error(`event type ${JSON.stringify(type)}: both catalogs define it`)
    definitions.set(type, definition)
  }
  return fromDefinitions(definitions) as never
}

type SchemasIn<C extends Any> = { readonly [Type in EventType<C>]: C["definitions"][Type]["schema"] }

const fromDefinitions = (definitions: ReadonlyMap<string, AnyEventDefinition>): Any => {
  const compiled = new Map<string, CompiledEvent>()
  const catalog: Record<string, unknown> = Object.create(null)
  for (const [eventType, definition] of definitions) {
    if (Object.hasOwn(memberNames, eventType)) {
      throw new Error(`event type ${JSON.stringify(eventType)}: the name is taken by a member of the catalog`)
    }
    compiled.set(eventType, compileEvent(eventType, definition))
    define(catalog, eventType, (payload: unknown): AnyEvent => ({ eventType, payload }))
  }
  const eventTypes = Object.freeze([...definitions.keys()])
  const members: EventCatalogMembers<Schemas> = {
    definitions: ownProperties(definitions),
    eventTypes,
    encode: ({ eventType, payload }) =>
      compiled.get(eventType)?.encode(payload) ??
      Result.fail(new EncodeError({ eventType, problem: "UnknownEventType" })),
    decode: (record) =>
      compiled.get(record.eventType)?.decode(record) ?? Result.fail(decodeError(record, "UnknownEventType")),
    query: (types, predicate, options) => toQuery(typeof types === "string" ? [types] : types, predicate, options),
    queryAll: (predicate, options) => toQuery(eventTypes, predicate, options)
  }
  return Object.freeze(Object.assign(catalog, members)) as unknown as Any
}

const toQuery = (
  eventTypes: ReadonlyArray<string>,
  predicate: JsonValue | undefined,
  options: QueryOptions | undefined
): EventQuery => ({
  filters: [
    {
      eventTypes,
      ...(predicate === undefined ? {} : { payloadPredicates: [predicate] }),
      ...(options?.tags === undefined ? {} : { tags: options.tags })
    }
  ]
})

const ownProperties = <A>(entries: ReadonlyMap<string, A>): Readonly<Record<string, A>> => {
  const target: Record<string, A> = Object.create(null)
  for (const [key, value] of entries) define(target, key, value)
  return Object.freeze(target)
}

/** Defines rather than assigns, so that `__proto__` is a name like any other. */
const define = (target: object, key: string, value: unknown): void => {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: false, writable: false })
}
