/**
 * The decide step of dispatch, pure and in memory: select from a log, fold, decide, encode. What a part of the view reads can be
 * changed, to find out what a decision would have been. What must not happen (a change in place, a throw, a promise) is a
 * `Fault`.
 */
import * as Result from "effect/Result"
import type * as Decider from "../../decider/Decider.ts"
import type * as EventCatalog from "../../decider/EventCatalog.ts"
import * as View from "../../decider/View.ts"
import * as EventQuery from "../../stores/EventQuery.ts"
import type { Recorded } from "../spec/givenEvents.ts"
import { record } from "../spec/givenEvents.ts"
import { callPure, Fault } from "../spec/callPure.ts"
import { printLine } from "../spec/printValue.ts"

/** An event of a log: as it is recorded, and as it is read. */
export interface Logged extends Recorded {
  readonly event: EventCatalog.AnyEvent
}

/** A decision, and what it would be recorded as. */
export interface Decided {
  readonly decision: Decider.Decision<EventCatalog.AnyEvent, unknown>
  /** Numbered on from the log; empty where it is rejected or there is nothing to do. */
  readonly emitted: ReadonlyArray<Logged>
}

/** Whether a part of a view, by its index in `view.parts`, reads an event. */
export interface Reading {
  (part: View.ViewPart, index: number, event: Recorded): boolean
}

/** Each part reads what its query matches. */
export const asDeclared: Reading = (part, _index, event) => part.matcher(event)

/** The view of a command. */
export const viewOf = (decider: Decider.Any, command: unknown): Result.Result<View.Any, Fault> =>
  Result.flatMap(
    callPure("view", { command }, (input): View.Any => decider.view(input.command)),
    (view) =>
      Result.mapError(
        EventQuery.matcher(view.query),
        (reason) => new Fault(`the query of ${view.name} is refused: ${reason.message}`, [], reason)
      ).pipe(Result.map(() => view))
  )

/** The state of the view after the log. */
export const foldReading = (
  view: View.Any,
  log: ReadonlyArray<Recorded>,
  reading: Reading = asDeclared
): Result.Result<unknown, Fault> => {
  const parts = view.parts.map((part, index) => ({
    ...part,
    events: remembering(part.events),
    matcher: (event: Recorded) => reading(part, index, event),
    cases: guarded(part)
  }))
  const folding = Result.try({
    try: () => View.fold({ ...view, parts } as unknown as View.Any, log),
    catch: (cause) =>
      cause instanceof Fault ? cause : new Fault(`folding ${view.name} threw ${String(cause)}`, [], cause)
  })
  return Result.flatMap(
    folding,
    Result.mapError((error) => new Fault(error.message, [], error))
  )
}

/** The decision on a state. */
export const decideOnState = (
  decider: Decider.Any,
  command: unknown,
  state: unknown,
  log: ReadonlyArray<Logged>
): Result.Result<Decided, Fault> =>
  Result.flatMap(
    callPure("decide", { command, state }, (input): unknown => decider.decide(input.command, input.state)),
    (decision): Result.Result<Decided, Fault> => {
      if (!isDecision(decision)) return Result.fail(new Fault(`decide returned no decision but ${printLine(decision)}`))
      if (decision._tag === "Reject") return Result.succeed({ decision, emitted: [] })
      return Result.map(toLogged(decider, decision.events, log.length), (emitted) => ({ decision, emitted }))
    }
  )

/** The decision on a command after a log. */
export const decide = (
  decider: Decider.Any,
  command: unknown,
  log: ReadonlyArray<Logged>,
  reading: Reading = asDeclared
): Result.Result<Decided, Fault> =>
  Result.flatMap(viewOf(decider, command), (view) =>
    Result.flatMap(foldReading(view, log, reading), (state) => decideOnState(decider, command, state, log))
  )

/** The same text for decisions that are the same. */
export const textOf = ({ decision, emitted }: Decided): string =>
  decision._tag === "Reject"
    ? `rejected with ${printLine(decision.rejection)}`
    : printLine(emitted.map(({ eventType, payload, schemaVersion, tags }) => [eventType, payload, schemaVersion, tags]))

const toLogged = (
  decider: Decider.Any,
  events: ReadonlyArray<EventCatalog.AnyEvent>,
  after: number
): Result.Result<ReadonlyArray<Logged>, Fault> =>
  Result.flatMap(record([decider.events], events, "emitted"), (recorded) =>
    Result.all(
      recorded.map((it, index) => {
        const numbered = { ...it, sequenceNumber: after + index + 1 }
        return Result.map(decider.events.decode(numbered), (event): Logged => ({ ...numbered, event }))
      })
    ).pipe(Result.mapError((error) => new Fault(`what was emitted cannot be read back: ${error.message}`, [], error)))
  )

const remembered = new WeakMap<EventCatalog.Any, EventCatalog.Any>()

/** The catalog, decoding a record once: a history is folded from the start for every command. */
const remembering = (catalog: EventCatalog.Any): EventCatalog.Any => {
  const known = remembered.get(catalog)
  if (known !== undefined) return known
  const decoded = new WeakMap<EventCatalog.Decodable, ReturnType<EventCatalog.Any["decode"]>>()
  const decode: EventCatalog.Any["decode"] = (record) => {
    const result = decoded.get(record) ?? catalog.decode(record)
    decoded.set(record, result)
    return result
  }
  const { definitions, encode, eventTypes } = catalog
  remembered.set(catalog, { definitions, encode, eventTypes, decode })
  return remembered.get(catalog)!
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

const isDecision = (value: unknown): value is Decided["decision"] => {
  if (typeof value !== "object" || value === null || !("_tag" in value)) return false
  return value._tag === "Accept" ? "events" in value && Array.isArray(value.events) : value._tag === "Reject"
}
