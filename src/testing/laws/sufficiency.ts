/**
 * Sufficiency: is the declared query enough? Three questions, each answered with the smallest history.
 *
 * Does a history that can come about break an invariant over the whole log, or contradict an oracle, and which event that was
 * not read would have changed that? Do two such commands not see each other, because what is emitted is not read? Has the view
 * a case for events that its query can never select?
 */
import * as Result from "effect/Result"
import type * as Decider from "../../decider/Decider.ts"
import type { Decided, Logged } from "../arbitrary/decide.ts"
import { decide, viewOf } from "../arbitrary/decide.ts"
import type { Commands, EventIn, History, Step } from "../arbitrary/History.ts"
import type { Diagnosis, Wrong } from "./diagnosis.ts"
import { decideAlsoReading, diagnose, diagnosis, unreadBy } from "./diagnosis.ts"
import type { Invariants, Judge, Oracle } from "./judge.ts"
import { brokenBy, firstOf, ofInvariants, ofOracle } from "./judge.ts"
import { neverSelected } from "./neverSelected.ts"
import type { Examine, HistoryOptions, Search } from "./search.ts"
import { searchHistories } from "./search.ts"
import * as tell from "./tellSufficiency.ts"
import type { Found, Verdict } from "./Verdict.ts"
import { count, verdictOf } from "./Verdict.ts"

/** What `sufficiency` takes. */
export interface Options<D extends Decider.Any, C extends ReadonlyArray<Commands>> extends HistoryOptions {
  /** Whose query is judged. */
  readonly decider: D
  /** The deciders of the application, with their commands: all that can put events into the log. */
  readonly commands: C
  /** What holds for the whole log after every command. */
  readonly invariants?: Invariants<EventIn<C>>
  /** Decides over the whole log, as plainly as possible. */
  readonly oracle?: Oracle<Decider.CommandOf<D>, Decider.EventOf<D>, EventIn<C>>
}

/** Judges the query of a decider. */
export const sufficiency = <D extends Decider.Any, const C extends ReadonlyArray<Commands>>(
  options: Options<D, C>
): Verdict => {
  const { commands, decider, invariants = {}, oracle } = options
  requireListed(decider, commands)
  const judge = firstOf([...(oracle === undefined ? [] : [ofOracle(decider, oracle)]), ofInvariants(invariants)])
  const seen: Seen = { decisions: 0, accepted: 0, neverRead: new Map() }
  const questions: ReadonlyArray<Examine<History, Telling>> = [
    (history) => wrongIn(history, decider, invariants, judge, seen),
    (history) => unseenIn(history, decider, judge),
    (history) => unreachableIn(history, decider)
  ]
  const {
    found: any,
    runs,
    seed
  } = searchHistories(commands, { ...options, endAtFirst: true }, (history) => {
    for (const question of questions) {
      const found = question(history)
      if (found !== undefined) return found
    }
    return undefined
  })
  // Each question has an answer, and a smallest history, of its own.
  const again = { ...options, seed }
  const found = any === undefined ? [] : questions.flatMap((it) => foundIn(searchHistories(commands, again, it)))
  const vacuous = found.length === 0 && seen.accepted === 0 ? [tell.neverAccepted(decider, seen.decisions)] : []
  return verdictOf(
    { law: "sufficiency", subject: decider.name, runs, seed },
    [...found, ...vacuous],
    found.length > 0 ? [] : [...tell.unasked(options), ...tell.unread(decider, seen.neverRead)],
    `${count(runs)} histories, ${count(seen.decisions)} decisions`
  )
}

/** Says what is wrong with a case; asked for the smallest only. */
export interface Telling {
  (): Found
}

/** What was met on the way. */
interface Seen {
  decisions: number
  accepted: number
  /** By event type that the decider emits: whether its own query selected none so far. */
  readonly neverRead: Map<string, boolean>
}

/** A law over a decider that the histories do not dispatch to would hold for nothing. */
export const requireListed = (decider: Decider.Any, commands: ReadonlyArray<Commands>): void => {
  if (commands.some((it) => it.decider === decider)) return
  throw new Error(`commands does not list ${decider.name}: the law would have nothing to look at`)
}

