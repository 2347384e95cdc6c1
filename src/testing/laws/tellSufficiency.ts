/** The texts of sufficiency: the history, what was read and what was not, what was decided and would have been, what to add. */
import type * as Decider from "../../decider/Decider.ts"
import type * as View from "../../decider/View.ts"
import type { Logged } from "../arbitrary/decide.ts"
import type { Step } from "../arbitrary/History.ts"
import type { Fault } from "../spec/callPure.ts"
import type { Diagnosis, Wrong } from "./diagnosis.ts"
import type { NeverSelected } from "./neverSelected.ts"
import { describeContext, describeDecided, describeEvent, describeSteps, enumerate, section } from "./telling.ts"
import type { CounterExample, Found } from "./Verdict.ts"
import { count } from "./Verdict.ts"

/** A decision that the invariants or the oracle refuse. */
export const wrong = (
  it: Wrong,
  steps: ReadonlyArray<Step>,
  refused: ReadonlyArray<string>,
  diagnosed: Diagnosis | undefined
): Found => {
  const { decider, log, view } = it
  const what = diagnosed === undefined ? "decides wrongly" : "does not read enough"
  return {
    problem: `${decider.name} ${what}: ${refused.join("; ")}`,
    counterExample: counterExampleOf(steps, [...log, ...it.decided.emitted]),
    missing: diagnosed?.missing,
    about: diagnosed && aboutOf(diagnosed.part, diagnosed.missing.event.eventType),
    lines: [
      ...section("history", describeSteps(steps)),
      ...contextOf(view, log),
      ...(diagnosed === undefined
        ? section("what to do", [
            "None of the events that it did not read would have made the decision right: its view or its decide is wrong."
          ])
        : missed(diagnosed))
    ]
  }
}

/** A command that does not see what the same command has done before. */
export const unseen = (
  it: Wrong,
  steps: ReadonlyArray<Step>,
  ignored: Diagnosis,
  refused: ReadonlyArray<string> | undefined
): Found => {
  const { decided, decider, log, view } = it
  const types = [...new Set(ignored.unread.map(({ eventType }) => eventType))]
  const isReadByAnother = ignored.unread.some((event) => view.parts.some((part) => part.matcher(event)))
  const consequence = isReadByAnother
    ? `${ignored.part.name} does not read it`
    : "does not read it: two such commands do not see each other"
  return {
    problem: `${decider.name} emits ${enumerate(types)}, and ${consequence}`,
    counterExample: counterExampleOf(steps, log),
    missing: ignored.missing,
    about: aboutOf(ignored.part, ignored.missing.event.eventType),
    lines: [
      ...section("history", describeSteps(steps)),
      ...section("the same command once more", [...describeDecided(decided), ...(refused ?? [])]),
      ...contextOf(view, log),
      ...missed(ignored)
    ]
  }
}

/** A case of a view that can never run. */
export const unreachable = (
  decider: Decider.Any,
  view: View.Any,
  { because, eventType, part }: NeverSelected,
  steps: ReadonlyArray<Step>,
  log: ReadonlyArray<Logged>
): Found => {
  const whose = part.name === decider.name ? "" : `, in ${part.name}`
  return {
    problem: `${decider.name} evolves by ${eventType}, which its query never selects${whose}: ${because}`,
    counterExample: counterExampleOf(steps, log),
    about: aboutOf(part, eventType),
    lines: [
      ...section("history", describeSteps(steps)),
      ...section("context of the last command", describeContext(view)),
      ...section("what to do", [`add ${eventType} to the query of ${part.name}, or leave the case out`])
    ]
  }
}

/** A decider that does what it must not do. */
export const failed = (decider: Decider.Any, steps: ReadonlyArray<Step>, fault: Fault): Found => ({
  problem: `${decider.name}: ${fault.message}`,
  counterExample: counterExampleOf(steps, []),
  lines: [...fault.details.map((line) => `  ${line}`), ...section("history", describeSteps(steps))]
})

/** Nothing was looked at. */
export const neverAccepted = ({ name }: Decider.Any, decisions: number): Found => ({
  problem: `${name} was never accepted, in ${count(decisions)} decisions: this says nothing about its query`,
  lines: section("what to do", [
    "list the deciders of what has to happen before, and let the commands be about the same few things"
  ])
})

/** Nothing was looked at at all. */
export const neverDecided = ({ name }: Decider.Any): Found => ({
  problem: `${name} never decided: every history ended in a failure before`,
  lines: section("what to do", ["see what the law of purity says"])
})

/** What was not asked for, since nobody said what is right. */
export const unasked = ({ invariants = {}, oracle }: { readonly invariants?: object; readonly oracle?: unknown }) =>
  Object.keys(invariants).length > 0 || oracle !== undefined
    ? []
    : ["without invariants and without an oracle nobody says which decisions are wrong"]

/** Event types that a decider emits and does not read. */
export const unread = ({ name }: Decider.Any, neverRead: ReadonlyMap<string, boolean>): ReadonlyArray<string> =>
  [...neverRead].flatMap(([eventType, never]) =>
    never
      ? [
          `${name} emits ${eventType} and never reads it: right where it does not matter how often it was decided before`
        ]
      : []
  )

/** A case as it is handed out. */
export const counterExampleOf = (steps: ReadonlyArray<Step>, events: ReadonlyArray<Logged>): CounterExample => ({
  steps,
  events
})

const aboutOf = (part: View.ViewPart, eventType: string): string => `${part.name} ${eventType}`

const contextOf = (view: View.Any, log: ReadonlyArray<Logged>): ReadonlyArray<string> => {
  const readers = (event: Logged) => view.parts.filter((part) => part.matcher(event)).map(({ name }) => name)
  const read = log.filter((event) => readers(event).length > 0)
  const lines = read.flatMap((event) => [
    describeEvent(event),
    ...(view.parts.length > 1 ? [`  seen by ${readers(event).join(", ")}`] : [])
  ])
  return [
    ...section("context of the last command", describeContext(view)),
    ...section("it read", read.length === 0 ? ["nothing"] : lines)
  ]
}

const missed = ({ instead, missing, part, unread, whyNot }: Diagnosis): ReadonlyArray<string> => {
  const numbers = enumerate(unread.map(({ sequenceNumber }) => String(sequenceNumber)))
  const events = `${unread.length === 1 ? "event" : "events"} ${numbers}`
  const left = unread.flatMap((event) => [describeEvent(event)])
  return [
    ...section(`${part.name} did not read`, [...left, `  ${whyNot}`]),
    ...(instead === undefined
      ? section(`without ${events} nothing would be wrong`, [
          `${part.name} has no case for ${missing.event.eventType}: it needs the event and a case for it`
        ])
      : section(`had it read ${events}, it would have decided`, describeDecided(instead))),
    ...section(`to the query of ${part.name}`, [missing.suggestion])
  ]
}
