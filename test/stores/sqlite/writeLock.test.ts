/**
 * SQLite has one writer: transactions of the application, appends and cursors take turns, in a process and between processes. Who waits
 * blocks nobody, and not for ever.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import type { EventStoreError } from "../../../src/stores/EventStoreError.ts"
import type { SqliteOptions } from "../../../src/stores/sqlite/SqliteStore.ts"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import {
  event,
  eventually,
  failsWith,
  inTime,
  range,
  recorder,
  stateOf
} from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"
import { rawConnection } from "./processes.ts"

const setUp = (options: Omit<SqliteOptions, "file"> = {}) =>
  Effect.gen(function* () {
    const file = yield* temporaryFile
    const store = yield* SqliteStore.make({ file, ...options })
    const other = yield* rawConnection(file)
    return { file, store, lock: () => other.exec("BEGIN IMMEDIATE"), unlock: () => other.exec("COMMIT") }
  })

/** A transaction that waits for something else; resolves when it has begun. */
const waiting = (store: EventStore, until: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const begun = yield* Deferred.make<void>()
    const fiber = yield* Effect.forkScoped(
      store.workspace.transaction(() => Effect.andThen(Deferred.succeed(begun, undefined), until))
    )
    yield* inTime(Deferred.await(begun), "the transaction begins")
    return fiber
  })

describe("a transaction that is under way", () => {
  itEffect("lets appends of its process wait, and queries and live streams go on", () =>
    Effect.gen(function* () {
      const { store } = yield* setUp()
      const received = recorder()
      yield* store.append([event("Counted")])
      const release = yield* Deferred.make<void>()
      const transaction = yield* waiting(store, Deferred.await(release))
      const append = yield* Effect.forkScoped(store.append([event("Counted")]), { startImmediately: true })
      expect((yield* inTime(store.query(), "the query")).headSequenceNumber).toBe(1)
      yield* store.streamAll(received.handler)
      yield* Effect.forEach(range(1, 10), () => Effect.sleep("2 millis"))
      expect(append.pollUnsafe()).toBeUndefined()
      yield* Deferred.succeed(release, undefined)
      yield* inTime(Fiber.join(transaction), "the transaction ends")
      yield* inTime(Fiber.join(append), "the append is committed")
      yield* received.received(1)
    })
  )

  itEffect("makes an append fail with StoreBusy after busyTimeout, and not before", () =>
    Effect.gen(function* () {
      const { store } = yield* setUp({ busyTimeout: 60 })
      const release = yield* Deferred.make<void>()
      const transaction = yield* waiting(store, Deferred.await(release))
      const { retryable, waitedMs } = yield* failsWith("StoreBusy", store.append([event("Counted")]))
      expect(waitedMs).toBeGreaterThanOrEqual(60)
      expect(retryable).toBe(true)
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(transaction)
      expect((yield* store.append([event("Counted")])).firstSequenceNumber).toBe(1)
    })
  )

  itEffect("gives the lock back in the moment in which it is interrupted", () =>
    Effect.gen(function* () {
      const { lock, store, unlock } = yield* setUp()
      const transaction = yield* waiting(store, Effect.never)
      yield* Fiber.interrupt(transaction)
      lock()
      unlock()
    })
  )
})

describe("while another process holds the write lock", () => {
  itEffect("a transaction waits for busyTimeout and fails with StoreBusy; the one after it goes through", () =>
    Effect.gen(function* () {
      const { lock, store, unlock } = yield* setUp({ busyTimeout: 60 })
      lock()
      const transaction = store.workspace.transaction(({ sql }) => sql!.execute("SELECT 1 AS one"))
      const { waitedMs } = yield* failsWith(
        "StoreBusy",
        Effect.mapError(transaction, (error) => error as EventStoreError)
      )
      expect(waitedMs).toBeGreaterThanOrEqual(60)
      unlock()
      expect(yield* transaction).toEqual([{ one: 1 }])
    })
  )

  itEffect("a transaction that is interrupted while it waits has begun nothing", () =>
    Effect.gen(function* () {
      const { lock, store, unlock } = yield* setUp({ busyTimeout: 20_000 })
      lock()
      const transaction = yield* Effect.forkScoped(
        store.workspace.transaction(() => Effect.void),
        { startImmediately: true }
      )
      yield* Effect.sleep("10 millis")
      yield* inTime(Fiber.interrupt(transaction), "the transaction ends")
      unlock()
      lock()
      unlock()
      yield* store.workspace.transaction(() => Effect.void)
    })
  )

  itEffect("a lease cannot be renewed, and is taken up again: nothing is lost, and nothing comes twice", () =>
    Effect.gen(function* () {
      const { file, lock, store, unlock } = yield* setUp({ busyTimeout: 50 })
      const received = recorder()
      const release = yield* Deferred.make<void>()
      for (const index of range(1, 3)) yield* store.append([event("Counted", { index })])
      const stream = yield* store.streamAllDurable(
        { name: "all" },
        (batch) =>
          Effect.andThen(
            received.handler(batch),
            Effect.suspend(() => (received.batches.length === 2 ? Deferred.await(release) : Effect.void))
          ),
        { lease: "150 millis" }
      )
      yield* received.received(2)
      lock()
      // Longer than the lease. Nobody else can take it either: that needs the lock too.
      yield* Effect.sleep("500 millis")
      yield* Deferred.succeed(release, undefined)
      unlock()
      yield* inTime(stream.caughtUp, "the stream catches up")
      expect(received.numbers()).toEqual([[1], [2], [3]])
      yield* eventually("the stream runs", () => received.batches.length === 3)
      expect(yield* stateOf(stream)).toBe("running")
      expect((yield* (yield* SqliteStore.make({ file })).query()).headSequenceNumber).toBe(3)
    })
  )
})
