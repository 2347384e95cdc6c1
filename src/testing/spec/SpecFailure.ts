/** `SpecFailure`: what a spec throws. Its message shows everything that the decision was made from, and the difference. */
import type * as EventQuery from "../../stores/EventQuery.ts"
import type { View } from "../../decider/View.ts"
import type { Given } from "./givenEvents.ts"
import { printEventLine, printLine, printLines } from "./printValue.ts"

/** What a spec has looked at, as far as it got. */
export interface Evidence {
  /** Name of the decider or the view. */
  readonly subject: string
  readonly command?: unknown
  readonly view?: Pick<View<unknown, never>, "name" | "query" | "parts">
  readonly given?: ReadonlyArray<Given>
  readonly state?: unknown
}

/** Expected and actual as lines of text, one member a line. */
export interface Difference {
  readonly expected: ReadonlyArray<string>
  readonly actual: ReadonlyArray<string>
  /** Both, side by side: `-` what only the expected has, `+` what only the actual has. */
  readonly lines: ReadonlyArray<string>
}

/** Why a spec fails. */
export interface Reason {
  readonly message: string
  readonly details?: ReadonlyArray<string>
  readonly difference?: Difference
  readonly cause?: unknown
}

/** A spec does not hold, or cannot be carried out. A plain error, for any test runner. */
export class SpecFailure extends Error {
  override readonly name = "SpecFailure"
  /** What is wrong, in one line. */
  readonly problem: string
  readonly evidence: Evidence
  /** Absent where there was nothing to compare. */
  readonly difference: Difference | undefined

  constructor(evidence: Evidence, reason: Reason) {
    super(messageOf(evidence, reason), reason.cause === undefined ? {} : { cause: reason.cause })
    this.problem = reason.message
    this.evidence = evidence
    this.difference = reason.difference
  }
}

const messageOf = (evidence: Evidence, reason: Reason): string => {
  const { command, given, state, subject, view } = evidence
  const { details = [], difference, message } = reason
  const several = view !== undefined && view.parts.length > 1
  const selected = given
    ?.filter((event) => event.selected)
    .flatMap((event) => [numbered(event), ...(several ? [`  seen by ${event.seenBy.join(", ")}`] : [])])
  const passedOver = given
    ?.filter((event) => !event.selected)
    .flatMap((event) => [numbered(event), `  ${event.whyNot}`])
  return [
    `${subject}: ${message}`,
    ...details.map((line) => `  ${line}`),
    ...section("command", "command" in evidence ? printLines(command) : undefined),
    ...section("context", view?.parts.length === 0 ? ["no event at all"] : view?.parts.flatMap(describePart)),
    ...section("given, selected by the context", selected?.length === 0 ? ["nothing"] : selected),
    ...section("given, not selected", passedOver?.length === 0 ? undefined : passedOver),
    ...section("state", "state" in evidence ? printLines(state) : undefined),
    ...section("- expected, + actual", difference?.lines)
  ].join("\n")
}

const section = (title: string, lines: ReadonlyArray<string> | undefined): ReadonlyArray<string> =>
  lines === undefined ? [] : ["", title, ...lines.map((line) => `  ${line}`)]

const numbered = (event: Given): string => `${event.sequenceNumber} ${printEventLine(event)}`

/** A part of a view: its name and its query, a line for each filter. */
export const describePart = ({ name, query }: { readonly name: string; readonly query: EventQuery.EventQuery }) =>
  (query.filters ?? []).length === 0
    ? [`${name}: all events`]
    : query.filters!.map((filter, index) => `${index === 0 ? `${name}:` : "or"} ${describeFilter(filter)}`)

/** A filter on one line. */
export const describeFilter = ({ eventTypes, payloadPredicates, tags = [] }: EventQuery.EventFilter): string => {
  const types = eventTypes === undefined ? "any type" : eventTypes.length === 0 ? "no type" : eventTypes.join(" | ")
  const payloads = payloadPredicates?.map(printLine).join(" | ")
  return [
    types,
    ...(tags.length === 0 ? [] : [`tags ${tags.join(", ")}`]),
    ...(payloads === undefined ? [] : [`payload ${payloads}`])
  ].join(", ")
}
