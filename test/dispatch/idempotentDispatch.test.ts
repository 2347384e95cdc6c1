/** A command under an idempotency key is accepted once, whoever repeats it, whenever and how many at once. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import * as fc from "fast-check"
import * as Decider from "../../src/decider/Decider.ts"
import * as EventCatalog from "../../src/decider/EventCatalog.ts"
import * as Application from "../../src/Application.ts"
import type { Dispatcher } from "../../src/dispatch/Dispatcher.ts"
import type { Outcome } from "../../src/dispatch/Outcome.ts"
import * as EventQuery from "../../src/stores/EventQuery.ts"
import type { EventStore } from "../../src/stores/EventStore.ts"
import { ConditionalAppendConflict, fromReason, StoreBusy, StoreUnavailable } from "../../src/stores/EventStoreError.ts"
import * as MemoryStore from "../../src/stores/memory/MemoryStore.ts"
import { logOf, times } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"
import type { Book } from "./accounts.ts"
import { AccountEvents, deposit, depositEvent, everything, streamOf, takeNote, withdraw } from "./accounts.ts"
import { atOnce, dispatcherOn, watch } from "./watchedStore.ts"

const five: Book = { account: "a", amount: 5 }
const key = { idempotencyKey: "k" }

/** What a repetition has in common with the first time. */
const answerOf = (outcome: Outcome<unknown, unknown>) =>
  outcome._tag === "Accepted" && [outcome.eventRecords, outcome.state, outcome.position]

/** Its events are outside its own context, so that nothing but the key is in the way of a second one. */
const announce = Decider.make({
  name: "Announce",
  events: AccountEvents,
  context: ({ account }: { account: string }) => AccountEvents.query("Deposited", { account }),
  initial: 0,
  evolve: { Deposited: (count) => count + 1 },
  decide: ({ account }, deposits) =>
    deposits === 0 ? Decider.reject("too early") : Decider.accept(AccountEvents.NoteTaken({ account, text: "rich" }))
})

