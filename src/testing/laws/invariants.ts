/** Invariants: what the user says about the whole log holds after every command of every history. */
import * as Result from "effect/Result"
import { viewOf } from "../arbitrary/decide.ts"
import type { Commands, EventIn, History } from "../arbitrary/History.ts"
import { diagnose } from "./diagnosis.ts"
import type { Invariants } from "./judge.ts"
import { ofInvariants } from "./judge.ts"
import type { HistoryOptions } from "./search.ts"
import { searchHistories } from "./search.ts"
import type { Telling } from "./sufficiency.ts"
import { earlierOf, foundIn } from "./sufficiency.ts"
import * as tell from "./tellSufficiency.ts"
import { enumerate } from "./telling.ts"
import type { Found, Verdict } from "./Verdict.ts"
import { count, verdictOf } from "./Verdict.ts"

/** What `invariants` takes. */
export interface Options<C extends ReadonlyArray<Commands>> extends HistoryOptions {
  /** The deciders of the application, with their commands. */
  readonly commands: C
  /** What holds for the log after every command. What one command emits is recorded at once, so not in between. */
  readonly invariants: Invariants<EventIn<C>>
}

/** Judges an application by what must hold for its log. Says which decider broke it, and what that decider did not read. */
export const invariants = <const C extends ReadonlyArray<Commands>>(options: Options<C>): Verdict => {
  const { commands } = options
  const names = Object.keys(options.invariants)
  if (names.length === 0) throw new Error("invariants are missing: the law would have nothing to look at")
  let commits = 0
  const searched = searchHistories(commands, options, (history) => {
    const broken = brokenIn(history, options.invariants)
    commits += broken === undefined ? history.steps.filter(emits).length : 0
    return broken
  })
  const vacuous: Found = {
    problem: "no command was accepted in any history: this says nothing about the invariants",
    lines: []
  }
  return verdictOf(
    { law: "invariants", subject: enumerate(names), runs: searched.runs, seed: searched.seed },
    searched.found === undefined && commits === 0 ? [vacuous] : foundIn(searched),
    [],
    `${count(searched.runs)} histories, ${count(commits)} appends`
  )
}

const brokenIn = ({ log, steps }: History, invariants: Invariants<any>): Telling | undefined => {
  const judge = ofInvariants(invariants)
  for (const [index, step] of steps.entries()) {
    const { command, decider, outcome, position } = step
    const until = steps.slice(0, index + 1)
    if (Result.isFailure(outcome)) return () => tell.failed(decider, until, outcome.failure)
    const before = log.slice(0, position)
    const refused = judge(before, command, outcome.success)
    if (refused === undefined) continue
    const view = Result.getOrThrow(viewOf(decider, command))
    const wrong = { decider, command, view, log: before, decided: outcome.success, earlier: earlierOf(steps, step) }
    return () => tell.wrong(wrong, until, refused, diagnose(wrong, judge))
  }
  return undefined
}

const emits = ({ outcome }: History["steps"][number]): boolean =>
  Result.isSuccess(outcome) && outcome.success.emitted.length > 0
