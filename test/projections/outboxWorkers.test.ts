/** Workers of an outbox: how many effects at once, who carries out what, what a late worker can still do, and how they end. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { describe, expect } from "vitest"
import { CommandMetadata, withMetadata } from "../../src/dispatch/CommandMetadata.ts"
import * as Reactor from "../../src/decider/Reactor.ts"
import type { EventStore } from "../../src/stores/EventStore.ts"
import { fromReason, StoreUnavailable } from "../../src/stores/EventStoreError.ts"
import * as MemoryStore from "../../src/stores/memory/MemoryStore.ts"
import { eventually, inTime, range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"
import { cards, entriesOf, invited, letters, running, settledNow, until, watched } from "./outboxes.ts"

/** An effect that waits for the gate, and whether it runs at the moment. */
const gated = Effect.map(Deferred.make<void>(), (gate) => {
  const seen = { inside: 0, most: 0, finished: 0 }
  const pass = Effect.gen(function* () {
    seen.inside += 1
    seen.most = Math.max(seen.most, seen.inside)
    yield* Deferred.await(gate)
    seen.inside -= 1
    seen.finished += 1
  })
  return { seen, pass, open: Deferred.succeed(gate, undefined) }
})

const patient = { timeout: "20 seconds" } as const

/** The store, with leases of entries that end after so many milliseconds, whatever was asked for. */
const withLeases = (store: EventStore, leaseMs: number): EventStore => ({
  ...store,
  workspace: {
    ...store.workspace,
    transaction: (work, options) =>
      store.workspace.transaction(
        (tx) =>
          work({
            ...tx,
            outbox: {
              ...tx.outbox,
              lease: (name, limit, _, holder) => tx.outbox.lease(name, limit, leaseMs, holder)
            }
          }),
        options
      )
  }
})

/** What a worker may come back with. */
const lateOutcomes: ReadonlyArray<readonly [string, Effect.Effect<void, string>]> = [
  ["succeeds", Effect.void],
  ["fails", Effect.fail("no")]
]

