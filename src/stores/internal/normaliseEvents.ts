/** Validates and normalises events, once, before any store sees them (A4, A5). */
import * as Result from "effect/Result"
import type { JsonValue, Metadata } from "../Event.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { EmptyAppend, InvalidInput } from "../EventStoreError.ts"
import * as Limits from "../Limits.ts"
import { isEventId, makeEventId } from "./eventId.ts"
import type { Trail } from "./normaliseJson.ts"
import {
  attempt,
  copyJson,
  isPlainObject,
  isWellFormedText,
  limit,
  refuse,
  setOwn,
  utf8Length,
  within
} from "./normaliseJson.ts"

/** A validated event; all but its number and its time, which come with the commit. Payload, tags and metadata are frozen. */
export interface NormalisedEvent {
  readonly eventId: string
  readonly eventType: string
  readonly schemaVersion: number
  readonly payload: JsonValue
  readonly tags: ReadonlyArray<string>
  readonly metadata: Metadata
  /** Whether the caller chose the id: only then can it be in the log already. */
  readonly idGiven: boolean
}

/** What normalising events depends on. */
export interface EventRules {
  /** Goes into the ids that are generated: milliseconds since the Unix epoch. */
  readonly millis: number
  readonly maxPayloadBytes: number
}

const eventKeys = new Set(["eventType", "payload", "tags", "eventId", "schemaVersion", "metadata"])
const none: ReadonlyArray<string> = Object.freeze([])
const noMetadata: Metadata = Object.freeze({})

/** Checks and copies the events of one append; `path` names them in errors. */
export const normaliseEvents = (
  events: unknown,
  path: string,
  rules: EventRules
): Result.Result<ReadonlyArray<NormalisedEvent>, EventStoreErrorReason> => {
  if (Array.isArray(events) && events.length === 0) return Result.fail(new EmptyAppend())
  return attempt(path, (trail) => {
    if (!Array.isArray(events)) return refuse(trail, "expected an array of events")
    limit(trail, "events in one append", Limits.maxEventsPerAppend, events.length)
    const normalised = new Array<NormalisedEvent>(events.length)
    for (let index = 0; index < normalised.length; index++) {
      trail.enter(index)
      normalised[index] = normaliseEvent(events[index], trail, rules)
      trail.leave()
    }
    return normalised
  })
}

const normaliseEvent = (event: unknown, trail: Trail, rules: EventRules): NormalisedEvent => {
  if (typeof event !== "object" || event === null || Array.isArray(event)) {
    return refuse(trail, "expected an event with eventType and payload")
  }
  refuseUnknownKeys(event, eventKeys, trail)
  const { eventType, payload, tags, eventId, schemaVersion, metadata } = event as Record<string, unknown>
  return {
    eventId: eventId === undefined ? makeEventId(rules.millis) : within(trail, "eventId", eventId, checkEventId),
    eventType: normaliseName(eventType, trail, "eventType"),
    schemaVersion: schemaVersion === undefined ? 1 : within(trail, "schemaVersion", schemaVersion, checkVersion),
    payload: normalisePayload(payload, trail, rules.maxPayloadBytes),
    tags: tags === undefined ? none : within(trail, "tags", tags, normaliseTags),
    metadata: metadata === undefined ? noMetadata : within(trail, "metadata", metadata, normaliseMetadata),
    idGiven: eventId !== undefined
  }
}

const normalisePayload = (payload: unknown, trail: Trail, maxBytes: number): JsonValue => {
  trail.enter("payload")
  const copy = copyJson(payload, trail, maxBytes)
  trail.leave()
  return copy
}

/** A typo such as `tag` or `payloadPredicate` would change the meaning silently, so unknown keys are refused. */
export const refuseUnknownKeys = (value: object, known: ReadonlySet<string>, trail: Trail): void => {
  for (const key in value) {
    if (known.has(key) || !Object.hasOwn(value, key)) continue
    trail.enter(key)
    refuse(trail, `unknown; expected one of ${[...known].join(", ")}`)
  }
}

/** An event type, tag, stream name or key: 1 to 255 bytes of well-formed text. */
export const normaliseName = (name: unknown, trail: Trail, key: string | number): string => {
  if (typeof name === "string" && name.length > 0 && name.length * 3 <= Limits.maxNameBytes && isWellFormedText(name)) {
    return name
  }
  trail.enter(key)
  if (typeof name !== "string") return refuse(trail, "expected a string")
  if (name.length === 0) refuse(trail, "expected at least one character")
  if (!isWellFormedText(name)) refuse(trail, "text must be well-formed Unicode without NUL")
  limit(trail, "UTF-8 bytes", Limits.maxNameBytes, utf8Length(name))
  trail.leave()
  return name
}