const wrongIn = (
  { log, steps }: History,
  decider: Decider.Any,
  invariants: Invariants<any>,
  judge: Judge,
  seen: Seen
): Telling | undefined => {
  for (const [index, step] of steps.entries()) {
    const before = log.slice(0, step.position)
    if (step.decider === decider) {
      if (Result.isFailure(step.outcome)) {
        const { failure } = step.outcome
        return () => tell.failed(decider, steps.slice(0, index + 1), failure)
      }
      const decided = step.outcome.success
      note(seen, step, decided)
      const refused = judge(before, step.command, decided)
      if (refused !== undefined) {
        return () => {
          const wrong = wrongOf(step, before, decided, earlierOf(steps, step))
          return tell.wrong(wrong, steps.slice(0, index + 1), refused, diagnose(wrong, judge))
        }
      }
    } else if (Result.isSuccess(step.outcome)) {
      // Broken by somebody else: what follows says nothing about this decider.
      if (brokenBy(invariants, [...before, ...step.outcome.success.emitted]) !== undefined) return undefined
    }
  }
  return undefined
}

const unseenIn = ({ log, steps }: History, decider: Decider.Any, judge: Judge): Telling | undefined => {
  for (const [index, step] of steps.entries()) {
    if (step.decider !== decider || Result.isFailure(step.outcome) || step.outcome.success.emitted.length === 0)
      continue
    const { emitted } = step.outcome.success
    const after = log.slice(0, step.position + emitted.length)
    const again = decide(decider, step.command, after)
    if (Result.isFailure(again)) continue
    const wrong = wrongOf(step, after, again.success, [])
    const ignored = ignoredBy(wrong, emitted)
    if (ignored !== undefined) {
      return () => tell.unseen(wrong, steps.slice(0, index + 1), ignored, judge(after, step.command, again.success))
    }
  }
  return undefined
}

/** What the same command would have decided, had a part read what the first one emitted; where that is something else. */
const ignoredBy = (wrong: Wrong, emitted: ReadonlyArray<Logged>): Diagnosis | undefined => {
  for (const [index, part] of wrong.view.parts.entries()) {
    const unread = unreadBy(part, emitted, true)
    if (unread.length === 0) continue
    const instead = decideAlsoReading(wrong, index, unread)
    if (instead !== undefined) return diagnosis(wrong, part, unread, instead)
  }
  return undefined
}

const unreachableIn = ({ log, steps }: History, decider: Decider.Any): Telling | undefined => {
  for (const [index, step] of steps.entries()) {
    if (step.decider !== decider) continue
    const view = viewOf(decider, step.command)
    if (Result.isFailure(view)) continue
    const [never] = neverSelected(view.success)
    if (never === undefined) continue
    return () => tell.unreachable(decider, view.success, never, steps.slice(0, index + 1), log.slice(0, step.position))
  }
  return undefined
}

const wrongOf = (
  { command, decider }: Step,
  log: ReadonlyArray<Logged>,
  decided: Decided,
  earlier: ReadonlyArray<Step>
): Wrong => ({ decider, command, view: Result.getOrThrow(viewOf(decider, command)), log, decided, earlier })

/** What the same decider decided before. */
export const earlierOf = (steps: ReadonlyArray<Step>, step: Step): ReadonlyArray<Step> =>
  steps.slice(0, steps.indexOf(step)).filter(({ decider }) => decider === step.decider)

const note = (seen: Seen, { command, decider }: Step, { emitted }: Decided): void => {
  seen.decisions++
  if (emitted.length === 0) return
  seen.accepted++
  const view = Result.getOrThrow(viewOf(decider, command))
  for (const event of emitted) {
    const read = view.parts.some((part) => part.matcher(event))
    seen.neverRead.set(event.eventType, !read && (seen.neverRead.get(event.eventType) ?? true))
  }
}

/** What was found, with the number of its case. */
export const foundIn = ({ found, runs }: Search<History, Telling>): ReadonlyArray<Found> =>
  found === undefined ? [] : [{ ...found.wrong(), runs }]
