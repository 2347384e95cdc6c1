/**
 * Codec: what is recorded can be read. Every event of a catalog comes back as it was, payloads of older versions go through
 * their upcasts, and recorded events that were kept (golden files) still decode, under the tags that they have.
 */
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import type * as EventCatalog from "../../decider/EventCatalog.ts"
import * as Arbitrary from "../arbitrary/Arbitrary.ts"
import { callPure, Fault } from "../spec/callPure.ts"
import type { Recorded } from "../spec/givenEvents.ts"
import { record } from "../spec/givenEvents.ts"
import { printEventLine, printLine } from "../spec/printValue.ts"
import type { Older, RecordedEvent, Version } from "./older.ts"
import { versionsOf } from "./older.ts"
import type { RunOptions, Search } from "./search.ts"
import { search } from "./search.ts"
import { enumerate, section } from "./telling.ts"
import type { Found, Verdict } from "./Verdict.ts"
import { count, verdictOf } from "./Verdict.ts"
import { watching } from "./watching.ts"

/** What `codec` takes. */
export interface Options<C extends EventCatalog.Any> extends RunOptions, Older {
  readonly catalog: C
  /** Payloads by event type, where the schema's own arbitrary will not do. */
  readonly payloads?: { readonly [Type in EventCatalog.EventType<C>]?: fc.Arbitrary<EventCatalog.Payload<C, Type>> }
}

/** Judges the schemas, upcasts and tags of a catalog. `runs` is per event type and version. */
export const codec = <C extends EventCatalog.Any>(options: Options<C>): Verdict => {
  const { catalog, recorded = [] } = options
  requireKnown(catalog, options)
  const seed = options.seed ?? fc.sample(fc.integer(), 1)[0]!
  const again = { ...options, seed }
  const payloads: { readonly [eventType: string]: fc.Arbitrary<unknown> | undefined } = options.payloads ?? {}
  const types = catalog.eventTypes.map((eventType) => {
    const payload = payloads[eventType] ?? Arbitrary.of(catalog.definitions[eventType]!.schema, { values: "many" })
    return search(payload, again, (it) => roundTrip(catalog, { eventType, payload: it }))
  })
  const { known, unknown } = versionsOf(catalog, { older: options.older }, { values: "many" })
  const versions = known.map((version) => search(version.payload, again, (it) => upcast(catalog, version, it)))
  const searches: ReadonlyArray<Search<unknown, Found>> = [...types, ...versions]
  const kept = recorded.flatMap((event, index) => golden(catalog, event, index) ?? [])
  const covered = new Set(
    recorded.map(({ eventType, schemaVersion = 1 }) => `version ${schemaVersion} of ${eventType} `)
  )
  return verdictOf(
    {
      law: "codec",
      subject: `the catalog of ${enumerate(catalog.eventTypes)}`,
      runs: searches.reduce((sum, { runs }) => sum + runs, 0) + recorded.length,
      seed
    },
    [...searches.flatMap(({ found, runs }) => (found === undefined ? [] : [{ ...found.wrong, runs }])), ...kept],
    unknown.filter((note) => ![...covered].some((it) => note.startsWith(it))),
    `${count(searches.reduce((sum, { runs }) => sum + runs, 0))} generated payloads, ${count(recorded.length)} recorded events`
  )
}

const requireKnown = (catalog: EventCatalog.Any, { older = {} }: Older): void => {
  for (const [eventType, versions] of Object.entries(older)) {
    const current = catalog.definitions[eventType]?.version ?? 1
    const wrong = Object.keys(versions).find((version) => !(Number(version) < current))
    if (wrong !== undefined) throw new Error(`older: ${eventType} has no version ${wrong} before its current one`)
  }
}

const roundTrip = (catalog: EventCatalog.Any, event: EventCatalog.AnyEvent): Found | undefined => {
  const { eventType } = event
  const given = section("payload", [printLine(event.payload)])
  const recording = watching(() => record([catalog], [event], "generated"))
  const recorded = Result.getOrThrow(recording.result)
  if (recording.used.length > 0)
    return { problem: `${eventType}: encoding uses ${enumerate(recording.used)}`, lines: given }
  if (Result.isFailure(recorded)) {
    const details = recorded.failure.details.map((line) => `  ${line}`)
    return { problem: `${eventType}: ${recorded.failure.message}`, lines: [...details, ...given] }
  }
  const stored = recorded.success[0]!
  const decoded = decode(catalog, stored)
  if (Result.isFailure(decoded)) return unreadable(stored, decoded.failure, given)
  const { payload } = decoded.success
  if (isSame(event.payload, payload)) return undefined
  return {
    problem: `${eventType} does not come back as it was`,
    counterExample: { steps: [], events: [stored] },
    lines: [
      ...section("- before, + after", [`- ${printLine(event.payload)}`, `+ ${printLine(payload)}`]),
      ...storedAs(stored)
    ]
  }
}

