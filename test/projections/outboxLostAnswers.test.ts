/**
 * The answer to the COMMIT of a worker's turn is lost. What it has leased, if it has, has not begun: it loses no attempt by that and
 * waits for nothing, and what others have leased since is theirs.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Exit from "effect/Exit"
import { describe, expect } from "vitest"
import type { EventStore } from "../../src/stores/EventStore.ts"
import { fromReason, StoreUnavailable } from "../../src/stores/EventStoreError.ts"
import * as PostgresStore from "../../src/stores/postgres/PostgresStore.ts"
import { eventually, inTime, range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { ownSchema } from "../support/postgres.ts"
import { proxyTo } from "../support/postgresProxy.ts"
import { stores } from "../support/stores.ts"
import { cards, entriesOf, invited, running, settledNow, until, watched } from "./outboxes.ts"

/** One attempt, and a lease that no test lives to see the end of. */
const once = { reactor: cards, attempts: 1, timeout: "1 hour" } as const

const unavailable = Effect.fail(
  fromReason(new StoreUnavailable({ code: "LOST", operation: "run a transaction", retryable: true }))
)

/** What has become of a transaction of which its process does not know. */
type Fate = "committed" | "undone"

/** The store: of the first transactions in which entries are leased, or given back, one does not know what has become of them. */
const losing = (
  store: EventStore,
  what: "lease" | "giveBack",
  fates: ReadonlyArray<Fate>,
  meanwhile: Effect.Effect<unknown, unknown> = Effect.void
): EventStore => {
  const { transaction } = store.workspace
  const left = [...fates]
  const losing: typeof transaction = (work, options) =>
    Effect.suspend(() => {
      let fate: Fate | undefined
      const note = Effect.sync(() => {
        fate ??= left.shift()
      })
      const transacted = transaction((tx) => {
        const { giveBack, lease } = tx.outbox
        const outbox =
          what === "lease"
            ? {
                ...tx.outbox,
                lease: ((...lent) =>
                  Effect.tap(lease(...lent), ({ length }) => (length > 0 ? note : Effect.void))) as typeof lease
              }
            : {
                ...tx.outbox,
                giveBack: ((...given) => Effect.andThen(note, giveBack(...given))) as typeof giveBack,
                // Others may come before the worker leases it again.
                lease: ((...lent) => (fate === undefined ? lease(...lent) : Effect.succeed([]))) as typeof lease
              }
        return Effect.tap(work({ ...tx, outbox }), () => (fate === "undone" ? unavailable : Effect.void))
      }, options)
      return transacted.pipe(
        Effect.tap(() => (fate === "committed" ? unavailable : Effect.void)),
        Effect.tapError(() => (fate === undefined ? Effect.void : Effect.orDie(meanwhile)))
      )
    })
  return { ...store, workspace: { ...store.workspace, transaction: losing } }
}

/** The store, where events can be read only when the gate is open: what is leased does not begin before. */
const unreadable = (store: EventStore, isOpen: () => boolean): EventStore => {
  const { page } = store.workspace
  return {
    ...store,
    workspace: {
      ...store.workspace,
      page: (...what) => Effect.suspend(() => (isOpen() ? page(...what) : unavailable))
    }
  }
}

