/**
 * The fold of a view: every part evolves by the records that its own query matches. A record is matched per part and
 * decoded once per catalog. A part's query is checked and compiled when it is first needed, once.
 */
import * as Result from "effect/Result"
import * as EventQuery from "../../stores/EventQuery.ts"
import type { EventRecord } from "../../stores/Event.ts"
import type { Any, AnyEvent, Decodable, DecodeError } from "../EventCatalog.ts"

/** What of a record a fold looks at. */
export type Foldable = Decodable & Pick<EventRecord, "tags">

/** How a part evolves: by event type, total over what its catalog decodes. */
export type Cases = ReadonlyMap<string, (state: unknown, payload: unknown) => unknown>

/** A view that is not composed of others, bound to its query. */
export class ViewPart {
  readonly definition: number
  readonly name: string
  readonly events: Any
  readonly query: EventQuery.EventQuery
  readonly cases: Cases
  #matcher: EventQuery.Matcher | undefined
  #canonical: string | undefined

  constructor(definition: number, name: string, events: Any, query: EventQuery.EventQuery, cases: Cases) {
    this.definition = definition
    this.name = name
    this.events = events
    this.query = query
    this.cases = cases
  }

  /** Throws the typed error of a query that is refused, when it is applied. */
  get matcher(): EventQuery.Matcher {
    return (this.#matcher ??= Result.getOrElse(
      EventQuery.matcher(this.query),
      () => (event: EventQuery.Matchable) => EventQuery.matches(this.query, event)
    ))
  }

  /** Throws the typed error of a query that is refused. */
  get canonical(): string {
    return (this.#canonical ??= EventQuery.canonical(this.query))
  }
}

/** Evolves `states`, one per part, in place. Stops at the first record that a part cannot read. */
export const foldParts = (
  parts: ReadonlyArray<ViewPart>,
  states: Array<unknown>,
  records: ReadonlyArray<Foldable>
): Result.Result<void, DecodeError> => {
  const decoded = new Map<Any, AnyEvent>()
  for (const record of records) {
    decoded.clear()
    for (let index = 0; index < parts.length; index++) {
      const part = parts[index]!
      if (!part.matcher(record)) continue
      let event = decoded.get(part.events)
      if (event === undefined) {
        const result = part.events.decode(record)
        if (Result.isFailure(result)) return Result.fail(result.failure)
        event = result.success
        decoded.set(part.events, event)
      }
      const evolve = part.cases.get(event.eventType)
      if (evolve !== undefined) states[index] = evolve(states[index], event.payload)
    }
  }
  return Result.void
}
