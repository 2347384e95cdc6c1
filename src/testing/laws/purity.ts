/**
 * Purity: `view`, `evolve` and `decide` give the same answer for the same input, at once, without looking at the clock or at
 * randomness, and change nothing that they get; and `evolve` takes every event that the query can select, of every version,
 * in whatever order.
 */
import * as Result from "effect/Result"
import * as fc from "fast-check"
import type * as Decider from "../../decider/Decider.ts"
import type * as EventCatalog from "../../decider/EventCatalog.ts"
import * as Arbitrary from "../arbitrary/Arbitrary.ts"
import type { Logged } from "../arbitrary/decide.ts"
import { decideOnState, foldReading, textOf, viewOf } from "../arbitrary/decide.ts"
import type { Commands, History, Step } from "../arbitrary/History.ts"
import type { Fault } from "../spec/callPure.ts"
import type { Recorded } from "../spec/givenEvents.ts"
import { record } from "../spec/givenEvents.ts"
import { printLine } from "../spec/printValue.ts"
import type { Older } from "./older.ts"
import { recordOlder, versionsOf } from "./older.ts"
import type { HistoryOptions } from "./search.ts"
import { search, searchHistories } from "./search.ts"
import type { Telling } from "./sufficiency.ts"
import { foundIn, requireListed } from "./sufficiency.ts"
import * as tell from "./tellSufficiency.ts"
import { describeCommand, describeEvent, describeOutcome, describeSteps, enumerate, section } from "./telling.ts"
import type { Found, Verdict } from "./Verdict.ts"
import { count, verdictOf } from "./Verdict.ts"
import { watching } from "./watching.ts"

/** What `purity` takes. `older` and `recorded` are events of older versions, for `evolve`. */
export interface Options extends HistoryOptions, Older {
  /** Whose functions are judged. */
  readonly decider: Decider.Any
  /** The deciders of the application, with their commands. */
  readonly commands: ReadonlyArray<Commands>
}

/** Judges the functions of a decider and of its views. */
export const purity = (options: Options): Verdict => {
  const { commands, decider } = options
  requireListed(decider, commands)
  let decisions = 0
  const searched = searchHistories(commands, options, (history) => {
    decisions += history.steps.filter((step) => step.decider === decider).length
    return impureIn(history, decider)
  })
  const again = { ...options, seed: searched.seed }
  const { cases, notes } = casesOf(options)
  const total = search(cases, again, (it) => untotalIn(it, decider))
  const partial = total.found === undefined ? [] : [{ ...total.found.wrong, runs: total.runs }]
  const found = [...foundIn(searched), ...partial]
  return verdictOf(
    { law: "purity", subject: decider.name, runs: searched.runs, seed: searched.seed },
    found.length === 0 && decisions === 0 ? [tell.neverDecided(decider)] : found,
    notes,
    `${count(searched.runs)} histories, ${count(decisions)} decisions, ${count(total.runs)} sequences of events`
  )
}

const impureIn = ({ log, steps }: History, decider: Decider.Any): Telling | undefined => {
  for (const [index, step] of steps.entries()) {
    if (step.decider !== decider) continue
    const until = steps.slice(0, index + 1)
    const { outcome } = step
    if (Result.isFailure(outcome)) return () => tell.failed(decider, until, outcome.failure)
    const impure = impureStep(step, log.slice(0, step.position))
    if (impure === undefined) continue
    return () => ({
      ...impure,
      problem: `${decider.name}: ${impure.problem}`,
      counterExample: tell.counterExampleOf(until, log.slice(0, step.position)),
      lines: [...section("history", describeSteps(until)), ...impure.lines]
    })
  }
  return undefined
}