for (const { make, name } of stores) {
  describe(`a reaction of which a worker on ${name} does not know whether it has leased it`, () => {
    for (const fates of [["committed"], ["undone"], ["committed", "undone", "undone", "committed"]] as const) {
      itEffect(`begins its first and only attempt soon, where the lease was ${fates.join(" and then ")}`, () =>
        Effect.gen(function* () {
          const store = yield* make
          const { attempts, outbox } = watched(once)
          yield* store.append(invited("ann", "bob"))
          const outboxRun = yield* running(losing(store, "lease", fates), outbox)
          yield* settledNow(store, outboxRun)
          expect(attempts.map(({ attempt, to }) => `${to} ${attempt}`)).toEqual(["ann by card 1", "bob by card 1"])
          expect(yield* outboxRun.status).toMatchObject({ waiting: 0, dead: 0, running: 0 })
        })
      )
    }

    itEffect("is not taken from another one that has leased it since, under the same number", () =>
      Effect.gen(function* () {
        const store = yield* make
        const { attempts, outbox } = watched(once)
        const isLeased = yield* Deferred.make<void>()
        const leasing = store.workspace.transaction((tx) => tx.outbox.lease("cards", 1, 60_000, "another one"))
        // A server may hold the rows of what it has not yet undone for a moment longer; they are passed over meanwhile.
        const leased = until("another one leases it", leasing, ({ length }) => length === 1)
        yield* store.append(invited("ann"))
        const lossy = losing(store, "lease", ["undone"], Effect.andThen(leased, Deferred.succeed(isLeased, undefined)))
        yield* running(lossy, outbox)
        yield* inTime(Deferred.await(isLeased), "it is leased")
        yield* store.append(invited("bob"))
        yield* eventually("the worker goes on", () => attempts.length === 1)
        expect(attempts.map(({ to }) => to)).toEqual(["bob by card"])
        expect((yield* entriesOf(store, "cards"))[0]).toMatchObject({ attempts: 1, failure: "another one" })
      })
    )

    itEffect("is as it was when the worker has ended", () =>
      Effect.gen(function* () {
        const store = yield* make
        const isLost = yield* Deferred.make<void>()
        const { attempts, outbox } = watched(once)
        yield* store.append(invited("ann"))
        const scope = yield* Scope.make()
        const lossy = losing(store, "lease", ["committed"], Deferred.succeed(isLost, undefined))
        yield* Scope.provide(running(lossy, outbox), scope)
        yield* inTime(Deferred.await(isLost), "it is leased")
        const ending = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
        yield* inTime(Fiber.join(ending), "the worker ends")
        expect(attempts).toEqual([])
        expect(yield* entriesOf(store, "cards")).toMatchObject([{ attempts: 0, failure: undefined }])
      })
    )
  })

  describe(`a reaction of which a worker on ${name} does not know whether it has given it back`, () => {
    for (const fate of ["committed", "undone"] as const) {
      itEffect(`begins its first and only attempt soon, where that was ${fate}`, () =>
        Effect.gen(function* () {
          const store = yield* make
          let isLost = false
          const { attempts, outbox } = watched({ ...once, lease: "100 millis" })
          const lossy = losing(
            store,
            "giveBack",
            [fate],
            Effect.sync(() => (isLost = true))
          )
          yield* store.append(invited("ann"))
          const outboxRun = yield* running(
            unreadable(lossy, () => isLost),
            outbox
          )
          yield* settledNow(store, outboxRun)
          expect(attempts.map(({ attempt }) => attempt)).toEqual([1])
        })
      )
    }

    itEffect("is not taken from another one that has leased it since, under the same number", () =>
      Effect.gen(function* () {
        const store = yield* make
        let isLost = false
        const { attempts, outbox } = watched({ ...once, lease: "100 millis" })
        const leasing = store.workspace.transaction((tx) => tx.outbox.lease("cards", 1, 60_000, "another one"))
        const meanwhile = Effect.map(leasing, () => (isLost = true))
        yield* store.append(invited("ann"))
        const lossy = unreadable(losing(store, "giveBack", ["committed"], meanwhile), () => isLost)
        yield* running(lossy, outbox)
        yield* eventually("it is given back, and the answer is lost", () => isLost)
        yield* store.append(invited("bob"))
        yield* eventually("the worker goes on", () => attempts.length === 1)
        expect(attempts.map(({ to }) => to)).toEqual(["bob by card"])
        expect((yield* entriesOf(store, "cards"))[0]).toMatchObject({ attempts: 1, failure: "another one" })
      })
    )
  })
}

describe("the COMMIT of a worker's turn on PostgreSQL", () => {
  itEffect("costs no reaction an attempt, however often its answer is cut off", () =>
    Effect.gen(function* () {
      const { schema, url } = yield* ownSchema
      const proxy = yield* proxyTo(url)
      const direct = yield* PostgresStore.make({ url, schema })
      const store = yield* PostgresStore.make({ url: proxy.url, schema, listen: false })
      const leasing = new Set<number>()
      let cut = 0
      proxy.setRule(({ connection, direction, text, type }) => {
        if (direction === "toClient" && type === "D" && text.includes("by card")) leasing.add(connection)
        if (direction !== "toClient" || type !== "C" || text !== "COMMIT" || !leasing.delete(connection))
          return "forward"
        return ++cut % 3 === 0 ? "forward" : { cut: "before" }
      })
      const { attempts, outbox } = watched({ ...once, concurrency: 3 })
      const guests = range(1, 12).map(String)
      yield* direct.append(invited(...guests))
      yield* running(store, outbox)
      yield* eventually("all were carried out", () => attempts.length === guests.length)
      yield* until("all are done with", entriesOf(direct, "cards"), ({ length }) => length === 0)
      expect(cut).toBeGreaterThan(8)
      expect(attempts.map(({ attempt, to }) => `${to} ${attempt}`)).toEqual(guests.map((guest) => `${guest} by card 1`))
      expect(yield* entriesOf(direct, "cards", true)).toEqual([])
    })
  )
})
