/** The parts that the texts of verdicts are made of: histories, contexts, decisions, in the words of specs. */
import * as Result from "effect/Result"
import type * as Decider from "../../decider/Decider.ts"
import type * as View from "../../decider/View.ts"
import type { Decided, Step } from "../arbitrary/History.ts"
import type { Fault } from "../spec/callPure.ts"
import type { Recorded } from "../spec/givenEvents.ts"
import { printEventLine, printLine } from "../spec/printValue.ts"
import { describePart } from "../spec/SpecFailure.ts"

/** A title with its lines below, after an empty line. Nothing where there are no lines. */
export const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [] : ["", title, ...lines.map((line) => `  ${line}`)]

/** Each command with what it led to. */
export const describeSteps = (steps: ReadonlyArray<Step>): ReadonlyArray<string> =>
  steps.flatMap(({ command, decider, outcome }) => [
    describeCommand(decider, command),
    ...describeOutcome(outcome).map((line) => `  ${line}`)
  ])

/** A command on one line. */
export const describeCommand = (decider: Decider.Any, command: unknown): string =>
  `${decider.name} ${printLine(command)}`

/** What a command led to, a line each. */
export const describeOutcome = (outcome: Result.Result<Decided, Fault>): ReadonlyArray<string> =>
  Result.isFailure(outcome) ? [`failed: ${outcome.failure.message}`] : describeDecided(outcome.success)

/** A decision, a line for each event. */
export const describeDecided = ({ decision, emitted }: Decided): ReadonlyArray<string> =>
  decision._tag === "Reject"
    ? [`rejected with ${printLine(decision.rejection)}`]
    : emitted.length === 0
      ? ["nothing"]
      : emitted.map(describeEvent)

/** A recorded event on one line. */
export const describeEvent = (event: Recorded): string => `${event.sequenceNumber} ${printEventLine(event)}`

/** The queries of a view. */
export const describeContext = (view: View.Any): ReadonlyArray<string> =>
  view.parts.length === 0 ? ["no event at all"] : view.parts.flatMap(describePart)

/** `1, 2 and 3`. */
export const enumerate = (texts: ReadonlyArray<string>): string =>
  texts.length < 2 ? texts.join("") : `${texts.slice(0, -1).join(", ")} and ${texts.at(-1)}`
