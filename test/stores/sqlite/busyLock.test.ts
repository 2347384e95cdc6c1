/** Another connection's write lock is waited for without blocking the event loop, and not for ever. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import type { SqliteOptions } from "../../../src/stores/sqlite/SqliteStore.ts"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import { closable, event, eventually, failsWith, logOf } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"
import { rawConnection } from "./processes.ts"

const setUp = (options: Omit<SqliteOptions, "file"> = {}) =>
  Effect.gen(function* () {
    const file = yield* temporaryFile
    const { close, store } = yield* closable(SqliteStore.make({ file, ...options }))
    const locker = yield* rawConnection(file)
    return { file, close, store, lock: () => locker.exec("BEGIN IMMEDIATE"), unlock: () => locker.exec("COMMIT") }
  })

/** Counts turns of the event loop. */
const turns = Effect.acquireRelease(
  Effect.sync(() => {
    const counter = { count: 0, timer: setInterval(() => counter.count++, 1) }
    return counter
  }),
  ({ timer }) => Effect.sync(() => clearInterval(timer))
)

describe("while another connection holds the write lock", () => {
  itEffect("an append waits and the event loop keeps turning; then it is committed", () =>
    Effect.gen(function* () {
      const { lock, store, unlock } = yield* setUp({ busyTimeout: 20_000 })
      const counter = yield* turns
      lock()
      const appends = yield* Effect.forEach([1, 2, 3], (number) =>
        Effect.forkScoped(store.append([event("A", number)]), { startImmediately: true })
      )
      const before = counter.count
      yield* eventually("the event loop turns", () => counter.count >= before + 25)
      for (const append of appends) expect(append.pollUnsafe()).toBeUndefined()
      expect(yield* logOf(store)).toEqual([])
      unlock()
      const results = yield* Fiber.joinAll(appends)
      expect(results.map((result) => result.lastSequenceNumber)).toEqual([1, 2, 3])
    })
  )

  itEffect("queries are answered and streams deliver", () =>
    Effect.gen(function* () {
      const { lock, store, unlock } = yield* setUp()
      yield* store.append([event("A")])
      lock()
      expect((yield* store.query()).headSequenceNumber).toBe(1)
      const stream = yield* store.streamAll(() => Effect.void)
      yield* stream.caughtUp
      unlock()
    })
  )

  itEffect("an append fails with StoreBusy after busyTimeout, and stores nothing", () =>
    Effect.gen(function* () {
      const { lock, store, unlock } = yield* setUp({ busyTimeout: 60 })
      lock()
      const [first, second] = yield* Effect.all(
        [failsWith("StoreBusy", store.append([event("A")])), failsWith("StoreBusy", store.append([event("B")]))],
        { concurrency: "unbounded" }
      )
      for (const { retryable, mayHaveCommitted, waitedMs } of [first, second]) {
        expect(waitedMs).toBeGreaterThanOrEqual(60)
        expect({ retryable, mayHaveCommitted }).toEqual({ retryable: true, mayHaveCommitted: false })
      }
      unlock()
      const { lastSequenceNumber } = yield* store.append([event("C")])
      expect(lastSequenceNumber).toBe(1)
      expect((yield* logOf(store)).map((record) => record.eventType)).toEqual(["C"])
    })
  )

  itEffect("an append that waits is answered with StoreClosed when the store is closed, and never committed", () =>
    Effect.gen(function* () {
      const { close, file, lock, store, unlock } = yield* setUp({ busyTimeout: 20_000 })
      lock()
      const append = yield* Effect.forkScoped(store.append([event("A")]), { startImmediately: true })
      const counter = yield* turns
      yield* eventually("the writer has taken the append", () => counter.count >= 10)
      yield* close
      const exit = yield* Fiber.await(append)
      expect(Exit.isFailure(exit)).toBe(true)
      yield* failsWith("StoreClosed", Fiber.join(append))
      unlock()
      expect(yield* logOf(yield* SqliteStore.make({ file }))).toEqual([])
    })
  )

  itEffect("opening waits, and fails with StoreBusy after busyTimeout", () =>
    Effect.gen(function* () {
      const { file, lock, store, unlock } = yield* setUp()
      yield* store.append([event("A")])
      lock()
      yield* failsWith("StoreBusy", Effect.scoped(SqliteStore.make({ file, busyTimeout: 60 })))
      const opening = yield* Effect.forkScoped(SqliteStore.make({ file, busyTimeout: 20_000 }), {
        startImmediately: true
      })
      unlock()
      expect((yield* logOf(yield* Fiber.join(opening))).length).toBe(1)
    })
  )
})
