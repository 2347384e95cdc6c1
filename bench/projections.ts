/**
 * `npm run bench -- projections`: catching up with a log through a projection in the store's database, once writing a row for every
 * event, beside the raw driver that writes the same rows in the same chunks, and once only counting them, beside the raw driver
 * that reads the same events and parses the same payloads; and how long a commit takes to arrive.
 */
import type Database from "better-sqlite3"
import { EventCatalog, EventStore, layerProjectionWorker, Projection, ProjectionWorker } from "evolvent"
import { PostgresStore } from "evolvent/postgres"
import { SqliteStore } from "evolvent/sqlite"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type * as pg from "pg"
import { embeddedPostgres } from "../examples/tickets/embeddedPostgres.ts"
import { deliveryTimes, deliveryTimesBetween } from "./deliveryTimes.ts"
import { compare } from "./measure.ts"
import type { RawProjections } from "./rawProjections.ts"
import { insertRow, marks, numbers, rawPostgres, rawSqlite, seatRows } from "./rawProjections.ts"
import { dropSchema } from "./rawPostgres.ts"
import type { Report } from "./report.ts"
import { toRow } from "./report.ts"
import { orderEvent } from "./workload.ts"

const logSize = 100_000

/** Catch-ups of each kind, but for those that write to PostgreSQL: these take a quarter of a minute every time. */
const samples = 15
const fewSamples = 3

export const benchProjections = (report: Report) =>
  Effect.gen(function* () {
    yield* Effect.scoped(onSqlite(report))
    yield* Effect.scoped(onPostgres(report))
  })

const onSqlite = (report: Report) =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const file = join(folder, "log.db")
    const store = yield* SqliteStore.make({ file })
    yield* fill(report, "sqlite", store)
    yield* catchUps(report, "sqlite", store, yield* rawSqlite(file, join(folder, "raw.db")))
    report.latency(yield* deliveryTimes("sqlite", store))
  })

const onPostgres = (report: Report) =>
  Effect.gen(function* () {
    const url = process.env["DATABASE_URL"] ?? (yield* embeddedPostgres()).url
    const schema = `bench_${randomBytes(4).toString("hex")}`
    yield* Effect.addFinalizer(() => dropSchema(url, schema))
    const store = yield* PostgresStore.make({ url, schema })
    yield* fill(report, "postgres", store)
    yield* catchUps(report, "postgres", store, yield* rawPostgres(url, schema))
    report.latency(yield* deliveryTimes("postgres", store))
    report.latency(yield* deliveryTimesBetween(url, schema, store))
  })

/** One event an append: the log of an application, not of an import. */
const fill = (report: Report, name: string, store: EventStore) =>
  Effect.gen(function* () {
    report.progress(`${name}: filling a log of ${logSize}`)
    yield* Effect.forEach(
      Array.from({ length: logSize }).keys(),
      (index) => store.append([orderEvent(index % 10_000, index)]),
      { concurrency: 256, discard: true }
    )
  })

const Orders = EventCatalog.make({
  TicketSold: Schema.Struct({
    orderId: Schema.String,
    saleId: Schema.String,
    buyer: Schema.String,
    seat: Schema.Int,
    priceInCents: Schema.Int,
    channel: Schema.String
  })
})

const catchUps = (report: Report, name: string, store: EventStore, raw: RawProjections) =>
  Effect.gen(function* () {
    report.progress(`${name}: catching up`)
    const measure = (work: string, projection: Projection.Projection, rawWork: Effect.Effect<void>, count: number) =>
      Effect.map(compare(catchUp(store, projection), rate(rawWork), count), (rates) =>
        report.row(toRow({ store: name, work, concurrency: 1, logSize, ratePerSecond: rates.ours }, rates.raw))
      )
    yield* measure("catch-up, counting", counting(), raw.read, samples)
    yield* measure(
      "catch-up, a row an event",
      writing(raw.schema),
      raw.write,
      raw.schema === undefined ? samples : fewSamples
    )
  })

const counting = () => {
  let count = 0
  return Projection.make({
    name: "counting",
    events: Orders,
    handle: (events) => {
      count += events.length
    }
  })
}

/** On SQLite with the driver's prepared statement, on PostgreSQL with the driver's prepared query: like the raw work beside it. */
const writing = (schema: string | undefined) => {
  const table = schema === undefined ? "seats" : `"${schema}".seats`
  let prepared: Database.Statement | undefined
  return Projection.make({
    name: "writing",
    events: Orders,
    setup: (sql) => sql.execute(seatRows(table)),
    reset: (sql) => sql.execute(`DROP TABLE ${table}`),
    handle: (events, { dialect, native }) => {
      if (dialect === "sqlite") {
        prepared ??= (native as Database.Database).prepare(insertRow(table, marks))
        for (const { event } of events) prepared.run(event.payload.saleId, event.payload.seat, event.payload.buyer)
        return undefined
      }
      const client = native as pg.ClientBase
      const insert = { name: "insert_seat", text: insertRow(table, numbers) }
      return Promise.all(
        events.map(({ event }) =>
          client.query({ ...insert, values: [event.payload.saleId, event.payload.seat, event.payload.buyer] })
        )
      )
    }
  })
}

/** Events a second from the beginning of the log to its end. */
const catchUp = (store: EventStore, projection: Projection.Projection) =>
  Effect.gen(function* () {
    const worker = yield* ProjectionWorker
    yield* worker.pause(projection)
    yield* worker.rebuild(projection)
    const caughtUp = Effect.andThen(
      worker.resume(projection),
      Effect.tapError(worker.waitFor(projection, logSize, { timeout: "5 minutes" }), () =>
        Effect.map(worker.status(projection), (x) => console.error(x))
      )
    )
    return yield* rate(caughtUp)
  }).pipe(
    Effect.provide(
      Layer.provide(layerProjectionWorker({ projections: [projection] }), Layer.succeed(EventStore, store))
    )
  )

const rate = <E>(work: Effect.Effect<unknown, E>): Effect.Effect<number, E> =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeNanos
    yield* work
    return (logSize * 1e9) / Number((yield* Clock.currentTimeNanos) - start)
  })

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "evolvent-bench-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)