const upcast = (catalog: EventCatalog.Any, version: Version, payload: Recorded["payload"]): Found | undefined => {
  const { eventType, schemaVersion } = version
  const stored: Recorded = { eventType, schemaVersion, payload, tags: [], sequenceNumber: 1 }
  const decoded = decode(catalog, stored)
  return Result.isFailure(decoded) ? unreadable(stored, decoded.failure, []) : undefined
}

const golden = (catalog: EventCatalog.Any, event: RecordedEvent, index: number): Found | undefined => {
  const { eventType, payload, schemaVersion = 1, tags } = event
  const stored: Recorded = { eventType, schemaVersion, payload, tags: tags ?? [], sequenceNumber: index + 1 }
  const decoded = decode(catalog, stored)
  if (Result.isFailure(decoded)) return unreadable(stored, decoded.failure, [])
  const derived = catalog.definitions[eventType]?.tags?.(decoded.success.payload) ?? []
  const missing = tags === undefined ? [] : derived.filter((tag) => !tags.includes(tag))
  if (missing.length === 0) return undefined
  return {
    problem: `recorded event ${index + 1}: ${eventType} now has the tag ${enumerate(missing)}, and was recorded without it`,
    counterExample: { steps: [], events: [stored] },
    lines: [
      ...storedAs(stored),
      ...section("what to do", [
        "a query by that tag leaves out what was recorded before: select the older ones by type and payload"
      ])
    ]
  }
}

/** Decodes what is frozen, under watch. */
const decode = (catalog: EventCatalog.Any, stored: Recorded): Result.Result<EventCatalog.AnyEvent, Fault> => {
  const { result, used } = watching(() =>
    callPure(`decoding of ${stored.eventType}`, { payload: stored.payload }, ({ payload }) =>
      catalog.decode({ ...stored, payload })
    )
  )
  if (used.length > 0) return Result.fail(new Fault(`decoding of ${stored.eventType} uses ${enumerate(used)}`))
  return Result.flatMap(
    Result.getOrThrow(result),
    Result.mapError((error) => {
      const details = error.problem === "UpcastFailed" ? whatUpcastThrew(catalog, stored) : []
      return new Fault(error.message, details, error)
    })
  )
}

/** The error of `decode` does not quote what an upcast threw, which may hold personal data. Here is none. */
const whatUpcastThrew = (
  catalog: EventCatalog.Any,
  { eventType, payload, schemaVersion }: Recorded
): ReadonlyArray<string> => {
  const { upcasts, version } = catalog.definitions[eventType]!
  let upcasted = payload
  for (let from = schemaVersion; from < version; from++) {
    const next = callPure(`the upcast from version ${from}`, { payload: upcasted }, (it) => upcasts[from]!(it.payload))
    if (Result.isFailure(next)) return [next.failure.message, ...next.failure.details]
    upcasted = next.success
  }
  return []
}

const unreadable = (stored: Recorded, fault: Fault, lines: ReadonlyArray<string>): Found => ({
  problem: fault.message,
  counterExample: { steps: [], events: [stored] },
  lines: [...fault.details.map((line) => `  ${line}`), ...storedAs(stored), ...lines]
})

const storedAs = (stored: Recorded): ReadonlyArray<string> => section("recorded as", [printEventLine(stored)])

/** Properties that are `undefined` are not recorded, and so are the same as none. */
const isSame = (a: unknown, b: unknown): boolean => {
  const [before, after] = [withoutUndefined(a), withoutUndefined(b)]
  return Equal.equals(before, after) && printLine(before) === printLine(after)
}

const withoutUndefined = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutUndefined)
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, it]) => (it === undefined ? [] : [[key, withoutUndefined(it)]]))
  )
}
