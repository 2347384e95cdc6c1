/**
 * What a catalog says about one event type: the schema of its payload, the schema's version, the upcasts from older
 * versions, and the tags that are derived from the event. Also the shapes that an event has on its way: a typed value
 * in the domain, its encoded form, and what of a record is needed to read it.
 */
import * as Schema from "effect/Schema"
import type { EventRecord, JsonScalar, JsonValue } from "../stores/Event.ts"

/** An event as the domain sees it: its type and its decoded payload. */
export interface EventValue<Type extends string, Payload> {
  readonly eventType: Type
  readonly payload: Payload
}

/** An event's stored form before it is recorded; a `NewEvent` of the store contract, without id and metadata. */
export interface EncodedEvent {
  readonly eventType: string
  readonly payload: JsonValue
  readonly schemaVersion: number
  readonly tags: ReadonlyArray<string>
}

/** What of a record decoding looks at. */
export type Decodable = Pick<EventRecord, "sequenceNumber" | "eventType" | "schemaVersion" | "payload">

/** A schema of payloads: decodes and encodes synchronously and needs no services. */
export type PayloadSchema = Schema.ConstraintCodec<unknown, unknown, never, never>

/** Turns an encoded payload of one version into one of the next. Pure; what it gets is frozen. */
export type Upcast = { upcast(encoded: JsonValue): JsonValue }["upcast"]

/** The definition of one event type. Made by `event`. */
export interface EventDefinition<S extends PayloadSchema> {
  readonly schema: S
  /** Current version of the schema, from 1. */
  readonly version: number
  /** By the version that an upcast starts from: complete from 1 to `version - 1`. */
  readonly upcasts: Readonly<Record<number, Upcast>>
  /** Derives the tags from the decoded payload. `undefined`: no tags. */
  readonly tags: { tags(payload: S["Type"]): ReadonlyArray<string> }["tags"] | undefined
}

/** A definition whose payload is not known. */
export type AnyEventDefinition = EventDefinition<PayloadSchema>

/** The versions before `Version`: `1 | 2` for 3. Any number where the version is not a literal. */
export type VersionsBefore<Version extends number> = number extends Version
  ? number
  : CountTo<Version, [unknown], never>

type CountTo<Version extends number, Count extends ReadonlyArray<unknown>, Counted> = Count["length"] extends Version
  ? Counted
  : Count["length"] extends 999
    ? number
    : CountTo<Version, [...Count, unknown], Counted | Count["length"]>

/** What `event` takes beside the schema. */
export type EventOptions<S extends PayloadSchema, Version extends number> = {
  /** Current version of the schema. Default: 1. */
  readonly version?: Version
  /** Derives the event's tags from its payload. Pure. Default: none. */
  readonly tags?: (payload: S["Type"]) => ReadonlyArray<string>
} & ([VersionsBefore<Version>] extends [never]
  ? { readonly upcasts?: { readonly [version: number]: never } }
  : {
      /** One for each version before the current one, by the version that it starts from. */
      readonly upcasts: { readonly [From in VersionsBefore<Version>]: Upcast }
    })

/** `unknown` where every value of `Encoded` is JSON, else an unsatisfiable type that says so. */
export type RequireJson<Encoded> = [Encoded] extends [Json<Encoded>]
  ? unknown
  : "The encoded side of a payload schema must be JSON: use a schema that encodes to JSON, such as DateFromString for a Date"

type Json<Value> = Value extends JsonScalar | undefined
  ? Value
  : Value extends ((...args: ReadonlyArray<never>) => unknown) | Date | Map<never, never> | Set<never>
    ? never
    : Value extends object
      ? { readonly [Key in keyof Value]: Json<Value[Key]> }
      : unknown extends Value
        ? Value
        : never

/**
 * Defines one event type of a catalog.
 *
 * The type parameter `Version` counts out the upcasts that `version` needs, so that a missing one does not compile.
 */
export const event = <S extends PayloadSchema, const Version extends number = 1>(
  schema: S,
  options: EventOptions<S, Version>
): EventDefinition<S> => {
  const { tags, upcasts = {}, version = 1 } = options as Partial<EventDefinition<S>>
  return { schema, version, upcasts, tags }
}

/** A definition as it is, a bare schema as version 1 without tags. */
export const toDefinition = (definition: PayloadSchema | AnyEventDefinition): AnyEventDefinition =>
  Schema.isSchema(definition)
    ? { schema: definition as PayloadSchema, version: 1, upcasts: {}, tags: undefined }
    : (definition as AnyEventDefinition)