/** An event's tags: distinct, sorted and frozen. */
const normaliseTags = (tags: unknown, trail: Trail): ReadonlyArray<string> => {
  if (!Array.isArray(tags)) return refuse(trail, "expected an array of strings")
  const distinct = normaliseNames(tags, trail)
  limit(trail, "distinct tags", Limits.maxTags, distinct.length)
  return Object.freeze(distinct)
}

/** Event types or tags, distinct and sorted. */
export const normaliseNames = (given: ReadonlyArray<unknown>, trail: Trail): ReadonlyArray<string> => {
  const names = new Array<string>(given.length)
  for (let index = 0; index < names.length; index++) names[index] = normaliseName(given[index], trail, index)
  return isStrictlyAscending(names) ? names : [...new Set(names)].sort()
}

const isStrictlyAscending = (names: ReadonlyArray<string>): boolean => {
  for (let index = 1; index < names.length; index++) if (names[index - 1]! >= names[index]!) return false
  return true
}

const checkEventId = (eventId: unknown, trail: Trail): string => {
  const lowerCase = typeof eventId === "string" ? eventId.toLowerCase() : ""
  return isEventId(lowerCase)
    ? lowerCase
    : refuse(trail, "expected a UUID such as 0192f0c1-2a3b-7c4d-8e5f-60718293a4b5")
}

const checkVersion = (version: unknown, trail: Trail): number =>
  Number.isSafeInteger(version) && (version as number) >= 1
    ? (version as number)
    : refuse(trail, "expected an integer of at least 1")

const normaliseMetadata = (metadata: unknown, trail: Trail): Metadata => {
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata) || !isPlainObject(metadata)) {
    return refuse(trail, "expected a plain object of strings")
  }
  const keys = Object.keys(metadata)
  limit(trail, "entries", Limits.maxMetadataEntries, keys.length)
  const copy: Record<string, string> = {}
  let bytes = 0
  for (const key of keys) {
    const text: unknown = (metadata as Record<string, unknown>)[key]
    if (text === undefined) continue
    trail.enter(key)
    if (typeof text !== "string") return refuse(trail, "expected a string")
    if (!isWellFormedText(key) || !isWellFormedText(text)) {
      refuse(trail, "text must be well-formed Unicode without NUL")
    }
    trail.leave()
    bytes += utf8Length(key) + utf8Length(text)
    setOwn(copy, key, text)
  }
  limit(trail, "bytes of keys and values", Limits.maxMetadataBytes, bytes)
  return Object.freeze(copy)
}

/** Names an event in the caller's arguments, for example `events[3]`. */
export type EventPath = (batch: number, index: number) => string

/** Events of one call cannot share an id. `pathOf` names an event by its batch and its place in it. */
export const findRepeatedId = (
  batches: ReadonlyArray<ReadonlyArray<NormalisedEvent>>,
  pathOf: EventPath
): InvalidInput | undefined => {
  if (givenIds(batches).length < 2) return undefined
  const seen = new Set<string>()
  return findGivenId(batches, pathOf, (eventId) => seen.size === seen.add(eventId).size)
}

/** The ids that the caller chose. */
export const givenIds = (batches: ReadonlyArray<ReadonlyArray<NormalisedEvent>>): ReadonlyArray<string> => {
  let given: Array<string> | undefined
  for (const events of batches) for (const event of events) if (event.idGiven) (given ??= []).push(event.eventId)
  return given ?? none
}

/** The first event with an id that the caller chose and that is taken. */
export const findGivenId = (
  batches: ReadonlyArray<ReadonlyArray<NormalisedEvent>>,
  pathOf: EventPath,
  isTaken: (eventId: string) => boolean
): InvalidInput | undefined => {
  for (let batch = 0; batch < batches.length; batch++) {
    const events = batches[batch]!
    for (let index = 0; index < events.length; index++) {
      const { eventId, idGiven } = events[index]!
      if (idGiven && isTaken(eventId)) return idTaken(pathOf(batch, index))
    }
  }
  return undefined
}

const idTaken = (path: string): InvalidInput =>
  new InvalidInput({ path: `${path}.eventId`, problem: "the id belongs to another event; ids are unique in the log" })
