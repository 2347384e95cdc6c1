/**
 * Tightness: does every part of the query change a decision now and then? What a query selects without need makes commands
 * wait for each other and decide again. Each decision of the generated histories is made once more without each part.
 */
import * as Result from "effect/Result"
import type * as Decider from "../../decider/Decider.ts"
import type { Decided, Logged } from "../arbitrary/decide.ts"
import { asDeclared, decideOnState, foldReading, textOf, viewOf } from "../arbitrary/decide.ts"
import type { Commands, History, Step } from "../arbitrary/History.ts"
import type { QueryPart } from "./queryParts.ts"
import { queryPartsOf } from "./queryParts.ts"
import type { HistoryOptions } from "./search.ts"
import { searchHistories } from "./search.ts"
import { requireListed } from "./sufficiency.ts"
import * as tell from "./tellSufficiency.ts"
import { describeContext, describeEvent, describeSteps, section } from "./telling.ts"
import type { Found, Verdict } from "./Verdict.ts"
import { count, verdictOf } from "./Verdict.ts"

/** What `tightness` takes. */
export interface Options extends HistoryOptions {
  /** Whose query is judged. */
  readonly decider: Decider.Any
  /** The deciders of the application, with their commands. */
  readonly commands: ReadonlyArray<Commands>
}

/** How often a part of the query mattered. */
export interface PartUse {
  /** `Seats: the type TicketRefunded`. */
  readonly part: string
  /**
   * An alternative lets events in, which can be a needless conflict. A condition keeps events out; one that never matters is no
   * conflict, and is not held against the query.
   */
  readonly kind: QueryPart["kind"]
  /** In how many decisions events came in, or were kept out, by this part alone. */
  readonly selected: number
  /** How many decisions would have been others without it. */
  readonly mattered: number
}

/** The verdict, with the numbers for every part. */
export interface TightnessVerdict extends Verdict {
  readonly parts: ReadonlyArray<PartUse>
}

/** Judges whether the query of a decider asks for more than its decisions need. */
export const tightness = (options: Options): TightnessVerdict => {
  const { commands, decider } = options
  requireListed(decider, commands)
  const uses = new Map<string, Use>()
  let decisions = 0
  const searched = searchHistories(commands, options, (history) => {
    for (const made of decisionsOf(history, decider)) {
      decisions++
      for (const part of queryPartsOf(made.view)) countUse(uses, made, part)
    }
    return undefined
  })
  const { runs, seed } = searched
  const parts = [...uses.entries()].map(([part, { kind, mattered, selected }]) => ({ part, kind, selected, mattered }))
  const idle = parts.filter(({ kind, mattered, selected }) => {
    return kind === "alternative" && mattered === 0 && (selected === 0 || selected >= enough)
  })
  const rare = parts.filter(({ kind, mattered, selected }) => {
    return kind === "alternative" && mattered === 0 && selected > 0 && selected < enough
  })
  const found = idle.map((use) => tellIdle(use, decisions, smallestSelecting(use, { ...options, seed })))
  const verdict = verdictOf(
    { law: "tightness", subject: decider.name, runs, seed },
    decisions === 0 ? [tell.neverDecided(decider)] : found,
    rare.map(
      ({ part, selected }) => `${part} was read in ${selected} decisions only, and mattered in none: more runs tell`
    ),
    `${count(runs)} histories, ${count(decisions)} decisions`
  )
  const table = section("how often each part of the query mattered", parts.map(describeUse))
  return { ...verdict, parts, explanation: [verdict.explanation, ...table].join("\n") }
}

/** Of decisions that read events because of a part; with fewer it is chance that it mattered in none. */
const enough = 100

interface Use {
  readonly kind: QueryPart["kind"]
  selected: number
  mattered: number
}

/** A decision, and what it was made from. */
interface Made {
  readonly step: Step
  readonly view: ReturnType<typeof viewOf> extends Result.Result<infer V, unknown> ? V : never
  readonly log: ReadonlyArray<Logged>
  readonly decided: Decided
}

const decisionsOf = ({ log, steps }: History, decider: Decider.Any): ReadonlyArray<Made> =>
  steps.flatMap((step) => {
    if (step.decider !== decider || Result.isFailure(step.outcome)) return []
    const view = viewOf(decider, step.command)
    if (Result.isFailure(view)) return []
    return [{ step, view: view.success, log: log.slice(0, step.position), decided: step.outcome.success }]
  })

const countUse = (uses: Map<string, Use>, made: Made, part: QueryPart): void => {
  const use = uses.get(part.name) ?? { kind: part.kind, selected: 0, mattered: 0 }
  uses.set(part.name, use)
  if (differing(made, part).length === 0) return
  use.selected++
  if (!decidesAlike(made, part)) use.mattered++
}

/** The events that the view's part reads because of this part of its query, or does not read because of it. */
const differing = ({ log, view }: Made, { index, matcher }: QueryPart): ReadonlyArray<Logged> =>
  log.filter((event) => view.parts[index]!.matcher(event) !== matcher(event))

const decidesAlike = ({ decided, log, step, view }: Made, { index, matcher }: QueryPart): boolean => {
  const state = foldReading(view, log, (part, at, event) =>
    at === index ? matcher(event) : asDeclared(part, at, event)
  )
  const without = Result.flatMap(state, (it) => decideOnState(step.decider, step.command, it, log))
  return Result.isSuccess(without) && textOf(without.success) === textOf(decided)
}

/** The smallest history in which the part lets an event in: where a command would be decided again for nothing. */
const smallestSelecting = ({ part, selected }: PartUse, options: Options): Selecting | undefined => {
  if (selected === 0) return undefined
  const searched = searchHistories(options.commands, options, (history): Selecting | undefined => {
    for (const made of decisionsOf(history, options.decider)) {
      const it = queryPartsOf(made.view).find(({ name }) => name === part)
      const events = it === undefined ? [] : differing(made, it)
      if (events.length > 0)
        return { made, events, steps: history.steps.slice(0, history.steps.indexOf(made.step) + 1) }
    }
    return undefined
  })
  return searched.found?.wrong
}

interface Selecting {
  readonly made: Made
  readonly events: ReadonlyArray<Logged>
  readonly steps: ReadonlyArray<Step>
}

const tellIdle = ({ part, selected }: PartUse, decisions: number, selecting: Selecting | undefined): Found => {
  if (selecting === undefined) {
    return {
      problem: `${part} never selected an event, in ${count(decisions)} decisions`,
      lines: section("what to do", ["leave it out; or list the decider that emits such events"])
    }
  }
  const { events, made, steps } = selecting
  return {
    problem: `${part} never mattered, in ${count(selected)} decisions that read events because of it`,
    counterExample: tell.counterExampleOf(steps, made.log),
    lines: [
      ...section("history", describeSteps(steps)),
      ...section("context of the last command", describeContext(made.view)),
      ...section("read without need", events.map(describeEvent)),
      ...section("what to do", [
        "leave it out: whoever appends such an event makes this command be decided again for nothing"
      ])
    ]
  }
}

const describeUse = ({ kind, mattered, part, selected }: PartUse): string =>
  kind === "alternative"
    ? `${part}: in ${count(mattered)} of ${count(selected)} decisions that read events because of it`
    : `${part}: in ${count(mattered)} of ${count(selected)} decisions that left events out because of it`
