/**
 * `Serialisability`: whatever commands several processes dispatch at once, some serial order of the deciders explains the log
 * and every answer. Checked on generated commands: in turns that are generated too, so that a wrong run is repeated and
 * shrunk to the smallest interleaving; or for real, for stores that do I/O.
 *
 * What is right is decided by the deciders alone, on prefixes of the log; see `explain` for why no order is missed.
 */
import type * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as View from "../../decider/View.ts"
import type { EventRecord } from "../../stores/Event.ts"
import { EventStoreError } from "../../stores/EventStoreError.ts"
import type { StoreHarness } from "../conformance/ConformanceCase.ts"
import type { FaultPlan } from "../faulty/FaultPlan.ts"
import type { Setting } from "./carryOut.ts"
import { carryOut } from "./carryOut.ts"
import { describe } from "./describe.ts"
import type { Explanation, Invariants } from "./explain.ts"
import { explain } from "./explain.ts"
import type { Answer, Appended, Dispatched, Failed, History, Read, Step } from "./History.ts"
import type { Plan } from "./Plan.ts"
import { plans } from "./Plan.ts"
import type { Process, Request, Via } from "./Request.ts"
import { request, requests } from "./Request.ts"
import type { Wrong } from "./withFewestTurns.ts"
import { withFewestTurns } from "./withFewestTurns.ts"

export { explain, request, requests }
export type {
  Answer,
  Appended,
  Dispatched,
  Explanation,
  Failed,
  History,
  Invariants,
  Process,
  Read,
  Request,
  Step,
  Via
}

/** What is not repeatable is hardly shrunk: a smaller run that is wrong by chance is welcome. */
const shrinksForReal = 10

/** What is checked, and how hard. */
export interface Options {
  /**
   * The store: `make` opens one on a new log, which all processes share; with `reopen` each process opens its own on the same
   * new log. Any harness of the conformance suite fits.
   */
  readonly store: Pick<StoreHarness, "make" | "reopen">
  /** The commands that are dispatched at once. */
  readonly commands: fc.Arbitrary<Request>
  /** Commands that are dispatched before, one after the other. Default: none. */
  readonly given?: fc.Arbitrary<ReadonlyArray<Request>> | undefined
  /** What must hold of the log at all times: it is asked about the log after each committed batch. */
  readonly invariants?: Invariants | undefined
  /**
   * - `turns`: calls of a store, and whoever waits, go on one at a time, in an order that is generated. Repeatable for a
   *   store that does no I/O.
   * - `real`: all at once, as it comes. Not repeatable; what is wrong is shown as it happened.
   *
   * Default: `turns`.
   */
  readonly interleaving?: "turns" | "real" | undefined
  /** Processes: dispatchers, each with its own lanes and folds. Default: 2. */
  readonly processes?: number | undefined
  /** Most commands at once. Default: 6. */
  readonly mostAtOnce?: number | undefined
  /** How often a command may be decided before `RetriesExhausted`, which counts as wrong. Default: 100. */
  readonly attempts?: number | undefined
  /**
   * Faults of the processes' stores, each with a plan of its own: what strikes the appends and queries of the commands
   * that are dispatched at once. `FaultyStore.plans()` generates them; `overtakenBy` does not fit, since nobody is asked for
   * its events. Default: none.
   */
  readonly faults?: fc.Arbitrary<FaultPlan> | undefined
  /**
   * Failures, other than rejections, that may happen; what they promise of the log is still checked. Default: with faults
   * every `EventStoreError`, else none.
   */
  readonly tolerates?: ((error: unknown) => boolean) | undefined
  /**
   * When commands count as never answered: in turns, after so long in which nothing happens; for real, after so long in all.
   * Default: 10 seconds in turns, 60 for real.
   */
  readonly patience?: Duration.Input | undefined
  /** Runs with other commands and another interleaving each. Default: 200 in turns, 20 for real. */
  readonly runs?: number | undefined
  /** Default: another one each time; the report names it. */
  readonly seed?: number | undefined
}

/** How often things have happened in all runs: whether a check that holds has seen anything. */
export interface Seen {
  readonly runs: number
  readonly commands: number
  readonly accepted: number
  readonly rejected: number
  readonly nothingToDo: number
  readonly failed: number
  /** Appends that found their context changed: commands that got in each other's way. */
  readonly contended: number
}

/** Every run has an explanation. */
export interface Holds {
  readonly holds: true
  readonly seed: number
  readonly seen: Seen
}

/** One has none. */
export interface Fails {
  readonly holds: false
  readonly seed: number
  readonly seen: Seen
  /** The smallest run without an explanation that was found. */
  readonly history: History
  readonly problems: ReadonlyArray<string>
  /** That run in words, step by step. */
  readonly explanation: string
}

export type Report = Holds | Fails

/** What `assert` fails with; the message is the explanation. */
export class NotSerialisable extends Error {
  readonly _tag = "NotSerialisable"
  override readonly name = "NotSerialisable"
  readonly report: Fails

