/** Contexts that are asked for together: few in one statement, many in two at once. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { fewCandidates } from "../../../src/stores/postgres/candidates.ts"
import type { Rows } from "../../../src/stores/postgres/Database.ts"
import type { EventReader } from "../../../src/stores/postgres/EventReader.ts"
import { Lookups } from "../../../src/stores/postgres/Lookups.ts"
import { NewestEvents } from "../../../src/stores/postgres/NewestEvents.ts"
import { statements } from "../../../src/stores/postgres/statements.ts"
import { itEffect } from "../../support/it.ts"

/** The answer on an empty log. */
const emptyLog: Rows = [["0", "0", null, null, "0", null, null, null, "0", "0"]]

/** Asks for so many contexts at once, and gives how many statements were under way at the same time. */
const statementsFor = (contexts: number): Effect.Effect<ReadonlyArray<number>> =>
  Effect.gen(function* () {
    const underWay: Array<number> = []
    let current = 0
    const reader = {
      rowsOf: (_: unknown, __: unknown, read: (rows: Rows) => unknown) =>
        Effect.gen(function* () {
          underWay.push(++current)
          yield* Effect.sleep(5)
          current--
          return read(emptyLog)
        })
    }
    const lookups = new Lookups(new NewestEvents(4), reader as unknown as EventReader, statements("evolvent"))
    yield* Effect.forkScoped(lookups.answer, { startImmediately: true })
    const alternative = { all: [1], any: undefined }
    const ask = () => Effect.orDie(lookups.ask([alternative], { after: 0, upTo: 10 }, fewCandidates))
    const answers = yield* Effect.forEach(Array.from({ length: contexts }), ask, { concurrency: "unbounded" })
    expect(answers).toEqual(Array.from({ length: contexts }, () => ({ found: [], upTo: 0, isComplete: true })))
    return underWay
  }).pipe(Effect.scoped)

describe("contexts that are asked for together", () => {
  itEffect("are one statement where they are few", () =>
    Effect.gen(function* () {
      expect(yield* statementsFor(1)).toEqual([1])
      expect(yield* statementsFor(16)).toEqual([1])
    })
  )

  itEffect("are shared by two statements at once where they are many", () =>
    Effect.gen(function* () {
      expect(yield* statementsFor(32)).toEqual([1, 2])
      expect(yield* statementsFor(1_000)).toEqual([1, 2])
    })
  )
})
