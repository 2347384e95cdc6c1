/**
 * A decision that was made again under the lock, and whose commit may be lost: whatever has happened since the caller looked is
 * in what it is decided on the next time, and in what the caller is told.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { describe, expect } from "vitest"
import * as Decider from "../../../src/decider/Decider.ts"
import * as EventCatalog from "../../../src/decider/EventCatalog.ts"
import type { EventRecord, NewEvent } from "../../../src/stores/Event.ts"
import { withTags } from "../../../src/stores/EventQuery.ts"
import type { EventStore, QueryResult } from "../../../src/stores/EventStore.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { closable, event, failsWith, inTime, logOf } from "../../../src/testing/conformance/expectations.ts"
import { dispatcherOn } from "../../dispatch/watchedStore.ts"
import { itEffect } from "../../support/it.ts"
import { ownSchema } from "../../support/postgres.ts"
import type { Message, PostgresProxy } from "../../support/postgresProxy.ts"
import { forwardAll, proxyTo } from "../../support/postgresProxy.ts"

const context = withTags("context")
const decidedOn = (version: number | null): ReadonlyArray<NewEvent> => [event("Decided", { version }, ["context"])]
const disturb = (store: EventStore) => store.append([event("Disturbed", null, ["context"])])
const patience = { answerTimeout: 2_000, lockTimeout: 2_000, resolveTimeout: 10_000 }

/** A store behind a proxy, and another one that writes into its context. */
const setUp = Effect.gen(function* () {
  const { schema, url } = yield* ownSchema
  const proxy = yield* proxyTo(url)
  const other = yield* PostgresStore.make({ url, schema, listen: false })
  yield* other.append([event("Begun", null, ["context"])])
  const open = PostgresStore.make({ url: proxy.url, schema, listen: false, ...patience })
  return { other, proxy, open }
})

const isCommit = ({ direction, text, type }: Message) =>
  direction === "toServer" && type === "Q" && text.trim().startsWith("COMMIT")

const isAppend = ({ direction, text, type }: Message) =>
  direction === "toServer" && type === "B" && text.includes("_append")

/** Loses the next COMMIT, and lets nothing more through to the server before the effect has ended. */
const loseCommit = (proxy: PostgresProxy, meanwhile: Effect.Effect<unknown, unknown>) =>
  Effect.map(Deferred.make<void>(), (done) => {
    let isLost = false
    let hasBegun = false
    proxy.setRule((message) => {
      if (message.direction === "toClient") return "forward"
      if (isLost) {
        if (!hasBegun) Effect.runFork(Effect.ensuring(meanwhile, Deferred.succeed(done, undefined)))
        hasBegun = true
        return { hold: Deferred.await(done) }
      }
      if (!isCommit(message)) return "forward"
      isLost = true
      return { cut: "before" }
    })
  })

/** What stands in the context just before the decision. */
const before = (records: ReadonlyArray<EventRecord>): EventRecord | undefined =>
  records[records.findIndex(({ eventType }) => eventType === "Decided") - 1]

const decideAgain = (
  store: EventStore,
  seen: QueryResult,
  decide: (actual: number | null) => ReadonlyArray<NewEvent>
) =>
  store.appendBatchesIf([decide(seen.currentContextVersion)], context, seen.currentContextVersion, {
    headSequenceNumber: seen.headSequenceNumber,
    revise: ({ actual }) => [decide(actual)]
  })

describe("a revised decision in doubt", () => {
  itEffect("is made again on everything since the caller's own position", () =>
    Effect.gen(function* () {
      const { open, other, proxy } = yield* setUp
      const store = yield* open
      const seen = yield* store.query(context)
      yield* disturb(other)
      yield* loseCommit(proxy, disturb(other))
      const tails: Array<ReadonlyArray<number>> = []
      const decided = store.appendBatchesIf([decidedOn(1)], context, seen.currentContextVersion, {
        headSequenceNumber: seen.headSequenceNumber,
        revise: ({ actual, expected, tail = [] }) => {
          tails.push([expected!, ...tail.map(({ sequenceNumber }) => sequenceNumber)])
          return [decidedOn(actual)]
        }
      })
      yield* inTime(decided, "the decision")
      expect(tails).toEqual([
        [1, 2],
        [1, 2, 3]
      ])
      expect((yield* logOf(other)).at(-1)).toMatchObject({ sequenceNumber: 4, payload: { version: 3 } })
    })
  )

  itEffect("never lets a decider accept what the events in between forbid", () =>
    Effect.gen(function* () {
      const Seats = EventCatalog.make({ SeatTaken: Schema.Struct({ guest: Schema.Int }) })
      const takeSeat = Decider.make({
        name: "TakeSeat",
        events: Seats,
        context: () => Seats.queryAll(),
        initial: 0,
        evolve: { SeatTaken: (taken) => taken + 1 },
        decide: ({ guest }: { readonly guest: number }, taken) =>
          taken < 3 ? Decider.accept(Seats.SeatTaken({ guest })) : Decider.reject("full")
      })
      const { open, other, proxy } = yield* setUp
      const { dispatch } = yield* dispatcherOn(yield* open)
      const take = (guest: number) => other.append([event("SeatTaken", { guest })])
      yield* dispatch(takeSeat, { guest: 1 })
      yield* take(2)
      yield* loseCommit(proxy, take(3))
      yield* inTime(Effect.exit(dispatch(takeSeat, { guest: 4 })), "the dispatch")
      const { eventRecords } = yield* other.query(Seats.queryAll())
      expect(eventRecords.map(({ payload }) => payload)).toEqual([{ guest: 1 }, { guest: 2 }, { guest: 3 }])
    })
  )

  itEffect("does not go out behind an append of its group that writes into its context", () =>
    Effect.gen(function* () {
      const { open, other, proxy } = yield* setUp
      const store = yield* open
      const seen = yield* store.query(context)
      yield* disturb(other)
      yield* store.query(context)
      let appends = 0
      let commits = 0
      proxy.setRule((message) => {
        if (isAppend(message) && appends++ < 2) return { cut: "before" }
        return isCommit(message) && commits++ < 1 ? { cut: "before" } : "forward"
      })
      yield* Effect.all([inTime(decideAgain(store, seen, decidedOn), "the decision"), disturb(store)], {
        concurrency: "unbounded"
      })
      proxy.setRule(forwardAll)
      const { eventRecords } = yield* other.query(context)
      const decided = eventRecords.find(({ eventType }) => eventType === "Decided")
      expect(decided?.payload).toEqual({ version: before(eventRecords)?.sequenceNumber })
    })
  )

  itEffect("is called unknown, not closed, where the store closes before its end is found out", () =>
    Effect.gen(function* () {
      const { open, other, proxy } = yield* setUp
      const { close, store } = yield* closable(open)
      const seen = yield* store.query(context)
      yield* disturb(other)
      yield* store.query(context)
      const lost = yield* Deferred.make<void>()
      proxy.setRule(({ direction, text, type }) => {
        if (direction === "toServer" || type !== "C" || !text.includes("COMMIT")) return "forward"
        Effect.runSync(Effect.andThen(proxy.refuse, Deferred.succeed(lost, undefined)))
        return { cut: "before" }
      })
      const deciding = yield* Effect.forkDetach(decideAgain(store, seen, decidedOn), { startImmediately: true })
      yield* inTime(Deferred.await(lost), "the answer to be lost")
      yield* close
      const exit = yield* inTime(Fiber.await(deciding), "an answer")
      expect(before(yield* logOf(other))?.eventType).toBe("Disturbed")
      yield* failsWith("CommitUnknown", exit)
    })
  )
})
