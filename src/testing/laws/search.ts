/**
 * Searches for a case that is wrong, and makes it small: fast-check generates and shrinks; what it cannot see, such as the
 * same id in several commands, is made simpler afterwards.
 */
import * as fc from "fast-check"
import type { Commands, History, Issued } from "../arbitrary/History.ts"
import { issued, replay } from "../arbitrary/History.ts"
import { smallest } from "./smallest.ts"

/** How cases are generated. */
export interface RunOptions {
  /** How many cases. Default: 1,000. */
  readonly runs?: number | undefined
  /** Of the generator. Default: another one each time. */
  readonly seed?: number | undefined
}

/** How a search is done. */
interface SearchOptions extends RunOptions {
  /** The first case that is wrong is enough: it is not made smaller. */
  readonly endAtFirst?: boolean | undefined
}

/** How histories are generated. */
export interface HistoryOptions extends RunOptions {
  /** Of the longest history. Default: 16. */
  readonly maxCommands?: number | undefined
}

/** What came of a search. */
export interface Search<Case, Wrong> {
  readonly runs: number
  readonly seed: number
  readonly found: { readonly smallest: Case; readonly wrong: Wrong } | undefined
  /** The first case that was wrong, as it was generated. */
  readonly first: Wrong | undefined
}

/** What a case that is wrong is said to be; `undefined` for one that is right. */
export interface Examine<Case, Wrong> {
  (candidate: Case): Wrong | undefined
}

/** Examines generated values. */
export const search = <Case, Wrong>(
  arbitrary: fc.Arbitrary<Case>,
  options: SearchOptions,
  examine: Examine<Case, Wrong>
): Search<Case, Wrong> => {
  // What is wrong with the last case that was; fast-check goes on from there, so that at the end it is the smallest.
  let last: { readonly smallest: Case; readonly wrong: Wrong } | undefined
  let first: Wrong | undefined
  const property = fc.property(arbitrary, (candidate) => {
    const wrong = examine(candidate)
    first ??= wrong
    if (wrong !== undefined) last = { smallest: candidate, wrong }
    return wrong === undefined
  })
  const { errorInstance, numRuns, seed } = fc.check(property, {
    numRuns: options.runs ?? 1000,
    endOnFailure: options.endAtFirst ?? false,
    ...(options.seed === undefined ? {} : { seed: options.seed })
  })
  if (last === undefined && errorInstance !== null && errorInstance !== undefined) throw errorInstance
  return { runs: numRuns, seed, found: last, first }
}

/** Examines generated histories. */
export const searchHistories = <Wrong>(
  of: ReadonlyArray<Commands>,
  options: HistoryOptions & SearchOptions,
  examine: Examine<History, Wrong>
): Search<History, Wrong> => {
  const { maxCommands } = options
  const generated = issued(of, maxCommands === undefined ? {} : { maxCommands })
  const searched = search(generated, options, (commands) => examine(replay(of, commands)))
  const { found, first } = searched
  if (found === undefined || first === undefined) return { ...searched, found: undefined }
  if (options.endAtFirst === true) {
    return { ...searched, found: { smallest: replay(of, found.smallest), wrong: first } }
  }
  const examined = (commands: ReadonlyArray<Issued>) => {
    const history = replay(of, commands)
    const wrong = examine(history)
    return wrong === undefined ? undefined : { smallest: history, wrong }
  }
  // A decider with a memory does not do it again: what it did the first time counts.
  if (examined(found.smallest) === undefined) {
    return { ...searched, found: { smallest: replay(of, found.smallest), wrong: first } }
  }
  const small = smallest(of, found.smallest, (commands) => examined(commands) !== undefined)
  return { ...searched, found: examined(small) ?? { smallest: replay(of, small), wrong: first } }
}
