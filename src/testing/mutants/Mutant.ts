/** A store that is wrong on purpose, and the cases that have to find it out. */
import type { StoreHarness } from "../conformance/ConformanceCase.ts"
import type { Mistake } from "./plainStore.ts"
import { plainStore } from "./plainStore.ts"
import type { PlainLog } from "./PlainLog.ts"

/** A store that is wrong on purpose. */
export interface Mutant {
  /** In a few words, unique. */
  readonly name: string
  /** What is wrong, in one sentence. */
  readonly mistake: string
  /** The wrong store, as a suite takes it. */
  readonly harness: StoreHarness
  /** Names of cases of the conformance suite that this mutant must fail; at least one. It may fail others, too. */
  readonly killedBy: readonly [string, ...ReadonlyArray<string>]
}

/** Makes a mutant of the plain store. */
export const mutant = <Log extends PlainLog = PlainLog>(
  name: string,
  mistake: string,
  killedBy: Mutant["killedBy"],
  how: Mistake<Log>
): Mutant => ({ name, mistake, killedBy, harness: plainStore(how) })
