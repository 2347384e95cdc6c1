/**
 * Mutants: stores that are wrong on purpose, each by one mistake that people make, and the conformance cases that have to
 * find it out. A suite in which a mutant survives has a hole.
 */
import * as Effect from "effect/Effect"
import type { ConformanceCase, StoreHarness } from "../conformance/ConformanceCase.ts"
import { conformance } from "../conformance/index.ts"
import { checking } from "./checking.ts"
import { committing } from "./committing.ts"
import { delivering } from "./delivering.ts"
import { durableCursors } from "./durableCursors.ts"
import { durableDelivery } from "./durableDelivery.ts"
import { matching } from "./matching.ts"
import type { Mutant } from "./Mutant.ts"
import { plainStore } from "./plainStore.ts"
import { reading } from "./reading.ts"
import { recording } from "./recording.ts"
import { repeating } from "./repeating.ts"
import { serialising } from "./serialising.ts"
import { severalStores } from "./severalStores.ts"
import { transactions } from "./transactions.ts"
import type { Failure } from "./trial.ts"
import { failuresOf } from "./trial.ts"

export type { Failure, Mutant }
export { failuresOf }

/** All mutants, by subject. Names are unique. */
export const all: ReadonlyArray<Mutant> = [
  ...serialising,
  ...committing,
  ...checking,
  ...reading,
  ...matching,
  ...delivering,
  ...durableCursors,
  ...durableDelivery,
  ...transactions,
  ...repeating,
  ...recording,
  ...severalStores
]

/** The store that all mutants are made of, without a mistake: a case that it fails is wrong itself. */
export const original: StoreHarness = plainStore()

/** What became of a mutant. */
export interface Trial {
  readonly mutant: Mutant
  /** The cases that it failed, in the order of the suite. */
  readonly killers: ReadonlyArray<Failure>
  /** Cases of those that were run that have to kill it and did not. */
  readonly missed: ReadonlyArray<string>
}

/**
 * Runs the cases, by default those of the conformance suite, against the mutant. Time is virtual: a wait passes at once when
 * nothing else can happen, so the verdict does not depend on the machine. The cases must not wait for anything outside
 * of Effect, such as files, sockets and timers.
 */
export const attempt = (mutant: Mutant, cases: ReadonlyArray<ConformanceCase> = conformance): Effect.Effect<Trial> =>
  Effect.map(failuresOf(mutant.harness, cases), (killers) => {
    const failed = new Set(killers.map(({ name }) => name))
    const run = new Set(cases.map(({ name }) => name))
    return { mutant, killers, missed: mutant.killedBy.filter((name) => run.has(name) && !failed.has(name)) }
  })

/** Whether nothing has found the mutant out, or not everything that has to. */
export const survives = ({ killers, missed }: Trial): boolean => killers.length === 0 || missed.length > 0
