/**
 * Compiles the definition of one event type into the two functions of the hot path: encode a payload, decode a record.
 * Decoding upcasts step by step from the record's version to the current one, on the encoded side, and decodes then.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as SchemaIssue from "effect/SchemaIssue"
import type { JsonValue } from "../../stores/Event.ts"
import type { AnyEventDefinition, Decodable, EncodedEvent, EventValue, Upcast } from "../EventDefinition.ts"
import type { DecodeProblem } from "../EventCatalogError.ts"
import { DecodeError, EncodeError } from "../EventCatalogError.ts"
import { payloadCodec } from "./payloadCodec.ts"
import { issuePath } from "./issuePath.ts"

/** The codec of one event type. */
export interface CompiledEvent {
  readonly encode: (payload: unknown) => Result.Result<EncodedEvent, EncodeError>
  readonly decode: (record: Decodable) => Result.Result<EventValue<string, unknown>, DecodeError>
}

/** Checks a definition and compiles it. Throws an error that names the event type when it is wrong. */
export const compileEvent = (eventType: string, definition: AnyEventDefinition): CompiledEvent => {
  const { schema, tags, version } = definition
  const upcasts = upcastsOf(eventType, definition)
  const payloads = payloadCodec(schema)

  const encode = (payload: unknown): Result.Result<EncodedEvent, EncodeError> => {
    const exit = payloads.encode(payload)
    if (Exit.isFailure(exit)) {
      return Result.fail(new EncodeError({ eventType, problem: "InvalidPayload", ...pathOf(exit.cause) }))
    }
    return Result.succeed({
      eventType,
      payload: exit.value as JsonValue,
      schemaVersion: version,
      tags: tags === undefined ? noTags : tags(payload)
    })
  }

  const decode = (record: Decodable): Result.Result<EventValue<string, unknown>, DecodeError> => {
    let encoded: JsonValue = record.payload
    if (record.schemaVersion !== version) {
      const upcasted = upcast(upcasts, record)
      if (Result.isFailure(upcasted)) return Result.fail(upcasted.failure)
      encoded = upcasted.success
    }
    const exit = payloads.decode(encoded)
    return Exit.isSuccess(exit)
      ? Result.succeed({ eventType, payload: exit.value })
      : Result.fail(decodeError(record, "InvalidPayload", pathOf(exit.cause)))
  }

  return { encode, decode }
}

/** The error for a record, without anything of its payload. */
export const decodeError = (record: Decodable, problem: DecodeProblem, path: { readonly path?: string } = {}) =>
  new DecodeError({
    sequenceNumber: record.sequenceNumber,
    eventType: record.eventType,
    schemaVersion: record.schemaVersion,
    problem,
    ...path
  })

const noTags: ReadonlyArray<string> = []

const pathOf = (cause: Cause.Cause<SchemaIssue.Issue>): { readonly path?: string } => {
  const issue = Cause.findErrorOption(cause)
  const path = Option.isSome(issue) ? issuePath(issue.value) : undefined
  return path === undefined ? {} : { path }
}

/** From the record's version to the current one. What an upcast throws may quote the payload, so it is dropped. */
const upcast = (upcasts: ReadonlyArray<Upcast>, record: Decodable): Result.Result<JsonValue, DecodeError> => {
  const { schemaVersion } = record
  if (!Number.isInteger(schemaVersion) || schemaVersion < 1 || schemaVersion > upcasts.length) {
    return Result.fail(decodeError(record, "UnknownSchemaVersion"))
  }
  return Result.try({
    try: () => {
      let payload = record.payload
      for (let index = schemaVersion - 1; index < upcasts.length; index++) payload = upcasts[index]!(payload)
      return payload
    },
    catch: () => decodeError(record, "UpcastFailed")
  })
}

/** The upcasts in order; the one at index 0 leads from version 1 to 2. */
const upcastsOf = (eventType: string, definition: AnyEventDefinition): ReadonlyArray<Upcast> => {
  const { upcasts, version } = definition
  const name = `event type ${JSON.stringify(eventType)}`
  if (!Number.isSafeInteger(version) || version < 1)
    throw new Error(`${name}: the version must be a whole number from 1`)
  const ordered = Array.from({ length: version - 1 }, (_, index): Upcast => {
    const step = Object.hasOwn(upcasts, index + 1) ? upcasts[index + 1] : undefined
    if (typeof step === "function") return step
    throw new Error(`${name}: version ${version} needs an upcast from version ${index + 1} to ${index + 2}`)
  })
  for (const key of Object.keys(upcasts)) {
    if (!Number.isInteger(Number(key)) || Number(key) < 1 || Number(key) >= version) {
      throw new Error(`${name}: an upcast from version ${key} has no place below version ${version}`)
    }
  }
  return ordered
}
