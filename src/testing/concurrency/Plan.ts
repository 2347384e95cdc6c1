/** What one run does: generated, and shrunk, by fast-check. */
import * as fc from "fast-check"
import type { FaultPlan } from "../faulty/FaultPlan.ts"
import type { Request } from "./Request.ts"

/** A command that is dispatched at once with the others of its plan. */
export interface Planned {
  readonly request: Request
  readonly process: number
  /** Where there are no turns: how many others have to be answered before it is called. */
  readonly after: number
}

/** One run. */
export interface Plan {
  /** Dispatched one after the other, before the rest. */
  readonly given: ReadonlyArray<Request>
  readonly commands: ReadonlyArray<Planned>
  /** Whether dispatchers keep folds. */
  readonly keepsFolds: boolean
  /** Whether decisions may be revised under the store's lock. */
  readonly revises: boolean
  /** Whose turn it is; see `Turns`. */
  readonly turns: ReadonlyArray<number>
  /** The faults of each process's store; none where there is no plan. */
  readonly faults: ReadonlyArray<FaultPlan>
}

/** What plans are made of. */
export interface PlanOptions {
  readonly commands: fc.Arbitrary<Request>
  readonly given: fc.Arbitrary<ReadonlyArray<Request>>
  readonly processes: number
  readonly mostAtOnce: number
  readonly inTurns: boolean
  readonly faults: fc.Arbitrary<FaultPlan> | undefined
}

/** Turns that a command takes where others get in its way now and then: its call, reads, appends, back-off. */
const turnsPerCommand = 8

export const plans = (options: PlanOptions): fc.Arbitrary<Plan> => {
  const { commands, faults, given, inTurns, mostAtOnce, processes } = options
  const planned = fc.record({
    request: commands,
    process: fc.nat(processes - 1),
    after: inTurns ? fc.constant(0) : fc.nat(mostAtOnce - 1)
  })
  const turns = fc.noBias(fc.array(fc.nat(mostAtOnce - 1), { maxLength: mostAtOnce * turnsPerCommand, size: "max" }))
  return fc.record({
    given,
    commands: fc.array(planned, { minLength: 1, maxLength: mostAtOnce, size: "max" }),
    keepsFolds: fc.boolean(),
    revises: fc.boolean(),
    turns: inTurns ? turns : fc.constant([]),
    faults: faults === undefined ? fc.constant([]) : fc.array(faults, { minLength: processes, maxLength: processes })
  })
}
