/** What each fault does to a call, and what it leaves in the log. Dispatch under faults is in faultyStoreDispatch. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as DurableStream from "../../src/stores/DurableStream.ts"
import type { EventBatch, NewEvent } from "../../src/stores/Event.ts"
import * as EventQuery from "../../src/stores/EventQuery.ts"
import type { EventStore } from "../../src/stores/EventStore.ts"
import type { EventStoreError } from "../../src/stores/EventStoreError.ts"
import { StorageFull } from "../../src/stores/EventStoreError.ts"
import * as MemoryStore from "../../src/stores/memory/MemoryStore.ts"
import { FaultyStore } from "../../src/testing/index.ts"
import { itEffect } from "../support/it.ts"

const event = (eventType: string): NewEvent => ({ eventType, payload: { a: 1 } })
const a = EventQuery.ofTypes("A")

const faulty = (plan: FaultyStore.FaultPlan) =>
  Effect.map(MemoryStore.make(), (right) => ({ right, store: FaultyStore.make(right, plan) }))

const typesIn = (store: EventStore) =>
  Effect.map(store.query(), ({ eventRecords }) => eventRecords.map(({ eventType }) => eventType))

const reasonOf = <A>(effect: Effect.Effect<A, EventStoreError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

type Append = (store: EventStore) => Effect.Effect<unknown, EventStoreError>

/** The three appends, each of one event of type B, on an empty context of A. */
const appends: Record<"append" | "appendIf" | "appendBatchesIf", Append> = {
  append: (store: EventStore) => store.append([event("B")]),
  appendIf: (store: EventStore) => store.appendIf([event("B")], a, null),
  appendBatchesIf: (store: EventStore) => store.appendBatchesIf([[event("B")]], a, null)
}

