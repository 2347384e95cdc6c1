/** What becomes of reactions that fail: they are tried again, later and later, and in the end they are dead until somebody says otherwise. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { describe, expect, it } from "vitest"
import { newHolder, settle } from "../../src/projections/internal/outboxAttempt.ts"
import { reviveDead } from "../../src/projections/internal/outboxDead.ts"
import * as Outbox from "../../src/projections/Outbox.ts"
import { ReactionTimedOut } from "../../src/projections/OutboxError.ts"
import { fromReason, StoreUnavailable } from "../../src/stores/EventStoreError.ts"
import * as MemoryStore from "../../src/stores/memory/MemoryStore.ts"
import * as Exit from "effect/Exit"
import { eventually, inTime, range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"
import { cards, entriesOf, invited, letters, running, settledNow, Unreadable, until, watched } from "./outboxes.ts"

const failing = (message: string) => Effect.fail(new RangeError(message))

for (const { make, name } of stores) {
  describe(`a reaction that fails on ${name}`, () => {
    itEffect("is tried again with the same key until it succeeds, while the others are carried out", () =>
      Effect.gen(function* () {
        const store = yield* make
        const { attempts, outbox, to } = watched({}, ({ attempt, to }) =>
          to === "ann" && attempt < 4 ? failing("not yet") : Effect.void
        )
        yield* store.append(invited("ann", "bob"))
        const { settled, status } = yield* running(store, outbox)
        yield* inTime(settled(2), "it is settled")
        const ofAnn = attempts.filter((attempt) => attempt.to === "ann")
        expect(ofAnn.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4])
        expect(new Set(ofAnn.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1)
        expect(to()).toHaveLength(7)
        expect(yield* status).toMatchObject({ waiting: 0, dead: 0, running: 0, lastError: { message: "not yet" } })
      })
    )

    itEffect("is dead after the last attempt, with the reason and without effect on the others", () =>
      Effect.gen(function* () {
        const store = yield* make
        const { attempts, outbox } = watched({ attempts: 3 }, ({ to }) =>
          to === "ann" ? failing("no\0such \ud800 guest") : Effect.void
        )
        yield* store.append(invited("ann"))
        const { dead, status, ...outboxRun } = yield* running(store, outbox)
        yield* settledNow(store, { dead, status, ...outboxRun })
        expect(attempts.map(({ to }) => to).sort()).toEqual(["ann", "ann", "ann", "host"])
        expect(yield* dead()).toEqual([
          {
            reactor: "letters",
            sequenceNumber: 1,
            place: 0,
            reaction: { to: "ann" },
            attempts: 3,
            failure: "RangeError: nosuch \ufffd guest"
          }
        ])
        expect(yield* status).toMatchObject({ waiting: 0, dead: 1 })
        // It stays dead.
        yield* store.append(invited("bob"))
        yield* settledNow(store, { dead, status, ...outboxRun })
        expect(attempts).toHaveLength(6)
      })
    )

    itEffect("is alive for as many attempts again when it is revived, this one or all", () =>
      Effect.gen(function* () {
        const store = yield* make
        let isDown = true
        const { attempts, outbox } = watched({ attempts: 2, reactor: cards }, () =>
          isDown ? failing("down") : Effect.void
        )
        yield* store.append(invited("ann", "bob", "cid"))
        const outboxRun = yield* running(store, outbox, { poll: "1 hour" })
        const { dead, revive } = outboxRun
        const deadOnes = until("they are dead", dead(), (all) => all.length === 3)
        const bob = (yield* deadOnes)[1]!
        expect(yield* revive([bob, { ...bob, place: 7 }, { ...bob, reactor: "other" }])).toBe(1)
        yield* until("it is dead again", dead(), (all) => all.some((it) => it.attempts === 4))
        expect(attempts.map(({ attempt, to }) => `${to} ${attempt}`).sort()).toEqual([
          "ann by card 1",
          "ann by card 2",
          "bob by card 1",
          "bob by card 2",
          "bob by card 3",
          "bob by card 4",
          "cid by card 1",
          "cid by card 2"
        ])
        expect((yield* dead()).map(({ failure }) => failure)).toEqual(Array(3).fill("RangeError: down"))
        isDown = false
        expect(yield* revive()).toBe(3)
        yield* settledNow(store, outboxRun)
        expect(yield* dead()).toEqual([])
        expect(
          attempts
            .slice(8)
            .map(({ attempt }) => attempt)
            .sort()
        ).toEqual([3, 3, 5])
      })
    )

    itEffect("can be dropped when it is dead, and only then", () =>
      Effect.gen(function* () {
        const store = yield* make
        const { attempts, outbox } = watched({ attempts: 1, reactor: cards }, () => failing("down"))
        yield* store.append(invited("ann", "bob", "cid"))
        const { dead, drop, revive } = yield* running(store, outbox)
        const all = yield* until("they are dead", dead(), ({ length }) => length === 3)
        expect(yield* dead({ limit: 2 })).toEqual(all.slice(0, 2))
        expect(yield* drop([all[0]!, all[2]!])).toBe(2)
        expect(yield* drop([all[0]!])).toBe(0)
        expect(yield* dead()).toEqual([all[1]])
        expect(yield* revive()).toBe(1)
        yield* until("it is dead again", dead(), ([first]) => first?.attempts === 2)
        expect(attempts).toHaveLength(4)
      })
    )

    itEffect("is interrupted when it does not settle in time, and that counts as a failure", () =>
      Effect.gen(function* () {
        const store = yield* make
        let interrupted = 0
        const { attempts, outbox } = watched({ attempts: 2, timeout: "40 millis", reactor: cards }, () =>
          Effect.onInterrupt(Effect.never, () => Effect.sync(() => (interrupted += 1)))
        )
        yield* store.append(invited("ann"))
        const { dead, status } = yield* running(store, outbox)
        const [ann] = yield* until("it is dead", dead(), (all) => all.length === 1)
        expect(ann!.failure).toBe(
          'evolvent/ReactionTimedOut: A reaction of "cards" took more than 40 ms: make it faster, or raise the timeout.'
        )
        expect((yield* status).lastError).toEqual(new ReactionTimedOut({ reactor: "cards", afterMs: 40 }))
        expect(attempts.map(({ signal }) => signal.aborted)).toEqual([true, true])
        yield* eventually("both are interrupted", () => interrupted === 2)
      })
    )

    itEffect("is not tried again when its process ended during the last attempt: that may have succeeded", () =>
      Effect.gen(function* () {
        const store = yield* make
        const { attempts, outbox } = watched({ attempts: 1, reactor: cards })
        yield* store.append(invited("ann"))
        // A process leases it for its one attempt, and is gone.
        const frozen = watched({ attempts: 1, reactor: cards }, () => Effect.never)
        const deaf = yield* Deferred.make<void>()
        const { transaction } = store.workspace
        let isGone = false
        const dying = {
          ...store,
          workspace: {
            ...store.workspace,
            transaction: ((work, options) =>
              isGone
                ? Effect.andThen(Deferred.await(deaf), Effect.never)
                : transaction(work, options)) as typeof transaction
          }
        }
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* running(dying, frozen.outbox)
            yield* eventually("it is being carried out", () => frozen.attempts.length === 1)
            isGone = true
          })
        )
        const { dead, revive, settled } = yield* running(store, outbox)
        const [ann] = yield* until("it is dead", dead(), (all) => all.length === 1)
        expect(ann!.failure).toContain("was not answered")
        expect(attempts).toEqual([])
        expect(yield* revive()).toBe(1)
        yield* inTime(settled(1), "it is settled")
        expect(attempts.map(({ attempt }) => attempt)).toEqual([2])
      })
    )
  })
}

describe("of the dead reactions", () => {
  itEffect("no other one is revived, though others are dropped and die meanwhile", () =>
    Effect.gen(function* () {
      const store = yield* stores.find(({ name }) => name === "postgres")!.make
      const { transaction } = store.workspace
      const [one, two, three] = range(1, 3).map((sequenceNumber) => ({ reactor: "cards", sequenceNumber, place: 0 }))
      yield* transaction(({ outbox }) =>
        Effect.gen(function* () {
          yield* outbox.put([one!, two!, three!].map((key) => ({ ...key, body: "{}" })))
          yield* outbox.lease("cards", 3, 60_000, "me")
          for (const key of [one!, two!]) yield* outbox.bury(key, 1, "bad")
        })
      )
      // As many are dead as before, but not the same ones. Somebody else's work, and so in a fiber of its own.
      const others = transaction(({ outbox }) =>
        Effect.gen(function* () {
          yield* outbox.revive("cards")
          yield* outbox.acknowledge(one!, 1)
          for (const key of [two!, three!]) yield* outbox.bury(key, 1, "bad")
        })
      )
      const meanwhile = Effect.promise(() => Effect.runPromise(others))
      let isDisturbed = false
      const disturbed: typeof transaction = (work, options) =>
        transaction((tx) => {
          const list: typeof tx.outbox.list = (...what) =>
            Effect.tap(tx.outbox.list(...what), () => {
              if (isDisturbed) return Effect.void
              isDisturbed = true
              return meanwhile
            })
          return work({ ...tx, outbox: { ...tx.outbox, list } })
        }, options)
      expect(yield* reviveDead({ ...store.workspace, transaction: disturbed }, ["cards"], [one!])).toBe(0)
      expect(yield* entriesOf(store, "cards", true)).toMatchObject([two!, three!])
    })
  )
})

describe("an attempt", () => {
  const kinds: ReadonlyArray<readonly [string, () => Outbox.Effort<never>, string | undefined]> = [
    ["an effect", () => Effect.void, undefined],
    ["an effect that fails", () => failing("a"), "RangeError: a"],
    ["an effect that dies", () => Effect.die(new TypeError("b")), "TypeError: b"],
    ["an effect that fails with a value", () => Effect.fail({ _tag: "Full", secret: "s" }), "Full"],
    ["a promise", () => Promise.resolve(1), undefined],
    ["a promise that rejects", () => Promise.reject(new SyntaxError("c")), "SyntaxError: c"],
    ["nothing", () => undefined, undefined],
    [
      "an exception",
      () => {
        throw new EvalError("d".repeat(2_000))
      },
      `EvalError: ${"d".repeat(989)}`
    ],
    [
      "an error whose message cannot be read",
      () => Effect.fail(new Unreadable()),
      "an error whose message cannot be read"
    ]
  ]
  for (const [what, carryOut, failure] of kinds) {
    itEffect(`may give ${what}`, () =>
      Effect.gen(function* () {
        const store = yield* MemoryStore.make()
        const outbox = Outbox.make({ reactor: cards, start: "beginning", attempts: 1, carryOut })
        yield* store.append(invited("ann"))
        const outboxRun = yield* running(store, outbox)
        yield* settledNow(store, outboxRun)
        expect((yield* outboxRun.dead()).map((dead) => dead.failure)).toEqual(failure === undefined ? [] : [failure])
      })
    )
  }

  itEffect("that cannot be interrupted does not take up a place after its time", () =>
    Effect.gen(function* () {
      const store = yield* MemoryStore.make()
      const hangs = () => new Promise(() => undefined)
      const outbox = Outbox.make({
        reactor: letters,
        start: "beginning",
        attempts: 1,
        timeout: "20 millis",
        concurrency: 1,
        carryOut: ({ to }) => (to === "ann" ? Effect.uninterruptible(Effect.promise(hangs)) : Effect.void)
      })
      yield* store.append(invited("ann"))
      const { dead, settled, status } = yield* running(store, outbox)
      yield* inTime(settled(1), "both are settled")
      expect((yield* dead()).map(({ place }) => place)).toEqual([0])
      expect((yield* status).running).toBe(0)
    })
  )

  itEffect("whose event cannot be read during an outage has not begun, and does not count", () =>
    Effect.gen(function* () {
      const store = yield* MemoryStore.make()
      let reads = 0
      const { page } = store.workspace
      const unreadable = fromReason(new StoreUnavailable({ code: "DOWN", operation: "read", retryable: true }))
      const workspace = {
        ...store.workspace,
        page: ((...read) => (++reads < 3 ? Effect.fail(unreadable) : page(...read))) as typeof page
      }
      const { attempts, outbox } = watched({ reactor: cards, attempts: 1 })
      yield* store.append(invited("ann"))
      const outboxRun = yield* running({ ...store, workspace }, outbox)
      yield* settledNow(store, outboxRun)
      expect(attempts.map(({ attempt }) => attempt)).toEqual([1])
    })
  )

  itEffect("that was not answered takes nothing from the next life", () =>
    Effect.gen(function* () {
      const store = yield* MemoryStore.make()
      const reaction = { reactor: "cards", sequenceNumber: 1, place: 0 }
      const { attempts, outbox } = watched({ attempts: 2, reactor: cards, start: "head" }, () => failing("down"))
      yield* store.append(invited("ann"))
      // A process has ended during the last attempt of two.
      yield* store.workspace.transaction((tx) =>
        Effect.gen(function* () {
          yield* tx.outbox.put([{ ...reaction, body: '{"to":"ann"}' }])
          for (const _ of range(1, 2)) yield* tx.outbox.lease("cards", 1, 0, newHolder())
        })
      )
      const { dead, revive } = yield* running(store, outbox)
      yield* until("it is dead", dead(), ([first]) => first?.attempts === 2)
      yield* revive()
      yield* until("it is dead again", dead(), ([first]) => first?.attempts === 4)
      expect(attempts.map(({ attempt }) => attempt)).toEqual([3, 4])
    })
  )

  itEffect("whose event is not in the log fails", () =>
    Effect.gen(function* () {
      const store = yield* MemoryStore.make()
      yield* store.workspace.transaction(({ outbox }) =>
        outbox.put([{ reactor: "cards", sequenceNumber: 9, place: 0, body: "{}" }])
      )
      const { attempts, outbox } = watched({ attempts: 2, reactor: cards })
      const { dead } = yield* running(store, outbox)
      const [gone] = yield* until("it is dead", dead(), (all) => all.length === 1)
      expect(gone!.failure).toBe('evolvent/ReactedEventMissing: Event 9, to which "cards" reacts, is not in the log.')
      expect(attempts).toEqual([])
    })
  )
})

describe("the time to the next attempt", () => {
  const definition = { attempts: 12, backOff: { first: 100, most: 5_000 } }
  const entry = { reactor: "r", sequenceNumber: 1, place: 0, body: "", failure: undefined, dead: false }

  /** What the attempts of one life are followed by. */
  const delays = (from: number) =>
    Effect.forEach(range(from, from + 11), (attempts) =>
      Effect.gen(function* () {
        const { write } = yield* settle(definition, { ...entry, attempts }, Exit.fail(new Error("x")))
        let written: number | undefined
        yield* write({
          postpone: (_key: unknown, _attempts: number, delayMs: number) =>
            Effect.sync(() => ((written = delayMs), true)),
          bury: () => Effect.succeed(true)
        } as never)
        return written
      })
    )

  it("is anything up to 100, 200, 400 ... at most 5,000 ms, in every life anew, until it is dead", () => {
    const most = [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000, 5_000]
    for (const from of [1, 13]) {
      for (const share of [0, 0.5, 1]) {
        const random = { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => share }
        const found = Effect.runSync(Effect.provideService(delays(from), Random.Random, random))
        expect(found).toEqual([...most.map((it) => it * share), undefined])
      }
    }
  })
})

describe("entries of others", () => {
  itEffect("are left alone", () =>
    Effect.gen(function* () {
      const store = yield* MemoryStore.make()
      yield* store.workspace.transaction(({ outbox }) =>
        outbox.put([{ reactor: "other", sequenceNumber: 1, place: 0, body: "{}" }])
      )
      const { outbox } = watched()
      yield* store.append(invited("ann"))
      const outboxRun = yield* running(store, outbox)
      yield* settledNow(store, outboxRun)
      expect(yield* outboxRun.status).toMatchObject({ waiting: 0 })
      expect(yield* entriesOf(store, "other")).toMatchObject([{ attempts: 0 }])
    })
  )
})