  constructor(report: Fails) {
    super(`${report.explanation}\n\nseed ${report.seed}`)
    this.report = report
  }
}

/** Checks, and reports. A store that cannot be opened, or not be read in the end, is a defect. */
export const check = (options: Options): Effect.Effect<Report> =>
  Effect.gen(function* () {
    const { commands, faults, given = fc.constant([]), interleaving = "turns", mostAtOnce = 6, processes = 2 } = options
    const inTurns = interleaving === "turns"
    const setting: Setting = {
      store: options.store,
      processes,
      inTurns,
      attempts: options.attempts ?? 100,
      tolerates: options.tolerates ?? (faults === undefined ? () => false : isStoreError),
      patience: options.patience ?? (inTurns ? "10 seconds" : "60 seconds")
    }
    const trial = new Trial(setting, options.invariants ?? {})
    const plan = plans({ commands, given, processes, mostAtOnce, inTurns, faults })
    const numRuns = options.runs ?? (inTurns ? 200 : 20)
    const parameters = options.seed === undefined ? { numRuns } : { numRuns, seed: options.seed }
    const run = Effect.runPromiseWith(yield* Effect.context<never>())
    const { seed } = yield* Effect.promise((signal) => {
      const property = fc.asyncProperty(inTurns ? plan : fc.limitShrink(plan, shrinksForReal), (it) =>
        run(trial.holds(it), { signal })
      )
      return fc.check(property, parameters)
    })
    if (trial.defect !== undefined) return yield* Effect.failCause(trial.defect)
    if (trial.wrong === undefined) return { holds: true, seed, seen: trial.tally.seen }
    const { history, problems } = yield* inTurns && !isStuck(trial.wrong)
      ? withFewestTurns(trial.wrong, (it) => trial.run(it))
      : Effect.succeed(trial.wrong)
    const { seen } = trial.tally
    return { holds: false, seed, seen, history, problems, explanation: describe(history, problems) }
  })

/** `check` that fails where the report does. */
export const assert = (options: Options): Effect.Effect<Holds, NotSerialisable> =>
  Effect.flatMap(check(options), (report) =>
    report.holds ? Effect.succeed(report) : Effect.fail(new NotSerialisable(report))
  )

/** An invariant of the state that the log folds into. A log that cannot be folded does not satisfy it. */
export const always =
  <State, Event>(view: View.View<State, Event>, holds: (state: State) => boolean) =>
  (log: ReadonlyArray<EventRecord>): boolean =>
    Result.match(View.fold(view, log), { onFailure: () => false, onSuccess: holds })

/** Carries plans out and remembers the last one that was wrong, which, when fast-check has shrunk it, is the smallest. */
class Trial {
  readonly tally = new Tally()
  wrong: Wrong | undefined
  defect: Cause.Cause<never> | undefined
  private readonly setting: Setting
  private readonly invariants: Invariants

  constructor(setting: Setting, invariants: Invariants) {
    this.setting = setting
    this.invariants = invariants
  }

  run(plan: Plan): Effect.Effect<Wrong | undefined> {
    return Effect.map(carryOut(plan, this.setting), (history) => {
      this.tally.count(history)
      const explanation = explain(history, this.invariants)
      return explanation._tag === "Explained" ? undefined : { plan, history, problems: explanation.problems }
    })
  }

  /** What is stuck takes its time, and a defect is none of the plan: neither is shrunk. */
  holds(plan: Plan): Effect.Effect<boolean> {
    if (this.defect !== undefined || (this.wrong !== undefined && isStuck(this.wrong))) return Effect.succeed(true)
    return Effect.matchCause(this.run(plan), {
      onFailure: (cause) => {
        this.defect = cause
        return false
      },
      onSuccess: (found) => {
        this.wrong = found ?? this.wrong
        return found === undefined
      }
    })
  }
}

const isStuck = ({ history }: Wrong): boolean => history.commands.some(({ answer }) => answer._tag === "Unanswered")

class Tally {
  private readonly counts = { runs: 0, commands: 0, accepted: 0, rejected: 0, nothingToDo: 0, failed: 0, contended: 0 }

  get seen(): Seen {
    return { ...this.counts }
  }

  count({ commands, steps }: History): void {
    const answered = (tag: Answer["_tag"]) => commands.filter(({ answer }) => answer._tag === tag).length
    this.counts.runs += 1
    this.counts.commands += commands.length
    this.counts.accepted += answered("Accepted")
    this.counts.rejected += answered("Rejected")
    this.counts.nothingToDo += answered("NothingToDo")
    this.counts.failed += answered("Failed")
    this.counts.contended += steps.filter((step) => step._tag === "Appended" && isContended(step)).length
  }
}

const isContended = ({ came, revisedAt }: Appended): boolean =>
  revisedAt !== undefined || (came?._tag === "Refused" && isConflict(came.error))

const isStoreError = (error: unknown): error is EventStoreError => error instanceof EventStoreError

const isConflict = (error: unknown): boolean => isStoreError(error) && error.reason._tag === "ConditionalAppendConflict"