for (const { make, name, reopen } of stores) {
  const setUp = Effect.gen(function* () {
    const watched = watch(yield* make)
    return { ...(yield* dispatcherOn(watched.store)), watched }
  })

  describe(`a command under a key on ${name}`, () => {
    itEffect("is answered with the first outcome, with the state as it was then, whatever has happened since", () =>
      Effect.gen(function* () {
        const { dispatch, outcome, watched } = yield* setUp
        yield* dispatch(deposit, five)
        const first = yield* outcome(withdraw, five, key)
        expect(first).toMatchObject({ _tag: "Accepted", position: 2, state: { balance: 0 }, attempts: 1 })
        yield* watched.foreign.append([depositEvent("a", 1), depositEvent("b", 1)])
        const log = yield* logOf(watched.foreign)
        const again = yield* outcome(withdraw, five, key)
        expect(answerOf(again)).toEqual(answerOf(first))
        expect(again).toMatchObject({ attempts: 0 })
        expect(yield* logOf(watched.foreign)).toEqual(log)
        expect(yield* outcome(withdraw, five)).toMatchObject({ _tag: "Rejected", rejection: { balance: 1 } })
      })
    )

    itEffect("is recorded once when it is dispatched ten times at once", () =>
      Effect.gen(function* () {
        const { outcome, watched } = yield* setUp
        const answers = yield* atOnce(times(10, () => outcome(deposit, five, key)))
        expect(yield* logOf(watched.foreign)).toHaveLength(1)
        expect(new Set(answers.map((answer) => JSON.stringify(answerOf(answer)))).size).toBe(1)
        expect(answers[0]).toMatchObject({ _tag: "Accepted", position: 1, state: { deposits: 1 } })
      })
    )

    itEffect("is recorded once by many dispatchers at once, though nothing else is in the way", () =>
      Effect.gen(function* () {
        const { foreign } = (yield* setUp).watched
        yield* foreign.append([depositEvent("a", 1)])
        const dispatchers = yield* Effect.all(times(5, () => dispatcherOn(foreign)))
        const answers = yield* atOnce(
          dispatchers.flatMap(({ outcome }) => times(4, () => outcome(announce, { account: "a" }, key)))
        )
        expect(yield* logOf(foreign)).toHaveLength(2)
        expect(new Set(answers.map((answer) => JSON.stringify(answerOf(answer)))).size).toBe(1)
      })
    )

    itEffect("finds out from the conflict that another process was first, revised under the lock or not", () =>
      Effect.gen(function* () {
        const { outcome, watched } = yield* setUp
        const other = yield* dispatcherOn(watched.foreign)
        yield* watched.foreign.append([depositEvent("a", 1)])
        for (const revises of [false, true]) {
          const own = { idempotencyKey: `revises ${revises}` }
          yield* outcome(announce, { account: "a" }, { idempotencyKey: `warm ${revises}` })
          let first: Outcome<unknown, unknown> | undefined
          watched.revises = revises
          watched.beforeAppend = () => {
            watched.beforeAppend = () => Effect.void
            return Effect.tap(Effect.orDie(other.outcome(announce, { account: "a" }, own)), (it) =>
              Effect.sync(() => (first = it))
            )
          }
          const before = (yield* logOf(watched.foreign)).length
          const answer = yield* outcome(announce, { account: "a" }, own)
          expect(answerOf(answer)).toEqual(answerOf(first!))
          expect(answer).toMatchObject({ _tag: "Accepted", attempts: 1 })
          expect(yield* logOf(watched.foreign)).toHaveLength(before + 1)
        }
      })
    )

    itEffect("is not rejected when it is accepted elsewhere at that moment", () =>
      Effect.gen(function* () {
        const { outcome, watched } = yield* setUp
        yield* watched.foreign.append([depositEvent("b", 1)])
        expect(yield* outcome(announce, { account: "a" }, key)).toMatchObject({ _tag: "Rejected" })
        const eager = {
          ...announce,
          decide: () => Decider.accept(AccountEvents.NoteTaken({ account: "a", text: "!" }))
        }
        const other = yield* dispatcherOn(watched.foreign)
        let reads = 0
        // The first read looks for the key, the second asks whether the rejection is still true.
        watched.beforeQuery = Effect.suspend(() =>
          ++reads === 2 ? Effect.orDie(other.outcome(eager, { account: "a" }, key)) : Effect.void
        )
        expect(yield* outcome(announce, { account: "a" }, key)).toMatchObject({ _tag: "Accepted", position: 2 })
        expect(reads).toBeGreaterThanOrEqual(2)
      })
    )

    itEffect("is decided anew where it was rejected or led to nothing", () =>
      Effect.gen(function* () {
        const { dispatch, outcome, watched } = yield* setUp
        expect(yield* outcome(withdraw, five, key)).toMatchObject({ _tag: "Rejected", attempts: 1 })
        expect(yield* outcome(deposit, { account: "a", amount: 0 }, { idempotencyKey: "0" })).toMatchObject({
          _tag: "NothingToDo"
        })
        yield* dispatch(deposit, five)
        expect(yield* outcome(withdraw, five, key)).toMatchObject({ _tag: "Accepted", attempts: 1 })
        expect(yield* outcome(withdraw, five, key)).toMatchObject({ _tag: "Accepted", attempts: 0 })
        expect(yield* logOf(watched.foreign)).toHaveLength(2)
      })
    )

    itEffect("must be the same command of the same decider", () =>
      Effect.gen(function* () {
        const { dispatch, watched } = yield* setUp
        yield* dispatch(deposit, five, key)
        const mismatch = { reason: { _tag: "IdempotencyMismatch", idempotencyKey: "k" } }
        expect(yield* Effect.flip(dispatch(deposit, { account: "a", amount: 6 }, key))).toMatchObject(mismatch)
        expect(yield* Effect.flip(dispatch(deposit, { account: "b", amount: 5 }, key))).toMatchObject(mismatch)
        expect(yield* Effect.flip(dispatch(withdraw, five, key))).toMatchObject(mismatch)
        expect(yield* dispatch(deposit, { amount: 5, account: "a" }, key)).toMatchObject({ position: 1 })
        const [first, second] = yield* atOnce([
          dispatch(deposit, five, { idempotencyKey: "at once" }),
          Effect.flip(dispatch(deposit, { account: "a", amount: 6 }, { idempotencyKey: "at once" }))
        ])
        expect([first, second]).toMatchObject([{ _tag: "Accepted" }, { reason: { _tag: "IdempotencyMismatch" } }])
        expect(yield* logOf(watched.foreign)).toHaveLength(2)
      })
    )

    itEffect("must be for the same stream", () =>
      Effect.gen(function* () {
        const { dispatch, dispatchToStream } = yield* setUp
        const mismatch = { reason: { _tag: "IdempotencyMismatch", idempotencyKey: "k" } }
        yield* dispatchToStream(deposit, streamOf("a"), five, key)
        expect(yield* Effect.flip(dispatchToStream(deposit, streamOf("b"), five, key))).toMatchObject(mismatch)
        expect(yield* Effect.flip(dispatch(deposit, five, key))).toMatchObject(mismatch)
      })
    )

    itEffect("is told apart from others whose keys are alike, however long", () =>
      Effect.gen(function* () {
        const { dispatch, watched } = yield* setUp
        const long = "\u00e9".repeat(127)
        const keys = ["k", "K", "k ", "idempotency:k", long, `${long}k`, "x".repeat(243), "x".repeat(244)]
        for (const idempotencyKey of [...keys, ...keys]) yield* dispatch(deposit, five, { idempotencyKey })
        const log = yield* logOf(watched.foreign)
        expect(log.map(({ metadata }) => metadata["idempotencyKey"])).toEqual(keys)
        expect(log[0]).toMatchObject({ tags: [streamOf("a"), "idempotency:k"].sort() })
      })
    )

    itEffect("is committed with others of its context, and costs one small read", () =>
      Effect.gen(function* () {
        const { dispatch, watched } = yield* setUp
        yield* dispatch(deposit, five)
        const [reads, appends] = [watched.queries.length, watched.appends.length]
        const answers = yield* atOnce(
          times(200, (n) => dispatch(deposit, five, n % 2 === 0 ? { idempotencyKey: `${n}` } : {}))
        )
        expect(answers.map(({ position }) => position)).toEqual(times(200, (n) => n + 2))
        expect(answers.at(-1)).toMatchObject({ state: { deposits: 201 }, attempts: 1 })
        expect(watched.appends.slice(appends)).toEqual([128, 72])
        const tagsOnly = watched.queries
          .slice(reads)
          .map((query) => query?.filters?.every(({ eventTypes }) => !eventTypes))
        expect(tagsOnly).toEqual([true, true])
      })
    )

    itEffect("is answered again on a stream, whatever the revision is by now", () =>
      Effect.gen(function* () {
        const { dispatchToStream, watched } = yield* setUp
        const options = { ...key, expectedRevision: null }
        const first = yield* dispatchToStream(deposit, streamOf("a"), five, options)
        yield* watched.foreign.append([depositEvent("a", 1), { ...depositEvent("a", 1), tags: ["idempotency:x"] }])
        const again = yield* dispatchToStream(deposit, streamOf("a"), five, options)
        expect(again).toEqual({ ...first, attempts: 0 })
        const next = yield* dispatchToStream(deposit, streamOf("a"), five, { idempotencyKey: "2", expectedRevision: 2 })
        expect(next).toMatchObject({ position: 4, state: { deposits: 3 } })
      })
    )

    itEffect("finds its own events when the answer to the append was lost", () =>
      Effect.gen(function* () {
        const { dispatch, watched } = yield* setUp
        watched.afterAppend = Effect.suspend(() => {
          watched.afterAppend = Effect.void
          return Effect.fail(fromReason(new StoreUnavailable({ code: "LOST", operation: "append", retryable: true })))
        })
        expect(yield* dispatch(deposit, five, key)).toMatchObject({ position: 1, state: { deposits: 1 }, attempts: 1 })
        expect(yield* logOf(watched.foreign)).toHaveLength(1)
      })
    )

    itEffect("is not in the way of others when it is a repetition", () =>
      Effect.gen(function* () {
        const { dispatch, watched } = yield* setUp
        yield* dispatch(announce, { account: "a" }).pipe(Effect.flip)
        yield* dispatch(deposit, five)
        yield* dispatch(announce, { account: "a" }, { idempotencyKey: "warm" })
        const other = yield* dispatcherOn(watched.foreign)
        yield* other.dispatch(announce, { account: "a" }, key)
        const appends = watched.appends.length
        const answers = yield* atOnce([
          dispatch(announce, { account: "a" }, key),
          dispatch(announce, { account: "a" }, { idempotencyKey: "next" })
        ])
        expect(answers).toMatchObject([
          { position: 3, attempts: 0 },
          { position: 4, attempts: 1 }
        ])
        expect(watched.appends.slice(appends)).toEqual([1])
      })
    )

    itEffect("shows the events of a key to no view that would not see them without it", () =>
      Effect.gen(function* () {
        const { dispatchToStream, watched } = yield* setUp
        yield* watched.foreign.append([{ ...depositEvent("a", 1), tags: ["idempotency:k"] }])
        const [mismatch, accepted] = yield* atOnce([
          Effect.flip(dispatchToStream(deposit, streamOf("a"), five, key)),
          dispatchToStream(deposit, streamOf("a"), five)
        ])
        expect(mismatch).toMatchObject({ reason: { _tag: "IdempotencyMismatch" } })
        expect(accepted).toMatchObject({ position: 2, state: { deposits: 1 } })
      })
    )

    itEffect("works for a context of all events, and for one of none", () =>
      Effect.gen(function* () {
        const { dispatch, watched } = yield* setUp
        const nothing = { ...everything, name: "Nothing", view: () => noFacts }
        for (const _ of [1, 2]) {
          expect(yield* dispatch(everything, five, key)).toMatchObject({ position: 1, state: 1 })
          expect(yield* dispatch(nothing, five, { idempotencyKey: "n" })).toMatchObject({ position: 2 })
        }
        expect(yield* logOf(watched.foreign)).toHaveLength(2)
      })
    )

    itEffect("gives up in the end where the key cannot be looked for", () =>
      Effect.gen(function* () {
        const { dispatch, watched } = yield* setUp
        yield* dispatch(deposit, five)
        watched.beforeQuery = Effect.fail(
          fromReason(new StoreUnavailable({ code: "DOWN", operation: "query", retryable: true }))
        )
        const error = yield* Effect.flip(dispatch(deposit, five, { ...key, attempts: 3 }))
        expect(error).toMatchObject({ reason: { _tag: "StoreUnavailable", code: "DOWN" } })
        expect(watched.queries.slice(1)).toHaveLength(3)
      })
    )
  })

  if (reopen === undefined) continue
  describe(`processes on one ${name}`, () => {
    itEffect("accept a command under a key once, all at once and after a restart", () =>
      Effect.gen(function* () {
        const open = yield* reopen
        const answers = yield* Effect.scoped(
          Effect.gen(function* () {
            const dispatchers: ReadonlyArray<Dispatcher> = yield* Effect.all(
              times(3, () => Effect.flatMap(open, (store) => dispatcherOn(store)))
            )
            return yield* atOnce(
              dispatchers.flatMap(({ outcome }) =>
                times(10, (n) => outcome(deposit, five, { idempotencyKey: `${n % 5}` }))
              )
            )
          })
        )
        expect(new Set(answers.map((answer) => JSON.stringify(answerOf(answer)))).size).toBe(5)
        const store = yield* open
        const { outcome } = yield* dispatcherOn(store)
        for (const n of [0, 1, 2, 3, 4]) {
          const again = yield* outcome(deposit, five, { idempotencyKey: `${n}` })
          expect(again).toMatchObject({ attempts: 0 })
          expect(answers.map(answerOf)).toContainEqual(answerOf(again))
        }
        expect(yield* logOf(store)).toHaveLength(5)
      })
    )
  })
}