/** Decides it once more, step by step, and compares. */
const impureStep = ({ command, decider, outcome }: Step, log: ReadonlyArray<Logged>): Found | undefined => {
  const viewing = watching(() => viewOf(decider, command))
  const view = Result.getOrThrow(Result.getOrThrow(viewing.result))
  if (viewing.used.length > 0) return looksAt("view", viewing.used)
  const folding = watching(() => foldReading(view, log))
  const state = Result.getOrThrow(folding.result)
  if (folding.used.length > 0) return looksAt("evolve", folding.used)
  const sameState = Result.flatMap(state, () => foldReading(view, log))
  if (printed(state) !== printed(sameState)) {
    return { problem: "evolve leads to another state the second time", lines: both(printed(state), printed(sameState)) }
  }
  const deciding = watching(() => Result.flatMap(state, (it) => decideOnState(decider, command, it, log)))
  if (deciding.used.length > 0) return looksAt("decide", deciding.used)
  const decided = Result.getOrThrow(deciding.result)
  if (outcomeText(outcome) !== outcomeText(decided)) {
    return {
      problem: "decide gives another decision for the same command and state the second time",
      lines: both(describeOutcome(outcome).join(", "), describeOutcome(decided).join(", "))
    }
  }
  return undefined
}

const looksAt = (what: string, used: ReadonlyArray<string>): Found => ({
  problem: `${what} uses ${enumerate(used)}: it may run again, and must come to the same`,
  lines: section("what to do", ["let the caller put the time, or a new id, into the command"])
})

const both = (first: string, second: string): ReadonlyArray<string> =>
  section("first and second time", [`- ${first}`, `+ ${second}`])

const printed = (state: Result.Result<unknown, Fault>): string =>
  Result.isSuccess(state) ? printLine(state.success) : state.failure.message

const outcomeText = (outcome: Step["outcome"]): string =>
  Result.isSuccess(outcome) ? textOf(outcome.success) : outcome.failure.message

/** A command, and events that its view may be given. */
interface Case {
  readonly command: unknown
  readonly events: ReadonlyArray<Recorded>
}

/** Events of the catalogs of the decider and its views, of all versions that there are samples of, in any order. */
const casesOf = (options: Options): { cases: fc.Arbitrary<Case>; notes: ReadonlyArray<string> } => {
  const { commands, decider } = options
  const command = commands.find((it) => it.decider === decider)!.command
  const catalogs = new Set<EventCatalog.Any>()
  for (const sample of fc.sample(command, { numRuns: 20, seed: 1 })) {
    const view = viewOf(decider, sample)
    if (Result.isSuccess(view)) for (const part of view.success.parts) catalogs.add(part.events)
  }
  const older = [...catalogs].map((catalog) => ({ catalog, ...versionsOf(catalog, options, {}) }))
  const events: ReadonlyArray<fc.Arbitrary<Recorded | undefined>> = [
    ...Array.from(catalogs, (catalog) => Arbitrary.events(catalog).map((event) => recordNew(catalog, event))),
    ...older.flatMap(({ catalog, known }) =>
      known.map((version) => version.payload.map((payload) => recordOlder(catalog, version, payload)))
    )
  ]
  const none: fc.Arbitrary<ReadonlyArray<Recorded | undefined>> = fc.constant([])
  const sequence = events.length === 0 ? none : fc.array(fc.oneof(...events), { maxLength: 8, size: "max" })
  const cases = fc.record({ command, events: sequence }).map((it) => ({
    command: it.command as unknown,
    events: it.events.flatMap((event, index) => (event === undefined ? [] : [{ ...event, sequenceNumber: index + 1 }]))
  }))
  return { cases, notes: [...new Set(older.flatMap(({ unknown }) => unknown))] }
}

/** `undefined` for an event that a store would refuse: that is for the law of codecs. */
const recordNew = (catalog: EventCatalog.Any, event: EventCatalog.AnyEvent): Recorded | undefined => {
  const recorded = record([catalog], [event], "generated")
  return Result.isSuccess(recorded) ? recorded.success[0] : undefined
}

const untotalIn = ({ command, events }: Case, decider: Decider.Any): Found | undefined => {
  const view = viewOf(decider, command)
  if (Result.isFailure(view)) return undefined
  const { result, used } = watching(() => foldReading(view.success, events))
  const state = Result.getOrThrow(result)
  const problem = Result.isFailure(state)
    ? state.failure.message
    : used.length > 0
      ? looksAt("evolve", used).problem
      : undefined
  if (problem === undefined) return undefined
  return {
    problem: `${decider.name}: ${problem}`,
    about: problem,
    counterExample: { steps: [], events },
    lines: [
      ...(Result.isFailure(state) ? state.failure.details.map((line) => `  ${line}`) : []),
      ...section("events, in this order", events.map(describeEvent)),
      ...section("for the context of", [describeCommand(decider, command)])
    ]
  }
}
