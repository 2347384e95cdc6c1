/**
 * `npm run bench -- postgres`: checked appendIf, alone and after a read of its context, at growing logs, beside the raw driver's
 * single-row prepared INSERTs with the same concurrency in the same run; and two processes beside one.
 */
import type { EventStore } from "evolvent"
import { PostgresStore } from "evolvent/postgres"
import * as Effect from "effect/Effect"
import { fork } from "node:child_process"
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { embeddedPostgres } from "../examples/tickets/embeddedPostgres.ts"
import type { Operation } from "./measure.ts"
import { compare, rateOf, sampleMillis } from "./measure.ts"
import { dropSchema, openRawPostgres, settle } from "./rawPostgres.ts"
import type { Report } from "./report.ts"
import { toRow } from "./report.ts"
import { contextOf, eventsPerOrder, fill, orderEvent } from "./workload.ts"

const logSizes = [1_000, 100_000, 1_000_000]
const concurrencies = [1, 32, 128]

/** Of the first log, on which nothing is measured. */
const warmUp = { logSize: 10_000, millis: 4_000 }

/** Of the server that the benchmark starts itself: room for a log of a million events, as docs/postgres.md has it. */
const settings = { max_connections: "300", shared_buffers: "1GB" }

export const benchPostgres = (report: Report) =>
  Effect.gen(function* () {
    const given = process.env["DATABASE_URL"]
    const url = given ?? (yield* embeddedPostgres({ settings })).url
    yield* Effect.scoped(warmUpOn(report, url))
    for (const logSize of logSizes) yield* Effect.scoped(benchLog(report, url, logSize))
  }).pipe(Effect.scoped)

/** Code that has just started is not compiled yet: one call after the other, that would take longer than all samples. */
const warmUpOn = (report: Report, url: string) =>
  Effect.gen(function* () {
    const { log } = yield* filledLog(report, url, warmUp.logSize)
    for (const [concurrency, operation] of [
      [1, conditionalAppends(log)],
      [32, conditionalAppends(log)],
      [32, readsAndAppends(log)]
    ] as const) {
      yield* rateOf(concurrency, operation, warmUp.millis)
    }
  })

const benchLog = (report: Report, url: string, logSize: number) =>
  Effect.gen(function* () {
    const { log, schema } = yield* filledLog(report, url, logSize)
    const measure = (work: string, concurrency: number, operation: Operation) =>
      Effect.gen(function* () {
        const table = `"${schema}"."raw ${work} ${concurrency}"`
        const insert = yield* openRawPostgres(url, table, concurrency)
        let inserted = 0
        const rates = yield* compare(
          rateOf(concurrency, operation),
          rateOf(concurrency, (worker) => insert(worker, orderEvent(inserted, inserted++)))
        )
        report.row(toRow({ store: "postgres", work, concurrency, logSize, ratePerSecond: rates.ours }, rates.raw))
      }).pipe(Effect.scoped)
    for (const concurrency of concurrencies) yield* measure("appendIf", concurrency, conditionalAppends(log))
    for (const concurrency of concurrencies) yield* measure("read, appendIf", concurrency, readsAndAppends(log))
    yield* twoProcesses(report, url, schema, logSize)
  })

/** A log in a schema of its own, filled by another store than the one that is measured. */
const filledLog = (report: Report, url: string, logSize: number) =>
  Effect.gen(function* () {
    const schema = `bench_${randomBytes(4).toString("hex")}`
    yield* Effect.addFinalizer(() => dropSchema(url, schema))
    report.progress(`postgres: filling a log of ${logSize}`)
    yield* Effect.scoped(Effect.flatMap(PostgresStore.make({ url, schema }), fill(logSize)))
    yield* settle(url, schema)
    const store = yield* PostgresStore.make({ url, schema })
    const orders = logSize / eventsPerOrder
    const log: Log = { store, orders, next: orders }
    return { log, schema }
  })

interface Log {
  readonly store: EventStore
  /** Orders of ten events that are in the log. */
  readonly orders: number
  /** The number of an order that is not. */
  next: number
}

/** Every command opens an order of its own; it knows the context's version and the head that it saw last. */
export const conditionalAppends = (log: Log): Operation => {
  const heads: Array<number | undefined> = []
  return (worker) =>
    Effect.suspend(() => {
      const order = log.next++
      const options = { headSequenceNumber: heads[worker] }
      return Effect.map(
        log.store.appendIf([orderEvent(order, order)], contextOf(order), null, options),
        (committed) => {
          heads[worker] = committed.lastSequenceNumber
        }
      )
    })
}

/**
 * Every command reads the context of an order and adds an event to it. The orders are old ones of ten events; in a log with
 * few of them every order is used ten times, from its first event on.
 */
const readsAndAppends = (log: Log): Operation => {
  const isShort = log.orders < 10_000
  let command = 0
  return () =>
    Effect.suspend(() => {
      const index = command++
      const order = isShort
        ? log.orders * 1_000_000 + Math.floor(index / 10_000) * 1_000 + (index % 1_000)
        : (index * 7_919) % log.orders
      return Effect.flatMap(log.store.query(contextOf(order)), (seen) =>
        log.store.appendIf([orderEvent(order, index)], contextOf(order), seen.currentContextVersion, {
          headSequenceNumber: seen.headSequenceNumber
        })
      )
    })
}

/** Appends of two processes at once, 64 in flight in each, beside one process with as many. */
const twoProcesses = (report: Report, url: string, schema: string, logSize: number) =>
  Effect.gen(function* () {
    const run = (count: number) =>
      Effect.map(
        Effect.all(
          Array.from({ length: count }, (_, index) => writer(url, schema, index)),
          { concurrency: "unbounded" }
        ),
        (rates) => rates.reduce((sum, rate) => sum + rate, 0)
      )
    const rates = yield* compare(run(2), run(1))
    const row = { store: "postgres", work: "appendIf, 2 processes to 1", concurrency: 64, logSize }
    report.row(toRow({ ...row, ratePerSecond: rates.ours }, rates.raw))
  })

/** The rate of a process of its own, over four samples' time. */
const writer = (url: string, schema: string, index: number): Effect.Effect<number> =>
  Effect.callback<number>((resume) => {
    const child = fork(join(import.meta.dirname, "postgresWriter.js"), [url, schema, `${index}`, `${sampleMillis * 4}`])
    child.once("message", (rate) => resume(Effect.succeed(rate as number)))
    child.once("error", (error) => resume(Effect.die(error)))
    child.once("close", (code) => resume(Effect.die(new Error(`a writer process ended with ${code}`))))
  })
