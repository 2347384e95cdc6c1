/** The search for the interleaving with the fewest changes of turn. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import type { Plan } from "../../src/testing/concurrency/Plan.ts"
import type { Wrong } from "../../src/testing/concurrency/withFewestTurns.ts"
import { withFewestTurns } from "../../src/testing/concurrency/withFewestTurns.ts"
import { itEffect } from "../support/it.ts"

/** A run of six steps. */
const wrong = (turns: ReadonlyArray<number>, commandCount: number): Wrong => {
  const commands = Array.from({ length: commandCount }, () => ({ request: undefined as never, process: 0, after: 0 }))
  const steps = [1, 2, 3, 4, 5, 6].map((id) => ({ _tag: "Called", id, process: 0 }) as const)
  const plan = { given: [], commands, keepsFolds: false, revises: false, turns, faults: [] }
  return { plan, history: { commands: [], steps, log: [] }, problems: [] }
}

const search = (known: ReadonlyArray<number>, isWrong: (turns: ReadonlyArray<number>) => boolean, count = 3) => {
  const tried: Array<ReadonlyArray<number>> = []
  const run = ({ turns }: Plan) =>
    Effect.sync(() => {
      tried.push(turns)
      return isWrong(turns) ? wrong(turns, count) : undefined
    })
  return Effect.map(withFewestTurns(wrong(known, count), run), ({ plan }) => ({ turns: plan.turns, tried }))
}

const changesOf = (turns: ReadonlyArray<number>) => turns.filter((number) => number > 0).length

describe("the fewest changes of turn", () => {
  itEffect("are none where commands one after the other are wrong", () =>
    Effect.gen(function* () {
      expect(yield* search([1, 2], () => true)).toEqual({ turns: [], tried: [[]] })
    })
  )

  itEffect("are found wherever they are, fewer before more, and each list is tried once", () =>
    Effect.gen(function* () {
      const { tried, turns } = yield* search([1, 1, 1, 1], (it) => it[2] === 2 && it[4] === 1)
      expect(turns).toEqual([0, 0, 2, 0, 1])
      const changes = tried.map(changesOf)
      expect(changes).toEqual(changes.toSorted((a, b) => a - b))
      // One with none, twelve with one (six places, two numbers), and no list with a 0 at its end.
      expect(changes.filter((count) => count <= 1).length).toBe(13)
      expect(new Set(tried.map((it) => it.join())).size).toBe(tried.length)
      expect(tried.every((it) => it.at(-1) !== 0)).toBe(true)
    })
  )

  itEffect("are those that are known where no list with fewer is wrong", () =>
    Effect.gen(function* () {
      const { tried, turns } = yield* search([0, 1, 0, 2], (it) => it.join() === "0,1,0,2")
      expect(turns).toEqual([0, 1, 0, 2])
      expect(tried.length).toBe(13)
    })
  )

  itEffect("are not searched for longer than a thousand runs", () =>
    Effect.gen(function* () {
      const { tried, turns } = yield* search([1, 1, 1, 1, 1, 1], () => false, 4)
      expect(turns).toEqual([1, 1, 1, 1, 1, 1])
      expect(tried.length).toBe(1_000)
    })
  )
})
