/**
 * `npm run bench -- stores`: append, checked appendIf and context reads, at growing logs, each beside the raw driver in the
 * same run and mode: the same JSON of the same events with the same durability, a database in memory beside the memory store.
 *
 * Machines have slow stretches of some seconds. So each row is measured in several rounds, which lie about a minute apart, and what
 * counts is the median of the samples of all rounds. One store comes after the other: the disk has to do with SQLite's files for a
 * while after they are closed.
 */
import type { EventStore, EventStoreError } from "evolvent"
import { MemoryStore } from "evolvent"
import { SqliteStore } from "evolvent/sqlite"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { copyFileSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Operation, Samples } from "./measure.ts"
import { collectGarbage, rateOf, ratesOf, takeSamples } from "./measure.ts"
import type { RawSqlite } from "./rawSqlite.ts"
import { inMemory, openRawSqlite } from "./rawSqlite.ts"
import type { Report } from "./report.ts"
import { toRow } from "./report.ts"
import { contextOf, eventsPerOrder, fill, orderChunk, orderEvent } from "./workload.ts"

const concurrencies = [1, 32, 128]
const logSizes = [1_000, 100_000, 1_000_000]

const rounds = 3
const samplesInRound = 3
const sampleMillis = 250

export const benchStores = (report: Report) =>
  Effect.gen(function* () {
    yield* measureInRounds(report, logSizes.map(memory))
    yield* measureInRounds(report, yield* Effect.forEach(logSizes, (logSize) => sqlite(report, logSize)))
  }).pipe(Effect.scoped)

const measureInRounds = (report: Report, subjects: ReadonlyArray<Subject>) =>
  Effect.gen(function* () {
    const rows = subjects.flatMap(rowsOf)
    for (let round = 1; round <= rounds; round++) {
      for (const { concurrency, measure, subject, taken, work } of rows) {
        const { logSize, store } = subject
        report.progress(`round ${round} of ${rounds}: ${store}: ${work}, concurrency ${concurrency}, ${logSize} events`)
        collectGarbage()
        taken.push(yield* Effect.scoped(measure))
        if (round < rounds) continue
        const rates = ratesOf(taken)
        report.row(toRow({ store, work, concurrency, logSize, ratePerSecond: rates.ours }, rates.raw))
      }
    }
  })

/** What is measured: each row of each round with a store and a raw driver of its own, so that none finds the log that others have left. */
interface Subject {
  readonly store: string
  readonly logSize: number
  /** Opens a store with a log of that size. */
  readonly openStore: Effect.Effect<EventStore, EventStoreError.EventStoreError, Scope.Scope>
  readonly openRaw: Effect.Effect<RawSqlite, never, Scope.Scope>
}

const memory = (logSize: number): Subject => ({
  store: "memory",
  logSize,
  openStore: Effect.tap(MemoryStore.make(), fill(logSize)),
  openRaw: openRawSqlite(inMemory)
})

const sqlite = (report: Report, logSize: number) =>
  Effect.gen(function* () {
    report.progress(`sqlite: filling a log of ${logSize}`)
    const filled = join(yield* temporaryFolder, "filled.db")
    yield* Effect.scoped(Effect.tap(SqliteStore.make({ file: filled }), fill(logSize)))
    // A copy opened anew, so that what is read comes from the database and not from what this process has just written.
    const copy = Effect.map(temporaryFolder, (inside) => {
      const file = join(inside, "log.db")
      copyFileSync(filled, file)
      return file
    })
    const subject: Subject = {
      store: "sqlite",
      logSize,
      openStore: Effect.flatMap(copy, (file) => SqliteStore.make({ file })),
      openRaw: Effect.flatMap(temporaryFolder, (inside) => openRawSqlite(join(inside, "raw.db")))
    }
    return subject
  })

/** A row of the report. */
interface Measured {
  readonly subject: Subject
  readonly work: string
  readonly concurrency: number
  /** Takes the samples of one round. */
  readonly measure: Effect.Effect<Samples, EventStoreError.EventStoreError, Scope.Scope>
  /** The samples of the rounds so far. */
  readonly taken: Array<Samples>
}

const rowsOf = (subject: Subject): ReadonlyArray<Measured> => [
  { subject, work: "read context of 10", concurrency: 1, measure: measureReads(subject), taken: [] },
  ...concurrencies.flatMap((concurrency) => [
    { subject, work: "append", concurrency, measure: measureWrites(subject, concurrency, appends), taken: [] },
    {
      subject,
      work: "appendIf",
      concurrency,
      measure: measureWrites(subject, concurrency, conditionalAppends),
      taken: []
    }
  ])
]

const measureReads = ({ logSize, openRaw, openStore }: Subject) =>
  Effect.gen(function* () {
    const log = makeLog(yield* openStore, logSize)
    const raw = yield* openRaw
    for (let first = 0; first < logSize; first += 1_000) raw.fill(orderChunk(first, logSize))
    let read = 0
    const rawRead = () => raw.readOrder(`order-${scattered(read++, log.orders)}`)
    return yield* samplesOf(1, reads(log), rawRead)
  })

const measureWrites = (
  { logSize, openRaw, openStore }: Subject,
  concurrency: number,
  operations: (log: Filled) => Operation<EventStoreError.EventStoreError>
) =>
  Effect.gen(function* () {
    const log = makeLog(yield* openStore, logSize)
    const raw = yield* openRaw
    let inserted = 0
    const rawInsert = () => raw.insert(orderEvent(inserted, inserted++))
    return yield* samplesOf(concurrency, operations(log), rawInsert)
  })

const samplesOf = <E>(concurrency: number, operation: Operation<E>, raw: () => unknown) =>
  takeSamples(
    rateOf(concurrency, operation, sampleMillis),
    rateOf(1, () => Effect.sync(raw), sampleMillis),
    samplesInRound
  )

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
