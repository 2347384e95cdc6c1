/** Finds the interleaving with the fewest changes of turn that is still wrong: first none, then one anywhere, then two ... */
import * as Effect from "effect/Effect"
import type { History } from "./History.ts"
import type { Plan } from "./Plan.ts"

/** Runs that are made at the most. */
const mostRuns = 1_000

/** A run without an explanation. */
export interface Wrong {
  readonly plan: Plan
  readonly history: History
  readonly problems: ReadonlyArray<string>
}

/** The first wrong run in the order of changes of turn; the one that is known where none is found with fewer. */
export const withFewestTurns = (
  known: Wrong,
  run: (plan: Plan) => Effect.Effect<Wrong | undefined>
): Effect.Effect<Wrong> =>
  Effect.gen(function* () {
    const { plan } = known
    const changes = plan.turns.filter((number) => number > 0).length
    let runs = 0
    for (let fewer = 0; fewer < changes; fewer++) {
      for (const turns of turnsWith(fewer, known.history.steps.length, plan.commands.length - 1)) {
        if (runs++ === mostRuns) return known
        const found = yield* run({ ...plan, turns })
        if (found !== undefined) return found
      }
    }
    return known
  })

/** All lists of at most `length` numbers up to `most`, of which so many are not 0; the last one is not, but for `[]`. */
function* turnsWith(changes: number, length: number, most: number): Generator<ReadonlyArray<number>> {
  if (changes === 0) return yield []
  for (let end = changes; end <= length; end++) {
    for (let number = 1; number <= most; number++) {
      for (const before of turnsWith(changes - 1, end - 1, most)) {
        yield [...before, ...Array<number>(end - 1 - before.length).fill(0), number]
      }
    }
  }
}