for (const under of stores) {
  describe(`the workers of an outbox on ${under.name}`, () => {
    itEffect("carry out so many at once and no more, and go on as soon as there is room", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const { open, pass, seen } = yield* gated
        const { outbox } = watched({ ...patient, concurrency: 3 }, () => pass)
        yield* store.append(invited(...range(1, 10).map(String)))
        const outboxRun = yield* running(store, outbox)
        yield* eventually("three are being carried out", () => seen.inside === 3)
        expect(yield* outboxRun.status).toMatchObject({ running: 3, waiting: 20 })
        expect((yield* entriesOf(store)).filter(({ attempts }) => attempts > 0)).toHaveLength(3)
        yield* open
        yield* settledNow(store, outboxRun)
        expect(seen).toEqual({ inside: 0, most: 3, finished: 20 })
      })
    )

    for (const [outcome, send] of lateOutcomes) {
      itEffect(`fence each other: one that ${outcome} too late changes nothing that another one has leased`, () =>
        Effect.gen(function* () {
          const store = yield* under.make
          const { open, pass } = yield* gated
          const options = { ...patient, attempts: 2, reactor: cards, concurrency: 1 }
          const { attempts, outbox } = watched(options, () => Effect.andThen(pass, send))
          yield* store.append(invited("ann"))
          const { status } = yield* running(withLeases(store, 1), outbox)
          yield* eventually("it is being carried out", () => attempts.length === 1)
          const lease = store.workspace.transaction((tx) => tx.outbox.lease("cards", 1, 60_000, "another one"))
          const [taken] = yield* until("its lease has ended", lease, ({ length }) => length === 1)
          expect(taken!.attempts).toBe(2)
          yield* open
          yield* until("it has come back", status, ({ running }) => running === 0)
          yield* store.append(invited("bob"))
          yield* eventually("it has written down what it could", () => attempts.some(({ to }) => to.startsWith("bob")))
          expect((yield* entriesOf(store, "cards"))[0]).toEqual({ ...taken, failure: "another one" })
          yield* store.workspace.transaction((tx) => tx.outbox.acknowledge(taken!, 2))
        })
      )
    }

    itEffect("end gracefully: nothing new starts, what runs is finished and acknowledged", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const { open, pass, seen } = yield* gated
        const { attempts, outbox } = watched({ ...patient, concurrency: 2 }, () => pass)
        yield* store.append(invited("ann", "bob"))
        const scope = yield* Scope.make()
        yield* Scope.provide(running(store, outbox), scope)
        yield* eventually("two are being carried out", () => seen.inside === 2)
        const closing = yield* Effect.forkScoped(Scope.close(scope, Exit.void), { startImmediately: true })
        yield* store.append(invited("cid"))
        yield* Effect.yieldNow
        expect(seen.finished).toBe(0)
        expect(closing.pollUnsafe()).toBeUndefined()
        yield* open
        yield* inTime(Fiber.await(closing), "it has ended")
        expect(seen.finished).toBe(2)
        expect(attempts).toHaveLength(2)
        expect((yield* entriesOf(store)).every((entry) => entry.attempts === 0)).toBe(true)
        expect((yield* entriesOf(store)).length).toBeGreaterThanOrEqual(2)
      })
    )

    itEffect("give back what they have leased when they end before it has begun", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const [asked, answer] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const slowly = { ...store, workspace: { ...store.workspace } }
        slowly.workspace.transaction = (work, options) =>
          store.workspace.transaction((tx) => {
            const lease: typeof tx.outbox.lease = (...what) =>
              Effect.tap(tx.outbox.lease(...what), ({ length }) =>
                length > 0 ? Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(answer)) : Effect.void
              )
            return work({ ...tx, outbox: { ...tx.outbox, lease } })
          }, options)
        const { attempts, outbox } = watched({ ...patient, reactor: cards, attempts: 1 })
        yield* store.append(invited("ann"))
        const scope = yield* Scope.make()
        yield* running(slowly, outbox).pipe(Scope.provide(scope))
        yield* inTime(Deferred.await(asked), "it is being leased")
        const ending = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
        yield* Effect.sleep("20 millis")
        yield* Deferred.succeed(answer, undefined)
        yield* inTime(Fiber.join(ending), "it ends")
        expect(attempts).toEqual([])
        expect(yield* entriesOf(store, "cards")).toMatchObject([{ attempts: 0, failure: undefined }])
      })
    )

    itEffect("run every effect as caused by its event, with the services of whoever runs the outbox", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const seen: Array<unknown> = []
        const { outbox } = watched({ reactor: cards }, () =>
          Effect.map(CommandMetadata, (metadata) => void seen.push(metadata))
        )
        const [first] = (yield* store.append(invited("ann"))).eventRecords
        const correlated = { ...invited("bob")[0]!, metadata: { correlationId: "c", actor: "the guest" } }
        const [second] = (yield* store.append([correlated])).eventRecords
        const outboxRun = yield* withMetadata({ actor: "the outbox" })(running(store, outbox))
        yield* settledNow(store, outboxRun)
        expect(seen).toEqual([
          { actor: "the outbox", causationId: first!.eventId, correlationId: first!.eventId },
          { actor: "the outbox", causationId: second!.eventId, correlationId: "c" }
        ])
      })
    )

    itEffect("end with the store, though something is left to be written down", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const store = yield* Scope.provide(under.make, scope)
        const { open, pass, seen } = yield* gated
        const { outbox } = watched({ timeout: "1 minute", reactor: cards }, () => pass)
        yield* store.append(invited("ann"))
        const outboxScope = yield* Scope.make()
        const { status } = yield* Scope.provide(running(store, outbox), outboxScope)
        yield* eventually("it is being carried out", () => seen.inside === 1)
        yield* Scope.close(scope, Exit.void)
        yield* open
        yield* inTime(Scope.close(outboxScope, Exit.void), "it has ended")
        expect(seen.finished).toBe(1)
        expect(yield* Effect.flip(status)).toMatchObject({ reason: { _tag: "StoreClosed" } })
      })
    )
  })

  const { reopen } = under
  if (reopen === undefined) continue
  describe(`two processes with one outbox on ${under.name}`, () => {
    itEffect("share what there is, each reaction once, one process filling and both carrying out", () =>
      Effect.gen(function* () {
        const open = yield* reopen
        const first = yield* open
        const second = yield* open
        const gate = yield* gated
        const one = watched({ ...patient, concurrency: 2 }, () => gate.pass)
        const two = watched({ ...patient, concurrency: 3 }, () => gate.pass)
        yield* first.append(invited(...range(1, 10).map(String)))
        const runs = [yield* running(first, one.outbox), yield* running(second, two.outbox)] as const
        yield* eventually("both are busy", () => one.attempts.length === 2 && two.attempts.length === 3)
        const states = yield* Effect.forEach(runs, ({ status }) => status)
        expect(states.map(({ reactors }) => reactors[0]!.state).sort()).toEqual(["running", "waiting"])
        yield* gate.open
        for (const it of runs) yield* settledNow(first, it)
        const keys = [...one.attempts, ...two.attempts].map(({ idempotencyKey }) => idempotencyKey)
        expect(keys).toHaveLength(20)
        expect(new Set(keys).size).toBe(20)
        expect(yield* runs[1].status).toMatchObject({ waiting: 0, dead: 0 })
      })
    )

    itEffect("carry out once what one of them has leased and could not read before its lease was over", () =>
      Effect.gen(function* () {
        const open = yield* reopen
        const first = yield* open
        const second = yield* open
        const [isReading, mayRead] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const { page } = first.workspace
        const slowly: typeof page = (...read) =>
          Deferred.succeed(isReading, undefined).pipe(
            Effect.andThen(Deferred.await(mayRead)),
            Effect.andThen(page(...read))
          )
        const late = watched({ reactor: cards })
        const other = watched({ reactor: cards }, () => Deferred.succeed(mayRead, undefined))
        yield* first.append(invited("ann"))
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* running({ ...first, workspace: { ...first.workspace, page: slowly } }, late.outbox)
            yield* inTime(Deferred.await(isReading), "it is leased")
            yield* settledNow(second, yield* running(second, other.outbox))
          })
        )
        expect([late.attempts.length, other.attempts.length]).toEqual([0, 1])
      })
    )
  })
}

