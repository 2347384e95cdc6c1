/** Mutants that record something else than they were given, or share it (A4, A5, limits, hostile input). */
import * as Effect from "effect/Effect"
import { inspect } from "node:util"
import type { EventRecord, JsonValue, NewEvent } from "../../stores/Event.ts"
import * as EventQuery from "../../stores/EventQuery.ts"
import type { AppendResult, EventStore } from "../../stores/EventStore.ts"
import { fromReason, InvalidInput } from "../../stores/EventStoreError.ts"
import type { NormalisedEvent } from "../../stores/internal/normaliseEvents.ts"
import * as Limits from "../../stores/Limits.ts"
import type { Mutant } from "./Mutant.ts"
import { mutant } from "./Mutant.ts"
import { PlainLog } from "./PlainLog.ts"

/** A mutant around a right store. */
const around = (
  name: string,
  mistake: string,
  killedBy: Mutant["killedBy"],
  alter: (store: EventStore) => EventStore
): Mutant => mutant(name, mistake, killedBy, { store: ({ store }) => alter(store) })

/** A mutant that appends other events than it was given. */
const rewritingEvents = (
  name: string,
  mistake: string,
  killedBy: Mutant["killedBy"],
  rewrite: (event: NewEvent) => NewEvent
): Mutant =>
  around(name, mistake, killedBy, (store) => {
    const rewritten = (events: ReadonlyArray<NewEvent>) =>
      Array.isArray(events) && events.length <= Limits.maxEventsPerAppend
        ? events.map((event) => (isEvent(event) ? rewrite(event) : event))
        : events
    return {
      ...store,
      append: (events, options) => Effect.suspend(() => store.append(rewritten(events), options)),
      appendIf: (events, ...rest) => Effect.suspend(() => store.appendIf(rewritten(events), ...rest))
    }
  })

const isEvent = (event: unknown): boolean => typeof event === "object" && event !== null

/** A log whose records are changed before they are stored and handed out. */
class Recording extends PlainLog {
  private readonly alter: (record: EventRecord) => EventRecord

  constructor(alter: (record: EventRecord) => EventRecord) {
    super()
    this.alter = alter
  }

  protected override add(batch: ReadonlyArray<NormalisedEvent>, occurredAt: number): AppendResult {
    const result = super.add(batch, occurredAt)
    const eventRecords = result.eventRecords.map(this.alter)
    const first = this.rows.length - eventRecords.length
    for (const [index, altered] of eventRecords.entries()) {
      this.rows[first + index] = { record: altered, batchEnd: result.lastSequenceNumber }
    }
    return { ...result, eventRecords: Object.freeze(eventRecords) }
  }
}

/** A log that can be given other payloads afterwards. */
class Replaceable extends PlainLog {
  replace({ firstSequenceNumber }: AppendResult, events: ReadonlyArray<NewEvent>): void {
    for (const [index, { payload }] of events.entries()) {
      const { record, batchEnd } = this.rows[firstSequenceNumber - 1 + index]!
      this.rows[firstSequenceNumber - 1 + index] = { record: { ...record, payload: payload as JsonValue }, batchEnd }
    }
  }
}

/** A copy made by plain assignment. */
const assigned = (value: JsonValue): JsonValue => {
  if (value === null || typeof value !== "object") return value
  if (Array.isArray(value)) return Object.freeze(value.map(assigned))
  const copy: Record<string, JsonValue> = {}
  for (const [key, member] of Object.entries(value)) copy[key] = assigned(member)
  return Object.freeze(copy)
}

/** The nearest position there is. */
const nearest = (position: unknown): number => Math.max(0, Math.trunc(Number(position)) || 0)

const rounded = (store: EventStore): EventStore => {
  const query = (it: EventQuery.EventQuery): EventQuery.EventQuery =>
    it?.minSequenceNumber === undefined ? it : { ...it, minSequenceNumber: nearest(it.minSequenceNumber) }
  const expected = (version: number | null): number | null => (version === null ? null : nearest(version))
  return {
    ...store,
    query: (it = EventQuery.all) => store.query(query(it)),
    appendIf: (events, context, version, options) => store.appendIf(events, query(context), expected(version), options),
    appendBatchesIf: (batches, context, version, options) =>
      store.appendBatchesIf(batches, query(context), expected(version), options)
  }
}

/** Appends in portions of at most as many events as are allowed. */
const inPortions = (store: EventStore): EventStore => ({
  ...store,
  append: (events, options) =>
    Array.isArray(events) && events.length > Limits.maxEventsPerAppend && events.length < 1_000_000
      ? Effect.gen(function* () {
          const results: Array<AppendResult> = []
          for (let from = 0; from < events.length; from += Limits.maxEventsPerAppend) {
            results.push(yield* store.append(events.slice(from, from + Limits.maxEventsPerAppend), options))
          }
          return { ...results[0]!, committedCount: events.length }
        })
      : store.append(events, options)
})