const noFacts = Decider.make({
  name: "NoFacts",
  events: AccountEvents,
  context: () => EventQuery.ofTypes(),
  initial: 0,
  evolve: {},
  decide: () => Decider.nothing
}).view({})

describe("an idempotency key", () => {
  const setUp = Effect.flatMap(MemoryStore.make(), (store) =>
    Effect.map(dispatcherOn(store), (dispatcher) => ({ ...dispatcher, store }))
  )

  itEffect("is 1 to 255 bytes of well-formed text", () =>
    Effect.gen(function* () {
      const { dispatch } = yield* setUp
      for (const idempotencyKey of ["", "a\0", "\ud800", "x".repeat(256), "\u00e9".repeat(128), 5, null]) {
        const error = yield* Effect.flip(dispatch(deposit, five, { idempotencyKey: idempotencyKey as string }))
        expect(error).toMatchObject({ reason: { _tag: "InvalidInput", path: "options.idempotencyKey" } })
      }
    })
  )

  itEffect("counts to the tags of an event", () =>
    Effect.gen(function* () {
      const { dispatch } = yield* setUp
      const Tagged = EventCatalog.make({
        Tagged: EventCatalog.event(AccountEvents.definitions.NoteTaken.schema, {
          tags: () => times(128, (n) => `${n}`)
        })
      })
      const tag = Decider.make({
        name: "Tag",
        events: Tagged,
        context: ({ account }: { account: string }) => Tagged.queryAll({ account }),
        initial: 0,
        evolve: {},
        decide: ({ account }) => Decider.accept(Tagged.Tagged({ account, text: "" }))
      })
      const error = yield* Effect.flip(dispatch(tag, { account: "a" }, key))
      expect(error).toMatchObject({ reason: { _tag: "LimitExceeded", limit: 128, actual: 129 } })
      expect(yield* dispatch(tag, { account: "a" })).toMatchObject({ position: 1 })
    })
  )

  itEffect("counts to the filters of a context", () =>
    Effect.gen(function* () {
      const { dispatch } = yield* setUp
      const wide = (filters: number) =>
        Decider.make({
          name: "Wide",
          events: AccountEvents,
          context: ({ account }: Book) => EventQuery.make(...times(filters, (n) => ({ tags: [`${account} ${n}`] }))),
          initial: 0,
          evolve: {},
          decide: (command: Book) => Decider.accept(AccountEvents.Deposited(command))
        })
      const keyed = yield* atOnce(times(3, (n) => dispatch(wide(255), five, { idempotencyKey: `${n}` })))
      expect(keyed.map(({ position }) => position)).toEqual([1, 2, 3])
      const error = yield* Effect.flip(dispatch(wide(256), five, { idempotencyKey: "too many" }))
      expect(error).toMatchObject({ reason: { _tag: "LimitExceeded", limit: 256, actual: 257 } })
      expect(yield* dispatch(wide(256), five)).toMatchObject({ position: 4 })
    })
  )

  itEffect("is not taken by what a conflict showed that was not committed after all", () =>
    Effect.gen(function* () {
      const undone = yield* Effect.flatMap(setUp, ({ dispatch }) => dispatch(deposit, five, key))
      const tail = undone._tag === "Accepted" ? undone.eventRecords : []
      for (const next of [
        (store: EventStore) => store.append([depositEvent("a", 1)]),
        () => Effect.fail(fromReason(new StoreBusy({ waitedMs: 0 })))
      ]) {
        const { store } = yield* setUp
        let calls = 0
        const appendBatchesIf: EventStore["appendBatchesIf"] = (batches, context, expected, options) => {
          const append = store.appendBatchesIf(batches, context, expected, options)
          if (calls++ > 0) return append
          options!.revise!(ConditionalAppendConflict.withTail({ expected, actual: 1, headSequenceNumber: 1 }, tail))
          return Effect.andThen(next(store), append)
        }
        const { dispatch } = yield* dispatcherOn({ ...store, appendBatchesIf })
        yield* dispatch(deposit, five, key)
        expect((yield* logOf(store)).at(-1)).toMatchObject({ tags: [streamOf("a"), "idempotency:k"] })
      }
    })
  )

  itEffect("that somebody else's event bears as a tag is a mismatch", () =>
    Effect.gen(function* () {
      const { dispatch, store } = yield* setUp
      yield* store.append([{ ...depositEvent("a", 1), tags: ["idempotency:k"] }])
      const error = yield* Effect.flip(dispatch(deposit, five, key))
      expect(error).toMatchObject({ reason: { _tag: "IdempotencyMismatch" } })
    })
  )

  itEffect("stands for the decider alone where JSON cannot show the command", () =>
    Effect.gen(function* () {
      const { dispatch } = yield* setUp
      const circle = (amount: number) => {
        const command: Book & { self?: unknown } = { account: "a", amount }
        command.self = command
        return command
      }
      yield* dispatch(deposit, circle(1), key)
      expect(yield* dispatch(deposit, circle(2), key)).toMatchObject({ position: 1, attempts: 0 })
      expect(yield* Effect.flip(dispatch(takeNote, { account: "a", text: "" }, key))).toMatchObject({
        reason: { _tag: "IdempotencyMismatch" }
      })
      const large = (amount: bigint) => ({ account: "a", amount: 1, large: amount })
      yield* dispatch(deposit, large(1n), { idempotencyKey: "large" })
      expect(yield* Effect.flip(dispatch(deposit, large(2n), { idempotencyKey: "large" }))).toMatchObject({
        reason: { _tag: "IdempotencyMismatch" }
      })
    })
  )

  it("is an option of the Promise facade", async () => {
    const app = await Application.open({ store: MemoryStore.layer() })
    const options = { ...key, metadata: { actor: "ann" } }
    const first = await app.dispatch(deposit, five, options)
    expect(answerOf(await app.dispatch(deposit, five, options))).toEqual(answerOf(first))
    await app.dispatchToStream(deposit, streamOf("a"), five, { idempotencyKey: "s" })
    await app.dispatchToStream(deposit, streamOf("a"), five, { idempotencyKey: "s" })
    const { eventRecords } = await app.query()
    expect(eventRecords.map(({ metadata }) => metadata)).toMatchObject([
      { actor: "ann", idempotencyKey: "k" },
      { idempotencyKey: "s" }
    ])
    await app.close()
  })

  it("is used by at most one batch, whatever is dispatched at once by two dispatchers with and without revision", async () => {
    const order = fc.record({
      amount: fc.integer({ min: 0, max: 3 }),
      account: fc.constantFrom("a", "b"),
      idempotencyKey: fc.option(fc.constantFrom("k", "l", "m"), { nil: undefined }),
      withdraws: fc.boolean(),
      by: fc.nat(1)
    })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(order, { maxLength: 12 }), { maxLength: 4 }), fc.boolean(), (waves, revises) =>
        Effect.runPromise(
          Effect.scoped(
            Effect.gen(function* () {
              const store: EventStore = yield* MemoryStore.make()
              const watched = watch(store)
              watched.revises = revises
              const dispatchers = yield* Effect.all([dispatcherOn(watched.store), dispatcherOn(watched.store)])
              const answers = new Map<string, Set<string>>()
              let accepted = 0
              for (const wave of waves) {
                yield* Effect.forEach(
                  wave,
                  ({ account, amount, by, idempotencyKey, withdraws }) =>
                    Effect.gen(function* () {
                      const decider: Decider.Any = withdraws ? withdraw : deposit
                      const given = {
                        idempotencyKey: idempotencyKey && `${idempotencyKey} ${account} ${amount} ${withdraws}`
                      }
                      const outcome = yield* dispatchers[by]!.outcome(
                        decider,
                        { account, amount },
                        { ...given, attempts: 99 }
                      )
                      if (outcome._tag !== "Accepted") return
                      if (given.idempotencyKey === undefined) return void (accepted += 1)
                      const all = answers.get(given.idempotencyKey) ?? new Set()
                      answers.set(given.idempotencyKey, all.add(JSON.stringify(answerOf(outcome))))
                    }),
                  { concurrency: "unbounded" }
                )
              }
              expect([...answers.values()].map(({ size }) => size)).toEqual([...answers].map(() => 1))
              expect(yield* logOf(store)).toHaveLength(accepted + answers.size)
            })
          )
        )
      ),
      { numRuns: 150 }
    )
  })
})