describe("an append", () => {
  for (const [operation, append] of Object.entries(appends)) {
    itEffect(
      `by ${operation} that fails before it reaches the store records nothing, and the next one goes through`,
      () =>
        Effect.gen(function* () {
          const { right, store } = yield* faulty({ appends: FaultyStore.on(1, FaultyStore.unavailable) })
          expect(yield* reasonOf(append(store))).toMatchObject({ _tag: "StoreUnavailable", retryable: true })
          expect(yield* typesIn(right)).toEqual([])
          yield* append(store)
          expect(yield* typesIn(right)).toEqual(["B"])
          expect(store.struck).toMatchObject([{ call: { nth: 1, operation }, fault: { _tag: "Failure" } }])
        })
    )

    itEffect(`by ${operation} whose answer is lost is committed under the id that the error names`, () =>
      Effect.gen(function* () {
        const { right, store } = yield* faulty({ appends: FaultyStore.on(1, FaultyStore.lostAnswer) })
        const error = yield* Effect.flip(append(store))
        expect(error.mayHaveCommitted).toBe(true)
        const [recorded] = (yield* right.query()).eventRecords
        expect(error.reason).toMatchObject({ _tag: "CommitUnknown", commitId: recorded?.eventId })
      })
    )

    itEffect(`by ${operation} that is lost itself is not committed, and looks the same`, () =>
      Effect.gen(function* () {
        const { right, store } = yield* faulty({ appends: FaultyStore.on(1, FaultyStore.lostAppend) })
        expect(yield* reasonOf(append(store))).toMatchObject({ _tag: "CommitUnknown", commitId: expect.any(String) })
        expect(yield* typesIn(right)).toEqual([])
      })
    )
  }

  itEffect("whose answer is lost and that the store refused records nothing, and nobody can tell", () =>
    Effect.gen(function* () {
      const { right, store } = yield* faulty({ appends: FaultyStore.always(FaultyStore.lostAnswer) })
      yield* right.append([event("A")])
      expect((yield* reasonOf(appends.appendIf(store)))._tag).toBe("CommitUnknown")
      expect(yield* typesIn(right)).toEqual(["A"])
    })
  )

  itEffect("can be repeated under its idempotency key when the answer was lost, and is recorded once", () =>
    Effect.gen(function* () {
      const { right, store } = yield* faulty({ appends: FaultyStore.on(1, FaultyStore.lostAnswer) })
      const append = store.append([event("B")], { idempotencyKey: "k" })
      const lost = yield* reasonOf(append)
      const { commitId } = yield* append
      expect(lost).toMatchObject({ commitId })
      expect(yield* typesIn(right)).toEqual(["B"])
    })
  )

  itEffect("with a condition is refused with what the context holds, and is not revised", () =>
    Effect.gen(function* () {
      const { right, store } = yield* faulty({ appends: FaultyStore.always(FaultyStore.conflict) })
      yield* right.append([event("A"), event("B")])
      const options = { conflictTail: true, headSequenceNumber: null, revise: () => [[event("B")]] }
      const conflict = yield* reasonOf(store.appendBatchesIf([[event("B")]], a, null, options))
      expect(conflict).toMatchObject({ _tag: "ConditionalAppendConflict", expected: null, actual: 1 })
      expect(conflict).toMatchObject({ headSequenceNumber: 2, tail: [{ eventType: "A", sequenceNumber: 1 }] })
      const same = yield* reasonOf(store.appendIf([event("B")], a, 1))
      expect(same).toMatchObject({ expected: 1, actual: 1, tail: undefined })
      expect(yield* typesIn(right)).toEqual(["A", "B"])
    })
  )

  itEffect("without a condition is not struck by a conflict", () =>
    Effect.gen(function* () {
      const { right, store } = yield* faulty({ appends: FaultyStore.always(FaultyStore.conflict) })
      yield* appends.append(store)
      expect(yield* typesIn(right)).toEqual(["B"])
    })
  )

  itEffect("that is overtaken finds the other's events in the log: a conflict where they are of its context", () =>
    Effect.gen(function* () {
      const overtaken = FaultyStore.inOrder(
        FaultyStore.overtakenBy(event("C")),
        FaultyStore.overtakenBy(event("A"), event("A"))
      )
      const { right, store } = yield* faulty({ appends: overtaken })
      yield* appends.appendIf(store)
      expect(yield* reasonOf(appends.appendIf(store))).toMatchObject({ _tag: "ConditionalAppendConflict", actual: 4 })
      expect(yield* typesIn(right)).toEqual(["C", "B", "A", "A"])
    })
  )

  itEffect("that is delayed takes its time before and after", () =>
    Effect.gen(function* () {
      const { right, store } = yield* faulty({
        appends: FaultyStore.always(FaultyStore.delayed({ before: "1 minute", after: "1 hour" }))
      })
      const slept: Array<[minutes: number, events: number]> = []
      const clock: Clock.Clock = {
        ...(yield* Clock.Clock),
        sleep: (duration) =>
          Effect.map(
            Effect.orDie(typesIn(right)),
            (types) => void slept.push([Duration.toMinutes(duration), types.length])
          )
      }
      yield* Effect.provideService(appends.append(store), Clock.Clock, clock)
      expect(slept).toEqual([
        [1, 0],
        [60, 1]
      ])
    })
  )
})

describe("a read", () => {
  itEffect("fails for any reason that is asked for, and is counted apart from appends", () =>
    Effect.gen(function* () {
      const full = FaultyStore.failing(new StorageFull({ code: "X" }))
      const { store } = yield* faulty({ queries: FaultyStore.on(2, full) })
      yield* appends.append(store)
      yield* store.query()
      expect((yield* reasonOf(store.query(a)))._tag).toBe("StorageFull")
      yield* store.query()
      expect(store.struck).toMatchObject([{ call: { nth: 2, operation: "query", query: a } }])
    })
  )
})

type Handler = (batch: EventBatch) => Effect.Effect<void>

const retry = Schedule.recurs(3)
const stream = Result.getOrThrow(DurableStream.make("s"))
const ab = EventQuery.ofTypes("A", "B")

/** All streams, of events of two types. */
const streams = {
  streamAll: (store: EventStore, handler: Handler) => store.streamAll(handler, { retry }),
  streamTo: (store: EventStore, handler: Handler) => store.streamTo(ab, handler, { retry }),
  streamAllDurable: (store: EventStore, handler: Handler) => store.streamAllDurable(stream, handler, { retry }),
  streamToDurable: (store: EventStore, handler: Handler) => store.streamToDurable(stream, ab, handler, { retry })
}

