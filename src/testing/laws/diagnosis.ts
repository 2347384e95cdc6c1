/**
 * Why a wrong decision was made: which event that the query left out would have changed it. Two tries tell: letting a view
 * read more than its query matches, and leaving events out of what the decision is judged by. One event is tried first, then
 * all of a type, then all.
 */
import * as Result from "effect/Result"
import type * as Decider from "../../decider/Decider.ts"
import type * as View from "../../decider/View.ts"
import type { Decided, Logged } from "../arbitrary/decide.ts"
import { asDeclared, decide, textOf, viewOf } from "../arbitrary/decide.ts"
import type { Step } from "../arbitrary/History.ts"
import { whyNot } from "../spec/givenEvents.ts"
import type { Judge } from "./judge.ts"
import { sharedKeys, suggest } from "./suggestion.ts"
import type { Missing } from "./Verdict.ts"

/** The wrong decision. */
export interface Wrong {
  readonly decider: Decider.Any
  readonly command: unknown
  readonly view: View.Any
  /** Everything that was recorded before it. */
  readonly log: ReadonlyArray<Logged>
  readonly decided: Decided
  /** What the same decider decided before, in the same history. */
  readonly earlier: ReadonlyArray<Step>
}

/** What a part of the view should have read. */
export interface Diagnosis {
  readonly part: View.ViewPart
  readonly unread: ReadonlyArray<Logged>
  readonly whyNot: string
  readonly missing: Missing
  /** What had been decided then; `undefined` where the view has no case for the event, so that reading changes nothing. */
  readonly instead: Decided | undefined
}

/** `undefined` where no event that was left out explains the decision: then it is not the query that is wrong. */
export const diagnose = (wrong: Wrong, judge: Judge): Diagnosis | undefined => {
  const suspects = (["one", "type", "all"] as const).flatMap((size) => suspectsOf(wrong, size))
  // The surest comes first: reading would have put it right, and without the events nothing would be wrong.
  for (const suspect of suspects) {
    if (!isRelevant(wrong, judge, suspect)) continue
    const instead = byReading(wrong, judge, suspect)
    if (instead !== undefined) return diagnosis(wrong, suspect.part, suspect.events, instead)
  }
  // Then an event that the part has no case for: reading alone would change nothing.
  const untaken = suspects.filter(({ events, isRead, part }) => !isRead && !part.cases.has(events[0]!.eventType))
  const known = untaken.filter(({ events, part }) => Object.hasOwn(part.events.definitions, events[0]!.eventType))
  for (const suspect of known) {
    if (isRelevant(wrong, judge, suspect)) return diagnosis(wrong, suspect.part, suspect.events, undefined)
  }
  for (const suspect of suspects) {
    if (suspect.events.length > 1 || sharedKeys(suspect.events[0]!, wrong.command).length === 0) continue
    const instead = byReading(wrong, judge, suspect)
    if (instead !== undefined) return diagnosis(wrong, suspect.part, suspect.events, instead)
  }
  for (const suspect of untaken) {
    if (isRelevant(wrong, judge, suspect)) return diagnosis(wrong, suspect.part, suspect.events, undefined)
  }
  return undefined
}

/** Events that a part of the view did not read. */
interface Suspect {
  readonly index: number
  readonly part: View.ViewPart
  readonly events: ReadonlyArray<Logged>
  /** Whether another part has read one of them. */
  readonly isRead: boolean
}

const suspectsOf = ({ log, view }: Wrong, size: "one" | "type" | "all"): ReadonlyArray<Suspect> =>
  view.parts.flatMap((part, index) =>
    groups(unreadBy(part, log, false), size).map((events) => ({
      index,
      part,
      events,
      isRead: events.some((event) => view.parts.some((it) => it.matcher(event)))
    }))
  )

/** What had been decided, had the part read the events; where that is right, and has not made wrong what was right before. */
const byReading = (wrong: Wrong, judge: Judge, suspect: Suspect): Decided | undefined => {
  const { events, index, part } = suspect
  if (!events.some((event) => part.cases.has(event.eventType))) return undefined
  const instead = decideAlsoReading(wrong, index, events)
  if (instead === undefined || judge(wrong.log, wrong.command, instead) !== undefined) return undefined
  return isHarmless(wrong, suspect) ? instead : undefined
}

/**
 * Whether the earlier decisions stay the same when the part reads such events for them, too: of the same types, and with the
 * same fields in common with the command. A query that decides them otherwise is not the one that is missing.
 */
const isHarmless = ({ command: last, earlier, log }: Wrong, { events, index }: Suspect): boolean => {
  const keys = sharedKeys(events[0]!, last)
  const types = new Set(events.map(({ eventType }) => eventType))
  return earlier.every(({ command, decider, outcome, position }) => {
    const view = viewOf(decider, command)
    if (Result.isFailure(outcome) || Result.isFailure(view)) return true
    const before = log.slice(0, position)
    const wrong = { command, decider, decided: outcome.success, log: before, view: view.success, earlier: [] }
    const such = before.filter((event) => {
      const shared = types.has(event.eventType) ? sharedKeys(event, command) : []
      return types.has(event.eventType) && keys.every((key) => shared.includes(key))
    })
    return decideAlsoReading(wrong, index, such) === undefined
  })
}

/** Whether nothing would be wrong without the events. */
const isRelevant = ({ command, decided, log }: Wrong, judge: Judge, { events }: Suspect): boolean =>
  judge(
    log.filter((event) => !events.includes(event)),
    command,
    decided
  ) === undefined

/** Another decision, made with a part of the view reading these events as well. */
export const decideAlsoReading = (
  { command, decided, decider, log, view }: Wrong,
  index: number,
  events: ReadonlyArray<Logged>
): Decided | undefined => {
  const more = new Set<unknown>(events.filter(({ eventType }) => view.parts[index]!.cases.has(eventType)))
  const read = decide(
    decider,
    command,
    log,
    (part, at, event) => asDeclared(part, at, event) || (at === index && more.has(event))
  )
  return Result.isSuccess(read) && textOf(read.success) !== textOf(decided) ? read.success : undefined
}

/** What a part does not read of a log, of the types that it has a case for. */
export const unreadBy = (part: View.ViewPart, log: ReadonlyArray<Logged>, withCase: boolean): ReadonlyArray<Logged> =>
  log.filter((event) => !part.matcher(event) && (!withCase || part.cases.has(event.eventType)))

/** Makes the diagnosis of events that a part did not read. */
export const diagnosis = (
  { command }: Pick<Wrong, "command">,
  part: View.ViewPart,
  unread: ReadonlyArray<Logged>,
  instead: Decided | undefined
): Diagnosis => {
  const event = unread[0]!
  const { by, suggestion } = suggest(part.query, event, command)
  return {
    part,
    unread,
    whyNot: whyNot(part.query, event),
    missing: { view: part.name, event, by, suggestion },
    instead
  }
}

const groups = (events: ReadonlyArray<Logged>, size: "one" | "type" | "all"): ReadonlyArray<ReadonlyArray<Logged>> => {
  if (size === "one") return events.map((event) => [event])
  if (size === "all") return events.length === 0 ? [] : [events]
  const types = [...new Set(events.map(({ eventType }) => eventType))]
  return types.map((type) => events.filter(({ eventType }) => eventType === type))
}
