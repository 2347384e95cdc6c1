/** Events of older schema versions: recorded ones that were kept, and generated ones. */
import * as Result from "effect/Result"
import * as fc from "fast-check"
import type * as EventCatalog from "../../decider/EventCatalog.ts"
import type { JsonValue } from "../../stores/Event.ts"
import * as Arbitrary from "../arbitrary/Arbitrary.ts"
import type { Recorded } from "../spec/givenEvents.ts"

/** An event as it was recorded once: what a golden file is a list of. An `EventRecord` is one, too. */
export interface RecordedEvent {
  readonly eventType: string
  readonly payload: JsonValue
  /** Default: 1. */
  readonly schemaVersion?: number | undefined
  /** The tags that were recorded with it. Where they are given, those that are derived today are compared with them. */
  readonly tags?: ReadonlyArray<string> | undefined
}

/** Encoded payloads of older versions, by event type and version: a Schema of how they were, or an arbitrary. */
export type OlderPayloads = { readonly [eventType: string]: { readonly [version: number]: Arbitrary.Source<any> } }

/** What is known about older versions. */
export interface Older {
  readonly older?: OlderPayloads | undefined
  readonly recorded?: ReadonlyArray<RecordedEvent> | undefined
}

/** Payloads of one version of one type. */
export interface Version {
  readonly eventType: string
  readonly schemaVersion: number
  readonly payload: fc.Arbitrary<JsonValue>
}

/** The versions of a catalog's types that there are samples of, and those that there are none of. */
export const versionsOf = (
  catalog: EventCatalog.Any,
  { older = {}, recorded = [] }: Older,
  options: Arbitrary.Options
): { readonly known: ReadonlyArray<Version>; readonly unknown: ReadonlyArray<string> } => {
  const known: Array<Version> = []
  const unknown: Array<string> = []
  for (const [eventType, { version }] of Object.entries(catalog.definitions)) {
    for (let schemaVersion = 1; schemaVersion < version; schemaVersion++) {
      const kept = recorded.filter((it) => it.eventType === eventType && (it.schemaVersion ?? 1) === schemaVersion)
      const source = older[eventType]?.[schemaVersion]
      const payloads = [
        ...(source === undefined ? [] : [Arbitrary.from(source, options) as fc.Arbitrary<JsonValue>]),
        ...(kept.length === 0 ? [] : [fc.constantFrom(...kept.map(({ payload }) => payload))])
      ]
      if (payloads.length === 0)
        unknown.push(`version ${schemaVersion} of ${eventType} was not looked at: pass recorded or older`)
      else known.push({ eventType, schemaVersion, payload: fc.oneof(...payloads) })
    }
  }
  return { known, unknown }
}

/** The record of a payload of an older version, with the tags that it would have got; `undefined` if it cannot be read. */
export const recordOlder = (
  catalog: EventCatalog.Any,
  { eventType, schemaVersion }: Version,
  payload: JsonValue
): Recorded | undefined => {
  const record = { eventType, schemaVersion, payload, sequenceNumber: 1 }
  const decoded = Result.try(() => catalog.decode(record))
  if (Result.isFailure(decoded) || Result.isFailure(decoded.success)) return undefined
  return { ...record, tags: catalog.definitions[eventType]!.tags?.(decoded.success.success.payload) ?? [] }
}
