/** What a handler writes and the cursor are committed together, or not at all. */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { describe } from "vitest"
import type { EventStore } from "../../src/stores/EventStore.ts"
import { EventStoreError, fromReason, StoreUnavailable } from "../../src/stores/EventStoreError.ts"
import type { Workspace } from "../../src/stores/Workspace.ts"
import { inTime, range, times } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import type { Handled } from "./sales.ts"
import { databases, eventuallyStatus, listing, makeModel, numbersOf, sold, startWorker } from "./sales.ts"

/** The store, with other transactions. */
const withTransactions = (store: EventStore, transaction: Workspace["transaction"]): EventStore => ({
  ...store,
  workspace: { ...store.workspace, transaction }
})

for (const under of databases) {
  describe(under.name, () => {
    itEffect("a handler that fails after it wrote leaves neither rows nor position behind", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const model = yield* makeModel(store)
        const projection = listing(model, {
          retry: Schedule.recurs(2),
          handle: (events, transaction) =>
            Effect.andThen(
              model.handle(events, transaction),
              numbersOf(events).includes(3) ? Effect.fail(new Error("not this one")) : Effect.void
            )
        })
        for (const buyer of ["ann", "bob", "cid", "dan"]) yield* store.append([sold(buyer)])
        const worker = yield* startWorker(store, [projection])
        const status = yield* eventuallyStatus(worker, projection, "it stops", ({ state }) => state === "stopped")
        assert.equal(status.position, 2)
        assert.deepStrictEqual(yield* model.numbers, [1, 2])
        const [row] = yield* store.workspace.transaction(({ cursors }) =>
          cursors.read([`projection ${model.table}\u00011\u00010`])
        )
        assert.equal(row?.position, 2)
      })
    )

    itEffect("catching up takes one transaction for many batches and one call for each", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const model = yield* makeModel(store)
        yield* store.append([sold()])
        for (const size of [1, 3, 2]) yield* store.append(times(size, () => sold()))
        const calls: Array<{ readonly numbers: ReadonlyArray<number>; readonly transaction: unknown }> = []
        const projection = listing(model, {
          handle: (events, transaction) => {
            calls.push({ numbers: numbersOf(events), transaction: transaction.execute })
          }
        })
        const worker = yield* startWorker(store, [projection])
        yield* worker.waitFor(projection, 7)
        assert.deepStrictEqual(
          calls.map(({ numbers }) => numbers),
          [[1], [2], [3, 4, 5], [6, 7]]
        )
        assert.equal(new Set(calls.map(({ transaction }) => transaction)).size, 1)
      })
    )

    itEffect("many batches that fail together are tried one by one, so that those before the bad one count", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const model = yield* makeModel(store)
        for (const _ of range(1, 5)) yield* store.append([sold(), sold()])
        const calls: Array<ReadonlyArray<number>> = []
        const projection = listing(model, {
          retry: Schedule.recurs(1),
          handle: (events, transaction) => {
            calls.push(numbersOf(events))
            if (numbersOf(events).includes(7)) throw new Error("not this one")
            return model.handle(events, transaction)
          }
        })
        const worker = yield* startWorker(store, [projection])
        yield* eventuallyStatus(worker, projection, "it stops", ({ state }) => state === "stopped")
        assert.deepStrictEqual(yield* model.numbers, range(1, 6))
        const batch = (first: number) => [first, first + 1]
        const together = [1, 3, 5, 7].map(batch)
        assert.deepStrictEqual(calls, [...together, ...[1, 3, 5, 7].map(batch), batch(7)])
      })
    )

    const handlers: ReadonlyArray<readonly [string, (work: () => void) => unknown]> = [
      ["returns nothing", (work) => work()],
      ["gives an effect", (work) => Effect.andThen(Effect.yieldNow, Effect.sync(work))],
      ["gives a promise", (work) => Promise.resolve().then(work)]
    ]
    for (const [what, handler] of handlers) {
      itEffect(`a handler that ${what} is waited for, and its failure is one`, () =>
        Effect.gen(function* () {
          const store = yield* under.make
          const model = yield* makeModel(store)
          const done: Array<number> = []
          let isBroken = false
          const projection = listing(model, {
            retry: Schedule.recurs(0),
            handle: (events: Handled) =>
              handler(() => {
                if (isBroken) throw new Error("broken")
                done.push(...numbersOf(events))
              }) as void
          })
          const worker = yield* startWorker(store, [projection])
          yield* store.append([sold()])
          yield* worker.waitFor(projection, 1)
          assert.deepStrictEqual(done, [1])
          isBroken = true
          yield* store.append([sold()])
          const status = yield* eventuallyStatus(worker, projection, "it stops", ({ state }) => state === "stopped")
          assert.match(String(status.lastError), /broken/)
          assert.equal(status.position, 1)
        })
      )
    }

    itEffect("a commit whose answer is lost is found out about: nothing is handled twice, nothing is left out", () =>
      Effect.gen(function* () {
        const real = yield* under.make
        const model = yield* makeModel(real)
        let lost = 0
        let areLost = false
        const lossy = withTransactions(real, (work, options) =>
          Effect.tap(real.workspace.transaction(work, options), () => {
            if (!areLost || lost++ % 2 === 1) return Effect.void
            return Effect.fail(
              fromReason(new StoreUnavailable({ code: "08006", operation: "commit", retryable: true })) as never
            )
          })
        )
        const projection = listing(model)
        const worker = yield* startWorker(lossy, [projection])
        areLost = true
        for (let n = 1; n <= 12; n++) {
          yield* real.append([sold()])
          yield* worker.waitFor(projection, n)
        }
        areLost = false
        assert.ok(lost > 12)
        assert.deepStrictEqual(yield* model.numbers, range(1, 12))
      })
    )

    itEffect("a failure before the commit is not taken for one whose answer is lost", () =>
      Effect.gen(function* () {
        const real = yield* under.make
        const model = yield* makeModel(real)
        let failures = 0
        const failing = withTransactions(real, (work, options) =>
          real.workspace.transaction(
            (transaction) =>
              Effect.tap(work(transaction), () =>
                transaction.sql !== undefined && options !== undefined && failures++ % 2 === 1
                  ? Effect.fail(
                      fromReason(new StoreUnavailable({ code: "08006", operation: "commit", retryable: true })) as never
                    )
                  : Effect.void
              ),
            options
          )
        )
        const projection = listing(model)
        const worker = yield* startWorker(failing, [projection])
        for (let n = 1; n <= 8; n++) {
          yield* real.append([sold()])
          yield* worker.waitFor(projection, n)
        }
        assert.ok(failures > 8)
        assert.deepStrictEqual(yield* model.numbers, range(1, 8))
      })
    )

    itEffect("what a promise does after its time is refused, and spoils no other transaction", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const model = yield* makeModel(store)
        let late: Effect.Effect<unknown, unknown> | undefined
        const projection = listing(model, {
          timeout: "50 millis",
          handle: (events, transaction) => {
            if (late !== undefined) return model.handle(events, transaction)
            late = model.handle(events, transaction)
            return new Promise(() => undefined)
          }
        })
        const worker = yield* startWorker(store, [projection])
        yield* store.append([sold()])
        yield* worker.waitFor(projection, 1)
        const refused = Effect.map(Effect.flip(late!), (error) => {
          assert.ok(error instanceof EventStoreError && error.reason._tag === "StoreUnavailable")
          assert.equal(error.reason.code, "NO_TRANSACTION")
        })
        yield* refused
        yield* store.workspace.transaction(() => refused)
        assert.deepStrictEqual(yield* inTime(model.numbers, "the rows"), [1])
      })
    )
  })
}
