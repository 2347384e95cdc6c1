/**
 * `npm run bench -- stores`: append, checked appendIf and context reads, at growing logs, each beside the raw driver in the
 * same run and mode: the same JSON of the same events with the same durability, a database in memory beside the memory store.
 */
import type { EventStore, EventStoreError } from "evolvent"
import { MemoryStore } from "evolvent"
import { SqliteStore } from "evolvent/sqlite"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Operation } from "./measure.ts"
import { compare, rateOf } from "./measure.ts"
import type { RawSqlite } from "./rawSqlite.ts"
import { inMemory, openRawSqlite } from "./rawSqlite.ts"
import type { Report } from "./report.ts"
import { toRow } from "./report.ts"
import { contextOf, eventsPerOrder, orderChunk, orderEvent } from "./workload.ts"

const concurrencies = [1, 32, 128]
const logSizes = [1_000, 100_000, 1_000_000]

export const benchStores = (report: Report) =>
  Effect.gen(function* () {
    yield* benchMemory(report)
    yield* benchSqlite(report)
  })

const benchMemory = (report: Report) =>
  Effect.gen(function* () {
    for (const logSize of logSizes) {
      report.progress(`memory: filling a log of ${logSize}`)
      const store = yield* MemoryStore.make()
      const log = yield* filled(store, logSize)
      yield* measureAll(report, "memory", log, logSize, yield* openRawSqlite(inMemory))
    }
  }).pipe(Effect.scoped)

const benchSqlite = (report: Report) =>
  Effect.gen(function* () {
    for (const logSize of logSizes) {
      report.progress(`sqlite: filling a log of ${logSize}`)
      const folder = yield* temporaryFolder
      const file = join(folder, "log.db")
      yield* Effect.scoped(Effect.flatMap(SqliteStore.make({ file }), (store) => filled(store, logSize)))
      // Opened anew, so that what is read comes from the database and not from what this process has just written.
      const store = yield* SqliteStore.make({ file })
      yield* measureAll(
        report,
        "sqlite",
        makeLog(store, logSize),
        logSize,
        yield* openRawSqlite(join(folder, "raw.db"))
      )
    }
  }).pipe(Effect.scoped)

const measureAll = (report: Report, name: string, log: Filled, logSize: number, raw: RawSqlite) =>
  Effect.gen(function* () {
    for (let first = 0; first < logSize; first += 1_000) raw.fill(orderChunk(first, logSize))
    const measure = (
      work: string,
      concurrency: number,
      operation: Operation<EventStoreError.EventStoreError>,
      rawWork: () => void
    ) =>
      Effect.map(
        compare(
          rateOf(concurrency, operation),
          rateOf(1, () => Effect.sync(rawWork))
        ),
        (rates) => report.row(toRow({ store: name, work, concurrency, logSize, ratePerSecond: rates.ours }, rates.raw))
      )
    let read = 0
    yield* measure("read context of 10", 1, reads(log), () => raw.readOrder(`order-${scattered(read++, log.orders)}`))
    let inserted = 0
    for (const { concurrency, operation, work } of writes(log)) {
      yield* measure(work, concurrency, operation, () => raw.insert(orderEvent(inserted, inserted++)))
    }
  })

/** A store with its log, and the numbers of orders in it. */
interface Filled {
  readonly store: EventStore
  /** Orders of ten events each. */
  readonly orders: number
  /** The number of an order that is not in the log. */
  readonly freshOrder: () => number
}

const filled = (store: EventStore, logSize: number) =>
  Effect.gen(function* () {
    for (let first = 0; first < logSize; first += 1_000) yield* store.append(orderChunk(first, logSize))
    return makeLog(store, logSize)
  })

const makeLog = (store: EventStore, logSize: number): Filled => {
  const orders = logSize / eventsPerOrder
  let fresh = orders
  return { store, orders, freshOrder: () => fresh++ }
}

const writes = (log: Filled) =>
  concurrencies.flatMap((concurrency) => [
    { concurrency, work: "append", operation: appends(log) },
    { concurrency, work: "appendIf", operation: conditionalAppends(log) }
  ])

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