describe("a stream", () => {
  for (const [operation, start] of Object.entries(streams)) {
    const register = (store: EventStore, handler: (types: ReadonlyArray<string>) => void) =>
      start(store, (batch) => Effect.sync(() => handler(batch.map(({ eventType }) => eventType))))

    itEffect(`of ${operation} is not registered where the registration fails`, () =>
      Effect.gen(function* () {
        const { store } = yield* faulty({ registrations: FaultyStore.on(1, FaultyStore.unavailableForGood) })
        expect(yield* reasonOf(register(store, () => {}))).toMatchObject({ retryable: false })
        yield* register(store, () => {})
        expect(store.struck.map(({ call }) => call.operation)).toEqual([operation])
      })
    )

    itEffect(
      `of ${operation} gets a batch again when its success was lost, and later when it could not be delivered`,
      () =>
        Effect.gen(function* () {
          const deliveries = FaultyStore.inOrder(FaultyStore.lostSuccess, undefined, FaultyStore.unavailable)
          const { store } = yield* faulty({ deliveries })
          const seen: Array<ReadonlyArray<string>> = []
          const stream = yield* register(store, (types) => seen.push(types))
          yield* store.append([event("A")])
          yield* stream.caughtUp
          expect(seen).toEqual([["A"], ["A"]])
          yield* store.append([event("B")])
          yield* stream.caughtUp
          expect(seen).toEqual([["A"], ["A"], ["B"]])
          expect(store.struck.map(({ call }) => call.nth)).toEqual([1, 3])
        })
    )
  }
})

describe("a member that is not known", () => {
  itEffect("passes through", () =>
    Effect.gen(function* () {
      const right = { ...(yield* MemoryStore.make()), another: () => "another" }
      const store = FaultyStore.make(right, {}) as FaultyStore.FaultyStore & typeof right
      expect(store.another()).toBe("another")
    })
  )
})

describe("a plan", () => {
  const call = (nth: number): FaultyStore.Call => ({ nth, operation: "append", query: undefined })
  const faultsOf = (plan: FaultyStore.FaultPlan) =>
    Array.from({ length: 30 }, (_, index) => plan.appends?.(call(index + 1))?._tag)

  it("strikes from the call on that is named, and no other", () => {
    const struck = (choice: FaultyStore.Choice<string>) => [1, 2, 3, 4].map((nth) => choice(call(nth)) ?? "-").join("")
    expect(struck(FaultyStore.on(3, "x"))).toBe("--x-")
    expect(struck(FaultyStore.always("x"))).toBe("xxxx")
    expect(struck(FaultyStore.always("x", 3))).toBe("--xx")
    expect(struck(FaultyStore.inOrder("x", undefined, "y"))).toBe("x-y-")
  })

  it("of a seed is the same one each time, and another one for another seed", () => {
    expect(faultsOf(FaultyStore.seeded(1))).toEqual(faultsOf(FaultyStore.seeded(1)))
    expect(new Set([1, 2, 3, 4, 5].map((seed) => faultsOf(FaultyStore.seeded(seed)).join())).size).toBe(5)
  })

  it("that is generated has every kind of fault, few of each, and none after its last call", () => {
    const plans = fc.sample(FaultyStore.plans({ calls: 10 }), { seed: 5, numRuns: 100 }).map(faultsOf)
    const tags = new Set(plans.flat())
    expect(tags).toEqual(new Set([undefined, "Conflict", "LostAnswer", "Failure", "Delay"]))
    expect(plans.flatMap((faults) => faults.slice(10)).every((fault) => fault === undefined)).toBe(true)
    const none = fc.sample(FaultyStore.plans({ appends: [] }), { seed: 5, numRuns: 20 }).flatMap(faultsOf)
    expect(none.every((fault) => fault === undefined)).toBe(true)
  })

  it("shrinks to the one fault that matters", () => {
    const { counterexample } = fc.check(
      fc.property(FaultyStore.plans(), (plan) => !faultsOf(plan).includes("LostAnswer")),
      { seed: 5 }
    )
    const shrunk = faultsOf(counterexample![0])
    expect(shrunk.filter((fault) => fault !== undefined)).toEqual(["LostAnswer"])
    expect(shrunk[0]).toBe("LostAnswer")
  })
})
