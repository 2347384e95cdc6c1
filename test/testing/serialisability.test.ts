/**
 * Whatever is dispatched at once to the ticket sale, some serial order of its deciders explains the log and every answer: in
 * generated turns, for real, and under faults. What catches wrong stores and handlers is in serialisabilityCatches.
 */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { FaultyStore, Serialisability } from "../../src/testing/index.ts"
import { itEffect } from "../support/it.ts"
import type { StoreUnderTest } from "../support/stores.ts"
import { stores } from "../support/stores.ts"
import { commands, neverOversold, opened } from "./serialisabilityTickets.ts"

const [memory, sqlite, , postgres] = stores as readonly [
  StoreUnderTest,
  StoreUnderTest,
  StoreUnderTest,
  StoreUnderTest,
  ...ReadonlyArray<StoreUnderTest>
]
const sale = { given: opened, commands, invariants: neverOversold, seed: 20_260_729 }

describe("the ticket sale is serialisable", () => {
  itEffect("in turns, on the memory store: two processes, eight commands at once", () =>
    Effect.gen(function* () {
      const { seen } = yield* Serialisability.assert({ ...sale, store: memory, mostAtOnce: 8, runs: 200 })
      expect(seen.runs).toBe(200)
      expect(seen.contended).toBeGreaterThan(25)
      expect(seen.accepted).toBeGreaterThan(250)
      expect(seen.rejected).toBeGreaterThan(250)
      expect(seen.nothingToDo).toBeGreaterThan(5)
    })
  )

  itEffect("in turns, on the memory store: four processes", () =>
    Effect.gen(function* () {
      const { seen } = yield* Serialisability.assert({ ...sale, store: memory, processes: 4, runs: 80 })
      expect(seen.contended).toBeGreaterThan(10)
    })
  )

  for (const store of [sqlite, postgres]) {
    itEffect(`in turns, each process with its own store on one log of ${store.name}`, () =>
      Effect.gen(function* () {
        const { seen } = yield* Serialisability.assert({ ...sale, store, runs: 12 })
        expect(seen.contended).toBeGreaterThan(0)
      })
    )

    itEffect(`for real, each process with its own store on one log of ${store.name}`, () =>
      Effect.gen(function* () {
        const options = { ...sale, store, interleaving: "real", processes: 3, mostAtOnce: 16 } as const
        const { seen } = yield* Serialisability.assert({ ...options, runs: 15 })
        expect(seen.runs).toBe(15)
        expect(seen.accepted).toBeGreaterThan(30)
        expect(seen.contended).toBeGreaterThan(0)
      })
    )
  }

  itEffect("under faults: nothing is recorded that was denied, nothing twice, and every other answer is right", () =>
    Effect.gen(function* () {
      const faults = FaultyStore.plans()
      const { seen } = yield* Serialisability.assert({ ...sale, store: memory, faults, runs: 120 })
      expect(seen.failed).toBeGreaterThan(15)
      expect(seen.accepted).toBeGreaterThan(100)
      expect(seen.rejected).toBeGreaterThan(50)
    })
  )
})