const cut = (name: unknown): unknown =>
  typeof name === "string" && name.length > Limits.maxNameBytes ? name.slice(0, Limits.maxNameBytes) : name

const probe: NewEvent = { eventType: "Probe", payload: null }

/** Compares the context before it looks at the events. */
const conditionFirst = (store: EventStore): EventStore => ({
  ...store,
  appendIf: (events, context, expected, options) =>
    options?.headSequenceNumber === undefined
      ? Effect.flatMap(store.query({ filters: context?.filters }), ({ currentContextVersion }) =>
          store.appendIf(currentContextVersion === expected ? events : [probe], context, expected, options)
        )
      : store.appendIf(events, context, expected, options)
})

const telling = (store: EventStore): EventStore => ({
  ...store,
  append: (events, options) =>
    Effect.mapError(store.append(events, options), (error) =>
      error.reason._tag === "InvalidInput"
        ? fromReason(
            new InvalidInput({ path: error.reason.path, problem: `${error.reason.problem}, found ${inspect(events)}` })
          )
        : error
    )
})

const nothingAppended: AppendResult = {
  firstSequenceNumber: 0,
  lastSequenceNumber: 0,
  committedCount: 0,
  commitId: "",
  eventRecords: []
}

const storedAsValidated = "what is stored is what was validated, whatever the caller changes afterwards"

export const recording = [
  mutant(
    "caller's payload kept",
    "Checks a copy of the payload and stores the caller's own object.",
    [storedAsValidated],
    {
      log: () => new Replaceable(),
      store: ({ log, store }) => ({
        ...store,
        append: (events, options) =>
          Effect.tap(store.append(events, options), (result) => Effect.sync(() => log.replace(result, events)))
      })
    }
  ),
  mutant(
    "records shared",
    "Hands the same record out to everybody, and everybody can change it.",
    [
      "scribbling on what was handed out changes nothing for anyone else",
      "records are deeply frozen, whoever hands them out"
    ],
    { log: () => new Recording((record) => structuredClone(record)) }
  ),
  around(
    "input read late",
    "Reads the events when it writes them, not when it was called.",
    ["input that changes while it is being appended is stored as it was at one moment"],
    (store) => ({ ...store, append: (...input) => Effect.flatMap(Effect.yieldNow, () => store.append(...input)) })
  ),
  mutant(
    "keys copied by assignment",
    "Copies payloads property by property with =, which loses the key __proto__.",
    ["only a predicate's own keys count, and inherited ones of a payload do not"],
    { log: () => new Recording((record) => Object.freeze({ ...record, payload: assigned(record.payload) })) }
  ),
  rewritingEvents(
    "payload through JSON.stringify",
    "Stores what JSON makes of a payload, so a Date becomes text and NaN becomes null.",
    ["every payload that is no JSON is refused at its path, and nothing is stored"],
    (event) => ({ ...event, payload: throughJson(event.payload) })
  ),
  rewritingEvents(
    "long names cut",
    "Cuts event types that are too long instead of refusing them.",
    ["event types and tags have up to 255 bytes"],
    (event) => ({ ...event, eventType: cut(event.eventType) as string })
  ),
  around(
    "large append in portions",
    "Splits an append of too many events into several.",
    ["one append has up to 10,000 events, in one range"],
    inPortions
  ),
  mutant(
    "payloads unlimited",
    "Ignores the limit of payloads that it was opened with.",
    ["the limit of payloads can be set"],
    { options: () => ({ maxPayloadBytes: Limits.largestMaxPayloadBytes }) }
  ),
  around(
    "positions rounded",
    'Takes -1, 1.5, NaN and "5" for the nearest position instead of refusing them.',
    [
      "read cursors that are no position are refused, and 0 is the start",
      "expected versions that are no position are refused"
    ],
    rounded
  ),
  around(
    "empty append accepted",
    "Answers an append without events as if there was something done.",
    ["an append without events is refused as empty before anything else is looked at"],
    (store) => ({
      ...store,
      append: (events, options) =>
        Array.isArray(events) && events.length === 0 ? Effect.succeed(nothingAppended) : store.append(events, options)
    })
  ),
  around(
    "context before input",
    "Compares the context before it validates the events.",
    ["input is validated before the context is compared"],
    conditionFirst
  ),
  around(
    "payload in the error",
    "Quotes the events that it refuses.",
    ["errors show nothing of payloads, predicates and metadata"],
    telling
  )
]

const throughJson = (payload: unknown): unknown => {
  const text: unknown = JSON.stringify(payload)
  return typeof text === "string" ? JSON.parse(text) : payload
}
