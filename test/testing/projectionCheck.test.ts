/** Projections that are right whatever happens, and wrong ones that the check finds. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { describe, expect } from "vitest"
import * as EventCatalog from "../../src/decider/EventCatalog.ts"
import * as Projection from "../../src/projections/Projection.ts"
import * as MemoryStore from "../../src/stores/memory/MemoryStore.ts"
import * as ProjectionCheck from "../../src/testing/projections/ProjectionCheck.ts"
import { itEffect } from "../support/it.ts"

const Events = EventCatalog.make({
  Paid: Schema.Struct({ account: Schema.String, amount: Schema.Int }),
  Closed: Schema.Struct({ account: Schema.String })
})

const paid = fc.record({ account: fc.constantFrom("a", "b"), amount: fc.integer({ min: 1, max: 9 }) })
const event = fc.oneof(
  paid.map((payload) => ({ eventType: "Paid", payload })),
  fc.record({ account: fc.constantFrom("a", "b") }).map((payload) => ({ eventType: "Closed", payload }))
)
const appends = fc.array(fc.array(event, { minLength: 1, maxLength: 3 }), { maxLength: 4 })

/** A query model in memory: emptied by `open`, so that every run starts with none. */
const inMemory = (handle: (balances: Map<string, number>, seen: { last: number }) => Projection.Projection) => {
  const balances = new Map<string, number>()
  const seen = { last: 0 }
  const open = Effect.tap(MemoryStore.make(), () =>
    Effect.sync(() => {
      balances.clear()
      seen.last = 0
    })
  )
  return {
    projection: handle(balances, seen),
    open,
    appends,
    model: () => Effect.sync(() => Object.fromEntries([...balances].sort()))
  }
}

const add = (
  balances: Map<string, number>,
  { account, amount }: { readonly account: string; readonly amount: number }
) => balances.set(account, (balances.get(account) ?? 0) + amount)

describe("a projection elsewhere", () => {
  itEffect("that leaves out what it has seen comes to the same query model, whatever happens", () =>
    Effect.gen(function* () {
      const verdict = yield* ProjectionCheck.check({
        ...inMemory((balances, seen) =>
          Projection.elsewhere({
            name: "balances",
            events: Events,
            reset: () => {
              balances.clear()
              seen.last = 0
            },
            handle: (events) => {
              for (const { event, record } of events) {
                if (record.sequenceNumber <= seen.last) continue
                seen.last = record.sequenceNumber
                if (event.eventType === "Paid") add(balances, event.payload)
                else balances.delete(event.payload.account)
              }
            }
          })
        ),
        runs: 15
      })
      expect(verdict.explanation).toContain("came to the same query model")
      ProjectionCheck.assert(verdict)
      expect(verdict.runs).toBe(15)
    })
  )

  itEffect("that adds up what it is given twice is found out, with the smallest list of appends", () =>
    Effect.gen(function* () {
      const verdict = yield* ProjectionCheck.check(
        inMemory((balances) =>
          Projection.elsewhere({
            name: "balances",
            events: Events,
            reset: () => balances.clear(),
            handle: (events) => {
              for (const { event } of events) if (event.eventType === "Paid") add(balances, event.payload)
            }
          })
        )
      )
      expect(verdict.holds).toBe(false)
      expect(verdict.counterExample?.appends).toEqual([[{ eventType: "Paid", payload: { account: "a", amount: 1 } }]])
      expect(verdict.counterExample?.disturbance).toContain("after the handler, before the cursor moves")
      expect(verdict.counterExample?.expected).toEqual({ a: 1 })
      expect(verdict.counterExample?.found).toEqual({ a: 2 })
      expect(() => ProjectionCheck.assert(verdict)).toThrow(ProjectionCheck.ProjectionBroken)
      expect(verdict.explanation).toContain('1. Paid { account: "a", amount: 1 }')
    })
  )

  itEffect("whose query model is not emptied before a rebuild is found out", () =>
    Effect.gen(function* () {
      const verdict = yield* ProjectionCheck.check(
        inMemory((balances, seen) =>
          Projection.elsewhere({
            name: "balances",
            events: Events,
            reset: () => void (seen.last = 0),
            handle: (events) => {
              for (const { event, record } of events) {
                if (record.sequenceNumber <= seen.last) continue
                seen.last = record.sequenceNumber
                if (event.eventType === "Paid") add(balances, event.payload)
              }
            }
          })
        )
      )
      expect(verdict.counterExample?.disturbance).toContain("rebuilt")
      expect(verdict.counterExample?.found).toEqual({ a: 2 })
    })
  )

  itEffect("that depends on how often its handler was called is found out", () =>
    Effect.gen(function* () {
      let calls = 0
      const definition = inMemory((balances, seen) =>
        Projection.elsewhere({
          name: "calls",
          events: Events,
          reset: () => balances.clear(),
          handle: (events) => {
            const { sequenceNumber } = events[0]!.record
            if (sequenceNumber <= seen.last) return
            seen.last = events.at(-1)!.record.sequenceNumber
            balances.set("calls", ++calls)
          }
        })
      )
      const verdict = yield* ProjectionCheck.check(definition)
      expect(verdict.holds).toBe(false)
    })
  )

  itEffect("is compared with what the events fold to, where that is given", () =>
    Effect.gen(function* () {
      const verdict = yield* ProjectionCheck.check({
        ...inMemory((balances) =>
          Projection.elsewhere({ name: "nothing", events: Events, handle: () => void balances.clear() })
        ),
        fold: (records) => ({ paid: records.filter(({ eventType }) => eventType === "Paid").length })
      })
      expect(verdict.counterExample).toMatchObject({ appends: [], expected: { paid: 0 }, found: {} })
    })
  )
})