describe("a worker", () => {
  itEffect("wakes at once when this process has filled something, and polls for what others have", () =>
    Effect.gen(function* () {
      const store = yield* MemoryStore.make()
      const { outbox, to } = watched({ reactor: cards })
      const { settled } = yield* running(store, outbox, { poll: "1 hour" })
      for (const n of range(1, 5)) {
        yield* store.append(invited(`${n}`))
        yield* inTime(settled(n), "it is carried out")
      }
      expect(to()).toHaveLength(5)
    })
  )

  itEffect("finds what comes due, however seldom it polls", () =>
    Effect.gen(function* () {
      const store = yield* MemoryStore.make()
      const { outbox, to } = watched({ reactor: cards }, ({ attempt }) =>
        attempt < 5 ? Effect.fail("no") : Effect.void
      )
      yield* store.append(invited("ann"))
      const outboxRun = yield* running(store, outbox, { poll: "1 hour" })
      yield* eventually("it was tried five times", () => to().length === 5)
      yield* settledNow(store, outboxRun)
    })
  )

  itEffect("lets no reactor of a merged one hold up another", () =>
    Effect.gen(function* () {
      const store = yield* MemoryStore.make()
      const { open, pass } = yield* gated
      const { outbox, to } = watched({ ...patient, reactor: Reactor.merge(letters, cards), concurrency: 1 }, () => pass)
      yield* store.append(invited(...range(1, 20).map(String)))
      const outboxRun = yield* running(store, outbox)
      yield* until("all is filled", outboxRun.status, ({ waiting }) => waiting === 60)
      yield* open
      yield* settledNow(store, outboxRun)
      expect(
        to()
          .slice(0, 10)
          .filter((it) => it.endsWith("by card")).length
      ).toBeGreaterThan(2)
    })
  )

  itEffect("outlasts an outage, carries nothing out twice for it, and then goes on", () =>
    Effect.gen(function* () {
      const store = yield* MemoryStore.make()
      const { open, pass, seen } = yield* gated
      const { attempts, outbox } = watched({ ...patient, reactor: cards, concurrency: 2 }, () => pass)
      let refused = 0
      let isDown = false
      const down = Effect.fail(fromReason(new StoreUnavailable({ code: "DOWN", operation: "write", retryable: true })))
      const { transaction } = store.workspace
      const shaky: EventStore = {
        ...store,
        workspace: {
          ...store.workspace,
          transaction: (work, options) =>
            Effect.suspend(() => {
              if (!isDown) return transaction(work, options)
              refused += 1
              return down
            })
        }
      }
      yield* store.append(invited("ann", "bob", "cid"))
      const outboxRun = yield* running(shaky, outbox)
      yield* eventually("two are being carried out", () => seen.inside === 2)
      isDown = true
      yield* open
      yield* eventually("the store has refused some", () => refused >= 3)
      isDown = false
      yield* settledNow(store, outboxRun)
      expect(attempts.map(({ to }) => to)).toEqual(["ann by card", "bob by card", "cid by card"])
      expect((yield* outboxRun.status).lastError).toMatchObject({ reason: { code: "DOWN" } })
    })
  )

  itEffect("ends although the store has gone and does not come back", () =>
    Effect.gen(function* () {
      const store = yield* MemoryStore.make()
      const { attempts, outbox } = watched({ reactor: cards, timeout: "50 millis", lease: "100 millis" })
      let isDown = false
      const down = Effect.fail(fromReason(new StoreUnavailable({ code: "DOWN", operation: "write", retryable: true })))
      const { transaction } = store.workspace
      const shaky: EventStore = {
        ...store,
        workspace: {
          ...store.workspace,
          transaction: (work, options) => Effect.suspend(() => (isDown ? down : transaction(work, options)))
        }
      }
      yield* store.append(invited("ann"))
      const scope = yield* Scope.make()
      const gone = watched({ reactor: cards, timeout: "50 millis", lease: "100 millis" }, () =>
        Effect.sync(() => (isDown = true))
      )
      yield* Scope.provide(running(shaky, gone.outbox), scope)
      yield* eventually("it was carried out", () => gone.attempts.length === 1)
      yield* inTime(Scope.close(scope, Exit.void), "it has ended")
      const outboxRun = yield* running(store, outbox)
      yield* settledNow(store, outboxRun)
      expect(attempts.map(({ attempt, idempotencyKey }) => [attempt, idempotencyKey])).toEqual([
        [2, gone.attempts[0]!.idempotencyKey]
      ])
    })
  )
})
