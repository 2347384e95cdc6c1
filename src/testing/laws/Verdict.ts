/**
 * `Verdict`: what a law comes to. A value, with the text that says what is wrong; `assert` throws it, for any test runner.
 */
import type { Step } from "../arbitrary/History.ts"
import type { Recorded } from "../spec/givenEvents.ts"

/** The laws. */
export type Law = "sufficiency" | "tightness" | "purity" | "codec" | "invariants"

/** What a law says about a decider, a catalog or an application. */
export interface Verdict {
  readonly law: Law
  /** Name of the decider; what else is judged. */
  readonly subject: string
  readonly holds: boolean
  /** What is wrong, and what to do about it; or what was looked at. */
  readonly explanation: string
  /** One for each thing that is wrong, each with its own smallest counter-example. */
  readonly findings: ReadonlyArray<Finding>
  /** The counter-example of the first finding. */
  readonly counterExample: CounterExample | undefined
  /** How many generated cases were looked at: up to the first that is wrong, where the law does not hold. */
  readonly runs: number
  /** Gives the same cases again. */
  readonly seed: number
}

/** One thing that is wrong. */
export interface Finding {
  /** In one line. */
  readonly problem: string
  readonly explanation: string
  readonly counterExample: CounterExample | undefined
  /** What the query should have read, and does not. */
  readonly missing: Missing | undefined
}

/** The smallest case that was found. */
export interface CounterExample {
  /** The commands in their order, with what was decided. */
  readonly steps: ReadonlyArray<Step>
  /** All events of the case. */
  readonly events: ReadonlyArray<Recorded>
}

/** What a query does not read although the decision depends on it. */
export interface Missing {
  /** Name of the view, or of the part of a composed one. */
  readonly view: string
  readonly event: Recorded
  /** Which constraint of the query leaves the event out. */
  readonly by: "type" | "tag" | "predicate"
  /** What to add to the query. */
  readonly suggestion: string
}

/** A law does not hold. A plain error; the message is the explanation. */
export class LawBroken extends Error {
  override readonly name = "LawBroken"
  readonly verdict: Verdict

  constructor(verdict: Verdict) {
    super(verdict.explanation)
    this.verdict = verdict
  }
}

/** Throws `LawBroken` for the first of the verdicts that does not hold. */
export const assert = (...verdicts: ReadonlyArray<Verdict>): void => {
  const broken = verdicts.find((verdict) => !verdict.holds)
  if (broken === undefined) return
  const error = new LawBroken(broken)
  Error.captureStackTrace(error, assert)
  throw error
}

/** What a law found, before it is told. */
export interface Found extends Omit<Finding, "explanation" | "missing" | "counterExample"> {
  readonly lines: ReadonlyArray<string>
  readonly counterExample?: CounterExample | undefined
  readonly missing?: Missing | undefined
  /** Of findings about the same thing the first is told. */
  readonly about?: string | undefined
  /** The number of the first case that was wrong; where it was generated. */
  readonly runs?: number | undefined
}

/** Makes the verdict. `notes` are told in any case, `looked` is what was looked at where nothing is wrong. */
export const verdictOf = (
  about: Pick<Verdict, "law" | "subject" | "runs" | "seed">,
  found: ReadonlyArray<Found>,
  notes: ReadonlyArray<string>,
  looked: string
): Verdict => {
  const findings = distinct(found).map((it): Finding => {
    const where = it.runs === undefined ? [] : ["", `found in case ${count(it.runs)}, seed ${about.seed}`]
    return {
      problem: it.problem,
      explanation: [it.problem, ...it.lines, ...where].join("\n"),
      counterExample: it.counterExample,
      missing: it.missing
    }
  })
  const holds = findings.length === 0
  const told = holds
    ? `${about.subject}: ${about.law} ${about.law === "invariants" ? "hold" : "holds"}; ${looked}, seed ${about.seed}`
    : undefined
  return {
    ...about,
    runs: found[0]?.runs ?? about.runs,
    holds,
    findings,
    counterExample: findings[0]?.counterExample,
    explanation: [
      ...(told === undefined ? [findings.map(({ explanation }) => explanation).join("\n\n\n")] : [told]),
      ...(notes.length === 0 ? [] : ["", ...notes.map((note) => `note: ${note}`)])
    ].join("\n")
  }
}

const distinct = (found: ReadonlyArray<Found>): ReadonlyArray<Found> =>
  found.filter(({ about }, index) => about === undefined || !found.slice(0, index).some((it) => it.about === about))

/** A number as it reads best: 1,000. */
export const count = (number: number): string => number.toLocaleString("en-US")
