/**
 * What the user says about the whole log: invariants, and a naive oracle. Both become a `Judge`, which says what is wrong with
 * a decision, given everything that happened before it.
 */
import * as Result from "effect/Result"
import type * as Decider from "../../decider/Decider.ts"
import type * as EventCatalog from "../../decider/EventCatalog.ts"
import type { Decided, Logged } from "../arbitrary/decide.ts"
import { textOf } from "../arbitrary/decide.ts"
import { Fault } from "../spec/callPure.ts"
import { record } from "../spec/givenEvents.ts"
import { printEventLine, printLine } from "../spec/printValue.ts"

/** An event of the log: its type and decoded payload, with what the store adds. */
export type InLog<Event> = Event & { readonly sequenceNumber: number; readonly tags: ReadonlyArray<string> }

/** Holds for a log: `true`; else `false`, or a text that says what is wrong. */
export type Invariant<Event> = (log: ReadonlyArray<InLog<Event>>) => boolean | string

/** Invariants by name. The name is told when one is broken: "never oversold". */
export type Invariants<Event> = { readonly [name: string]: Invariant<Event> }

/**
 * Decides over the whole log, as plainly as possible: what a decider should decide. A decision, or only whether the command
 * should lead to events.
 */
export type Oracle<Command, Event, All> = (
  command: Command,
  log: ReadonlyArray<InLog<All>>
) => Decider.Decision<Event, unknown> | boolean

/** Says what is wrong with a decision after a log, in lines; `undefined` where nothing is. */
export interface Judge {
  (log: ReadonlyArray<Logged>, command: unknown, decided: Decided): ReadonlyArray<string> | undefined
}

/** The first invariant that the log breaks. */
export const brokenBy = (invariants: Invariants<any>, log: ReadonlyArray<Logged>): string | undefined => {
  const events = inLog(log)
  for (const [name, holds] of Object.entries(invariants)) {
    const answer = Result.try(() => holds(events))
    if (Result.isFailure(answer)) {
      throw new Error(`the invariant "${name}" threw ${String(answer.failure)}`, { cause: answer.failure })
    }
    if (answer.success !== true) {
      return `the invariant "${name}" is broken${answer.success === false ? "" : `: ${answer.success}`}`
    }
  }
  return undefined
}

/** Refuses decisions after which an invariant is broken. */
export const ofInvariants =
  (invariants: Invariants<any>): Judge =>
  (log, _command, { emitted }) => {
    const broken = emitted.length === 0 ? undefined : brokenBy(invariants, [...log, ...emitted])
    return broken === undefined ? undefined : [broken]
  }

/** Refuses decisions that are not those of the oracle. */
export const ofOracle =
  (decider: Decider.Any, oracle: Oracle<any, any, any>): Judge =>
  (log, command, decided) => {
    const wanted = oracle(command, inLog(log))
    if (typeof wanted === "boolean") {
      const acts = decided.emitted.length > 0
      if (wanted === acts) return undefined
      return [`the oracle ${wanted ? "accepts the command" : "does not accept the command"}`]
    }
    const expected = describeWanted(decider, wanted, log.length)
    return expected.text === textOf(decided) ? undefined : [`the oracle decides ${expected.told}`]
  }

/** The first judge that refuses a decision decides. */
export const firstOf =
  (judges: ReadonlyArray<Judge>): Judge =>
  (log, command, decided) => {
    for (const judge of judges) {
      const wrong = judge(log, command, decided)
      if (wrong !== undefined) return wrong
    }
    return undefined
  }

const inLog = (log: ReadonlyArray<Logged>): ReadonlyArray<InLog<any>> =>
  log.map(({ event, sequenceNumber, tags }) => ({ ...event, sequenceNumber, tags }))

const describeWanted = (
  decider: Decider.Any,
  wanted: Decider.Decision<EventCatalog.AnyEvent, unknown>,
  after: number
): { readonly text: string; readonly told: string } => {
  const events = wanted._tag === "Accept" ? wanted.events : []
  const recorded = Result.getOrThrowWith(
    record([decider.events], events, "the oracle's"),
    (fault) => new Fault(`the oracle of ${decider.name} is wrong: ${fault.message}`, fault.details)
  )
  const emitted = recorded.map((it, index) => ({ ...it, sequenceNumber: after + index + 1, event: events[index]! }))
  const told =
    wanted._tag === "Reject"
      ? `to reject with ${printLine(wanted.rejection)}`
      : emitted.length === 0
        ? "that there is nothing to do"
        : emitted.map(printEventLine).join(", ")
  return { text: textOf({ decision: wanted, emitted }), told }
}
