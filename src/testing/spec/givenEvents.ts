/**
 * The given events on the way that recorded ones go: encoded with their catalog, matched by the query, decoded, evolved.
 * The matcher is the one of the stores, so that a wrong query shows.
 */
import * as Result from "effect/Result"
import type * as EventCatalog from "../../decider/EventCatalog.ts"
import * as View from "../../decider/View.ts"
import type { JsonValue } from "../../stores/Event.ts"
import * as EventQuery from "../../stores/EventQuery.ts"
import { callPure, Fault } from "./callPure.ts"
import { printLine } from "./printValue.ts"

/** An event as it would be recorded. */
export interface Recorded extends EventCatalog.EncodedEvent {
  /** From 1, in the order in which the events were given or emitted. */
  readonly sequenceNumber: number
}

/** A given event, and what became of it. */
export interface Given extends Recorded {
  /** Whether the query matches it. */
  readonly selected: boolean
  /** The names of the views that see it: several where the view is composed. */
  readonly seenBy: ReadonlyArray<string>
  /** Why the query does not match it; `undefined` where it does. */
  readonly whyNot: string | undefined
}

/** The events as they would be recorded. Fails at the first that a store would refuse. */
export const record = (
  catalogs: ReadonlyArray<EventCatalog.Any>,
  events: ReadonlyArray<EventCatalog.AnyEvent>,
  what: string
): Result.Result<ReadonlyArray<Recorded>, Fault> =>
  Result.all(events.map((event, index) => recordOne(catalogs, event, index + 1, `${what} event ${index + 1}`)))

const recordOne = (
  catalogs: ReadonlyArray<EventCatalog.Any>,
  event: EventCatalog.AnyEvent,
  sequenceNumber: number,
  what: string
): Result.Result<Recorded, Fault> =>
  Result.gen(function* () {
    const catalog = catalogs.find((it) => Object.hasOwn(it.definitions, event?.eventType))
    if (catalog === undefined) {
      const known = catalogs.flatMap((it) => it.eventTypes).join(", ")
      return yield* Result.fail(
        new Fault(`${what} is of no known type: ${printLine(event)}`, [`known types: ${known}`])
      )
    }
    const refused = (problem: string) => new Fault(`${what} cannot be recorded, ${problem}`, [printLine(event)])
    const encoding = yield* callPure(`encoding of ${event.eventType}`, { payload: event.payload }, ({ payload }) =>
      catalog.encode({ eventType: event.eventType, payload })
    )
    const encoded = yield* Result.mapError(encoding, (error) => refused(error.message))
    // A query for exactly this event is refused for what the event itself would be refused for.
    const { eventType, payload, tags } = encoded
    const query = EventQuery.make({ eventTypes: [eventType], payloadPredicates: [payload], tags })
    yield* Result.mapError(EventQuery.matcher(query), (reason) => refused(placeInEvent(reason.message)))
    const stored = { payload: JSON.parse(JSON.stringify(payload)) as JsonValue, tags: [...new Set(tags)].sort() }
    return { ...encoded, ...stored, sequenceNumber }
  })

const placeInEvent = (message: string): string =>
  message
    .replace("query.filters[0].payloadPredicates[0]", "payload")
    .replace("query.filters[0].eventTypes[0]", "eventType")
    .replace("query.filters[0].tags", "tags")

/** What the view sees of the given events. Fails where a query is one that a store would refuse. */
export const select = (view: View.Any, recorded: ReadonlyArray<Recorded>): Result.Result<ReadonlyArray<Given>, Fault> =>
  Result.map(
    Result.all([view.query, ...view.parts.map((part) => part.query)].map((query) => EventQuery.matcher(query))),
    ([whole, ...parts]) =>
      recorded.map((event) => {
        const selected = whole!(event)
        return {
          ...event,
          selected,
          seenBy: selected ? view.parts.filter((_, index) => parts[index]!(event)).map((part) => part.name) : [],
          whyNot: selected ? undefined : whyNot(view.query, event)
        }
      })
  ).pipe(Result.mapError((reason) => new Fault(`the query of ${view.name} is refused: ${reason.message}`)))

/** The state after the events that the view sees. */
export const fold = (view: View.Any, given: ReadonlyArray<Given>): Result.Result<unknown, Fault> => {
  const parts = view.parts.map((part) => ({ ...part, matcher: part.matcher, cases: guarded(part) }))
  const selected = given.filter((event) => event.selected)
  return Result.try({
    try: () => View.fold({ ...view, parts } as unknown as View.Any, selected),
    catch: (cause) =>
      cause instanceof Fault ? cause : new Fault(`folding ${view.name} threw ${String(cause)}`, [], cause)
  }).pipe(Result.flatMap(Result.mapError((error) => new Fault(error.message, [], error))))
}

const guarded = (part: View.ViewPart): View.ViewPart["cases"] =>
  new Map(
    Array.from(part.cases, ([eventType, evolve]) => {
      const what = `${part.name}.evolve.${eventType}`
      return [
        eventType,
        (state, payload) =>
          Result.getOrThrow(callPure(what, { state, payload }, (input) => evolve(input.state, input.payload)))
      ]
    })
  )

/** Why no filter matches: of each filter the first constraint that does not hold, of the filters that come closest. */
export const whyNot = (query: EventQuery.EventQuery, event: Recorded): string => {
  const reasons = (query.filters ?? []).map((filter) => whyNotOf(filter, event))
  const closest = Math.max(...reasons.map((reason) => reason.closeness))
  const texts = reasons.filter((reason) => reason.closeness === closest).map((reason) => reason.text)
  return texts.length === 0 ? "the query matches no event" : [...new Set(texts)].join("; ")
}

const whyNotOf = ({ eventTypes, payloadPredicates = [], tags = [] }: EventQuery.EventFilter, event: Recorded) => {
  if (eventTypes !== undefined && !EventQuery.matches(EventQuery.ofTypes(...eventTypes), event)) {
    return { closeness: 0, text: "its type is not asked for" }
  }
  const missing = tags.filter((tag) => !event.tags.includes(tag))
  if (missing.length > 0) return { closeness: 1, text: `it has no tag ${missing.join(", ")}` }
  const texts = payloadPredicates.map((predicate) => differences(predicate, event).join(", "))
  return { closeness: 2, text: texts.join("; ") || "the query asks for no payload at all" }
}

const differences = (predicate: JsonValue, event: Recorded): ReadonlyArray<string> => {
  const { payload } = event
  if (!isJsonObject(predicate) || !isJsonObject(payload)) {
    return [`its payload does not contain ${printLine(predicate)}`]
  }
  return Object.entries(predicate)
    .filter(([key, wanted]) => !EventQuery.matches(EventQuery.withPayload({ [key]: wanted }), event))
    .map(([key, wanted]) =>
      Object.hasOwn(payload, key)
        ? `its ${key} is ${printLine(payload[key])}, not ${printLine(wanted)}`
        : `it has no ${key}`
    )
}

const isJsonObject = (value: JsonValue): value is { readonly [key: string]: JsonValue } =>
  typeof value === "object" && value !== null && !Array.isArray(value)
