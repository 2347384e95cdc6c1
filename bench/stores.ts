/**
 * `npm run bench -- stores`: append, checked appendIf and context reads, at growing logs, each beside the raw driver in the
 * same run and mode: the same JSON of the same events with the same durability, a database in memory beside the memory store.
 */
import type { EventStore, EventStoreError } from "evolvent"
import { MemoryStore } from "evolvent"
import { SqliteStore } from "evolvent/sqlite"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { copyFileSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Operation } from "./measure.ts"
import { compare, rateOf } from "./measure.ts"
import type { RawSqlite } from "./rawSqlite.ts"
import { inMemory, openRawSqlite } from "./rawSqlite.ts"
import type { Report } from "./report.ts"
import { toRow } from "./report.ts"
import { contextOf, eventsPerOrder, fill, orderChunk, orderEvent } from "./workload.ts"

const concurrencies = [1, 32, 128]
const logSizes = [1_000, 100_000, 1_000_000]

export const benchStores = (report: Report) =>
  Effect.gen(function* () {
    yield* benchMemory(report)
    yield* benchSqlite(report)
  })

const benchMemory = (report: Report) =>
  Effect.forEach(logSizes, (logSize) =>
    measureAll(report, {
      name: "memory",
      logSize,
      openStore: Effect.tap(MemoryStore.make(), fill(logSize)),
      openRaw: openRawSqlite(inMemory)
    })
  )

const benchSqlite = (report: Report) =>
  Effect.forEach(logSizes, (logSize) =>
    Effect.gen(function* () {
      report.progress(`sqlite: filling a log of ${logSize}`)
      const folder = yield* temporaryFolder
      const filled = join(folder, "filled.db")
      yield* Effect.scoped(Effect.tap(SqliteStore.make({ file: filled }), fill(logSize)))
      // A copy opened anew, so that what is read comes from the database and not from what this process has just written.
      const copy = Effect.map(temporaryFolder, (inside) => {
        const file = join(inside, "log.db")
        copyFileSync(filled, file)
        return file
      })
      yield* measureAll(report, {
        name: "sqlite",
        logSize,
        openStore: Effect.flatMap(copy, (file) => SqliteStore.make({ file })),
        openRaw: Effect.flatMap(temporaryFolder, (inside) => openRawSqlite(join(inside, "raw.db")))
      })
    }).pipe(Effect.scoped)
  )

/** What is measured: each row with a store and a raw driver of its own, so that no row finds the log that others have left. */
interface Subject {
  readonly name: string
  readonly logSize: number
  /** Opens a store with a log of that size. */
  readonly openStore: Effect.Effect<EventStore, EventStoreError.EventStoreError, Scope.Scope>
  readonly openRaw: Effect.Effect<RawSqlite, never, Scope.Scope>
}

const measureAll = (report: Report, subject: Subject) =>
  Effect.gen(function* () {
    yield* measureReads(report, subject)
    for (const concurrency of concurrencies) {
      yield* measureWrites(report, subject, "append", concurrency, appends)
      yield* measureWrites(report, subject, "appendIf", concurrency, conditionalAppends)
    }
  })

const measureReads = (report: Report, { logSize, name, openRaw, openStore }: Subject) =>
  Effect.gen(function* () {
    const work = "read context of 10"
    report.progress(`${name}: ${work}, ${logSize} events`)
    const log = makeLog(yield* openStore, logSize)
    const raw = yield* openRaw
    for (let first = 0; first < logSize; first += 1_000) raw.fill(orderChunk(first, logSize))
    let read = 0
    const rawRead = () => raw.readOrder(`order-${scattered(read++, log.orders)}`)
    const rates = yield* compare(
      rateOf(1, reads(log)),
      rateOf(1, () => Effect.sync(rawRead))
    )
    report.row(toRow({ store: name, work, concurrency: 1, logSize, ratePerSecond: rates.ours }, rates.raw))
  }).pipe(Effect.scoped)

const measureWrites = (
  report: Report,
  { logSize, name, openRaw, openStore }: Subject,
  work: string,
  concurrency: number,
  operations: (log: Filled) => Operation<EventStoreError.EventStoreError>
) =>
  Effect.gen(function* () {
    report.progress(`${name}: ${work}, concurrency ${concurrency}, ${logSize} events`)
    const log = makeLog(yield* openStore, logSize)
    const raw = yield* openRaw
    let inserted = 0
    const rawInsert = () => raw.insert(orderEvent(inserted, inserted++))
    const rates = yield* compare(
      rateOf(concurrency, operations(log)),
      rateOf(1, () => Effect.sync(rawInsert))
    )
    report.row(toRow({ store: name, work, concurrency, logSize, ratePerSecond: rates.ours }, rates.raw))
  }).pipe(Effect.scoped)

/** A store with its log, and the numbers of orders in it. */
interface Filled {
  readonly store: EventStore
  /** Orders of ten events each. */
  readonly orders: number
  /** The number of an order that is not in the log. */
  readonly freshOrder: () => number
}

const makeLog = (store: EventStore, logSize: number): Filled => {
  const orders = logSize / eventsPerOrder
  let fresh = orders
  return { store, orders, freshOrder: () => fresh++ }
}

const appends =
  ({ freshOrder, store }: Filled) =>
  () =>
    Effect.suspend(() => {
      const order = freshOrder()
      return store.append([orderEvent(order, order)])
    })

/** Every command opens an order of its own; it knows the context's version and the head that it saw last. */
const conditionalAppends = ({ freshOrder, store }: Filled) => {
  const heads: Array<number | undefined> = []
  return (worker: number) =>
    Effect.suspend(() => {
      const order = freshOrder()
      const options = { headSequenceNumber: heads[worker] }
      return Effect.map(store.appendIf([orderEvent(order, order)], contextOf(order), null, options), (committed) => {
        heads[worker] = committed.lastSequenceNumber
      })
    })
}

const reads = ({ orders, store }: Filled) => {
  let next = 0
  return () => Effect.suspend(() => store.query(contextOf(scattered(next++, orders))))
}

/** Goes through all orders in an order that no cache of pages likes. */
const scattered = (index: number, orders: number): number => (index * 7_919) % orders

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "evolvent-bench-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)
