/** Compares what a spec expects with what came, and says in one line and in two texts how they differ. */
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import type * as EventCatalog from "../../decider/EventCatalog.ts"
import type { DecidedBy, Folded } from "./carryOut.ts"
import type { Recorded } from "./givenEvents.ts"
import { record } from "./givenEvents.ts"
import { printEventMembers, printLine, printMembers } from "./printValue.ts"
import { diffLines } from "./diffLines.ts"
import type { Difference, Reason } from "./SpecFailure.ts"

/** Why an expectation does not hold. */
export type Mismatch = Reason

type Actual = DecidedBy<unknown, unknown, unknown>

/** Compares the events as they would be recorded; none of them means that there is nothing to do. */
export const ofEvents = (
  catalog: EventCatalog.Any,
  actual: Actual,
  events: ReadonlyArray<EventCatalog.AnyEvent>
): Mismatch | undefined => {
  if (events.some((event) => typeof event === "function")) return unfinished
  const recorded = record([catalog], events, "expected")
  if (Result.isFailure(recorded)) return recorded.failure
  const expected = recorded.success
  if (actual.decision._tag === "Accept" && textOf(expected) === textOf(actual.emitted)) return undefined
  const found = actual.decision._tag === "Reject" ? "a rejection" : count(actual.emitted)
  return {
    message: found === count(expected) ? "other events than expected" : `expected ${count(expected)}, got ${found}`,
    difference: differ(describeEvents(expected), actual, "Accept")
  }
}

/** Compares the rejection by class and content, or asks the predicate. */
export const ofRejection = (actual: Actual, expected: unknown): Mismatch | undefined => {
  const { decision } = actual
  const predicate = typeof expected === "function" ? (expected as (rejection: unknown) => boolean) : undefined
  if (decision._tag === "Reject" && (predicate?.(decision.rejection) ?? isSame(expected, decision.rejection))) {
    return undefined
  }
  const message =
    decision._tag === "Reject"
      ? "another rejection than expected"
      : `expected a rejection, got ${count(actual.emitted)}`
  const lines = predicate === undefined ? describeRejection(expected) : ["rejected as the predicate wants"]
  return alike({ message, difference: differ(lines, actual, "Reject") })
}

/** Compares the state by class and content. */
export const ofState = (actual: Folded<unknown>, expected: unknown): Mismatch | undefined =>
  isSame(expected, actual.state)
    ? undefined
    : alike({
        message: "another state than expected",
        difference: sideBySide(printMembers(expected), printMembers(actual.state))
      })

/** A test that returns or awaits `when(...)` calls its `then` as that of a promise. */
const unfinished: Mismatch = {
  message:
    "the spec has no expectation: it was awaited or returned as it is; end it with then, thenNothing or thenRejects"
}

/** `Equal` does not look at classes, the text does; the text does not look into functions, `Equal` does. */
const isSame = (a: unknown, b: unknown): boolean => Equal.equals(a, b) && printLine(a) === printLine(b)

const alike = (mismatch: Mismatch): Mismatch => {
  const { actual = [], expected = [] } = mismatch.difference ?? {}
  return actual.join("\n") === expected.join("\n")
    ? { ...mismatch, message: `${mismatch.message}; they read alike, but Equal.equals tells them apart` }
    : mismatch
}

/** A rejection and events have nothing in common, whatever lines look the same. */
const differ = (expected: ReadonlyArray<string>, actual: Actual, tag: "Accept" | "Reject"): Difference => {
  const lines =
    actual.decision._tag === "Reject" ? describeRejection(actual.decision.rejection) : describeEvents(actual.emitted)
  return actual.decision._tag === tag
    ? sideBySide(expected, lines)
    : { expected, actual: lines, lines: [...expected.map((line) => `- ${line}`), ...lines.map((line) => `+ ${line}`)] }
}

const sideBySide = (expected: ReadonlyArray<string>, actual: ReadonlyArray<string>): Difference => ({
  expected,
  actual,
  lines: diffLines(expected, actual)
})

const describeRejection = (rejection: unknown): ReadonlyArray<string> => {
  const [first, ...rest] = printMembers(rejection)
  return [`rejected with ${first}`, ...rest]
}

const describeEvents = (events: ReadonlyArray<Recorded>): ReadonlyArray<string> =>
  events.length === 0 ? ["nothing"] : events.flatMap(printEventMembers)

const textOf = (events: ReadonlyArray<Recorded>): string => describeEvents(events).join("\n")

const count = (events: ReadonlyArray<Recorded>): string =>
  events.length === 0 ? "nothing" : events.length === 1 ? "1 event" : `${events.length} events`
