/** The ticket race in one process: exactly the seats are sold, everybody else is turned away, and nobody conflicts. */
import { EventStore, layerDispatcher, MemoryStore } from "evolvent"
import { PostgresStore } from "evolvent/postgres"
import { SqliteStore } from "evolvent/sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { describe, expect } from "vitest"
import { SaleId, TicketEvents, TicketId } from "../../examples/tickets/events.ts"
import type { Answers, RaceOptions } from "../../examples/tickets/race.ts"
import { broken, race } from "../../examples/tickets/race.ts"
import { seatsLeft } from "../../examples/tickets/seatsLeft.ts"
import { itEffect } from "../support/it.ts"
import { ownSchema } from "../support/postgres.ts"
import { temporaryFile } from "../support/stores.ts"

const options: RaceOptions = { saleId: "summer", buyers: 300, capacity: 100, concurrency: 128, name: "buyer" }

const stores = {
  memory: Effect.succeed(MemoryStore.layer()),
  sqlite: Effect.map(temporaryFile, (file) => SqliteStore.layer({ file })),
  postgres: Effect.map(ownSchema, ({ schema, url }) => PostgresStore.layer({ url, schema }))
}

for (const [name, store] of Object.entries(stores)) {
  describe(`the race on ${name}`, () => {
    itEffect("sells 100 seats to 300 buyers without a conflict", () =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        const onProgress = ({ accepted, gaveUp, soldOut }: Answers) => void seen.push(accepted + soldOut + gaveUp)
        const program = Effect.gen(function* () {
          const result = yield* race({ ...options, onProgress })
          return { result, left: yield* seatsLeft(SaleId.make("summer")) }
        })
        const layer = Layer.provideMerge(layerDispatcher(), yield* store)
        const { left, result } = yield* Effect.provide(program, layer)
        expect(result).toEqual({
          attempts: 300,
          accepted: 100,
          soldOut: 200,
          gaveUp: 0,
          recordedEvents: 100,
          ownEvents: 100,
          conflicts: 0,
          elapsedMs: expect.any(Number)
        })
        expect(left).toBe(0)
        expect(broken(result, 100)).toBeUndefined()
        expect(seen).toEqual(Array.from({ length: 300 }, (_, index) => index + 1))
      })
    )

    itEffect("sells everything there is when there are fewer buyers than seats, and nothing without seats", () =>
      Effect.gen(function* () {
        const program = Effect.gen(function* () {
          const few = yield* race({ ...options, saleId: "few", buyers: 7 })
          const none = yield* race({ ...options, saleId: "none", capacity: 0 })
          return { few, none, left: yield* seatsLeft(SaleId.make("few")) }
        })
        const layer = Layer.provideMerge(layerDispatcher(), yield* store)
        const { few, left, none } = yield* Effect.provide(program, layer)
        expect(few).toMatchObject({ accepted: 7, soldOut: 0, recordedEvents: 7 })
        expect(none).toMatchObject({ accepted: 0, soldOut: 300, recordedEvents: 0 })
        expect(left).toBe(93)
      })
    )

    itEffect("goes on with the seats of a sale that is open, two races at once", () =>
      Effect.gen(function* () {
        const program = Effect.gen(function* () {
          const names = ["first", "second"]
          const results = yield* Effect.forEach(names, (buyers) => race({ ...options, name: buyers }), {
            concurrency: "unbounded"
          })
          return results
        })
        const layer = Layer.provideMerge(layerDispatcher(), yield* store)
        const results = yield* Effect.provide(program, layer)
        expect(results.reduce((sum, result) => sum + result.accepted, 0)).toBe(100)
        for (const result of results) expect(broken(result, 100)).toBeUndefined()
      })
    )
  })
}

/** Every append meets somebody who was quicker. */
const contested = Layer.effect(
  EventStore,
  Effect.map(MemoryStore.make(), (store): EventStore => ({
    ...store,
    appendBatchesIf: (batches, query, expected, options) =>
      Effect.andThen(
        query.filters?.some(({ eventTypes }) => eventTypes?.includes("TicketSold"))
          ? store.append([TicketEvents.encode(rival).pipe(Result.getOrThrow)])
          : Effect.void,
        store.appendBatchesIf(batches, query, expected, { ...options, revise: undefined })
      )
  }))
)

const rival = TicketEvents.TicketSold({
  saleId: SaleId.make("summer"),
  ticketId: TicketId.make("rival"),
  buyer: "rival"
})

describe("a race in which others are always quicker", () => {
  itEffect("counts the buyers who gave up as such, and none of them has a ticket", () =>
    Effect.gen(function* () {
      const program = race({ ...options, buyers: 20, capacity: 1_000 })
      const result = yield* Effect.provide(program, Layer.provideMerge(layerDispatcher(), contested))
      expect(result).toMatchObject({ attempts: 20, accepted: 0, soldOut: 0, gaveUp: 20, ownEvents: 0 })
      expect(result.recordedEvents).toBe(result.conflicts)
      expect(broken(result, 1_000)).toBeUndefined()
    })
  )
})

describe("what is broken about a race", () => {
  const kept = {
    attempts: 6,
    accepted: 3,
    soldOut: 2,
    gaveUp: 1,
    recordedEvents: 3,
    ownEvents: 3,
    conflicts: 0,
    elapsedMs: 1
  }

  itEffect("is said in words, and nothing when nothing is", () =>
    Effect.sync(() => {
      expect(broken(kept, 3)).toBeUndefined()
      expect(broken({ ...kept, recordedEvents: 4 }, 3)).toBe("4 tickets were sold for 3 seats")
      expect(broken({ ...kept, soldOut: 1 }, 3)).toBe("6 buyers got 5 answers")
      expect(broken({ ...kept, gaveUp: 0 }, 3)).toBe("6 buyers got 5 answers")
      expect(broken({ ...kept, ownEvents: 2 }, 3)).toContain("3 buyers were told that they have a ticket, 2 are")
      expect(broken({ ...kept, accepted: 2, gaveUp: 2 }, 3)).toContain("2 buyers were told that they have a ticket, 3")
      expect(broken(kept, 4)).toBe("a buyer was turned away though 1 seats were left")
    })
  )
})
