/** Projections for code that does not use Effect: handlers with promises and the drivers' own calls, a worker with promises. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import {
  Application,
  EventStoreError,
  HookFailed,
  MemoryStore,
  Projection,
  UnfitProjection,
  UnknownProjection
} from "evolvent"
import { PostgresStore } from "evolvent/postgres"
import { SqliteStore } from "evolvent/sqlite"
import { afterAll, describe, expect, it } from "vitest"
import { range } from "../../src/testing/conformance/expectations.ts"
import { ownSchema } from "../support/postgres.ts"
import { Events, sold } from "./sales.ts"

const folder = mkdtempSync(join(tmpdir(), "evolvent-projections-"))

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => {
      throw new Error("the promise resolved")
    },
    (error: unknown) => error
  )

describe("an application with projections", () => {
  it("keeps a query model in a SQLite file with the driver's own calls", async () => {
    const file = join(folder, "one.db")
    const seats = Projection.make({
      name: "seats",
      events: Events,
      setup: (transaction) => {
        SqliteStore.databaseOf(transaction).exec("CREATE TABLE IF NOT EXISTS seats (number INTEGER PRIMARY KEY)")
      },
      reset: (transaction) => void SqliteStore.databaseOf(transaction).exec("DROP TABLE seats"),
      handle: (events, transaction) => {
        const insert = SqliteStore.databaseOf(transaction).prepare("INSERT INTO seats VALUES (?)")
        for (const { record } of events) insert.run(record.sequenceNumber)
      }
    })
    const app = await Application.open({ store: SqliteStore.layer({ file }), projections: [seats], lease: "1 second" })
    const { lastSequenceNumber } = await app.append([sold(), sold()])
    await app.projections.waitFor(seats, lastSequenceNumber)
    const reader = new Database(file, { readonly: true })
    const numbers = () => reader.prepare("SELECT number FROM seats ORDER BY number").pluck().all()
    expect(numbers()).toEqual([1, 2])
    await app.projections.pause(seats)
    await app.append([sold()])
    expect((await app.projections.status("seats")).state).toBe("paused")
    await app.projections.resume(seats)
    await app.projections.waitFor(seats, 3)
    await app.projections.rebuild(seats)
    await app.projections.waitFor(seats, 3)
    expect(numbers()).toEqual([1, 2, 3])
    expect(await app.projections.statuses()).toMatchObject([{ name: "seats", position: 3, lag: 0, state: "running" }])
    expect(await app.projections.deadLetters(seats)).toEqual([])
    expect(await app.projections.replay(seats)).toBe(0)
    await app.projections.discard(seats, [1])
    expect(await failure(app.projections.status("other"))).toBeInstanceOf(UnknownProjection)
    reader.close()
    await app.close()
    expect(await failure(app.projections.statuses())).toMatchObject({ reason: { _tag: "StoreClosed" } })
  })

  it("keeps a query model in PostgreSQL with promises of the driver's client, and ends what was under way", () =>
    Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const own = yield* ownSchema
          const table = `"${own.schema}".seats`
          let finished = 0
          const seats = Projection.make({
            name: "seats",
            events: Events,
            setup: (transaction) =>
              PostgresStore.clientOf(transaction).query(
                `CREATE TABLE IF NOT EXISTS ${table} (number int8 PRIMARY KEY)`
              ),
            handle: async (events, transaction) => {
              const client = PostgresStore.clientOf(transaction)
              for (const { record } of events) {
                await client.query(`INSERT INTO ${table} VALUES ($1)`, [record.sequenceNumber])
              }
              finished += events.length
            }
          })
          yield* Effect.promise(async () => {
            const store = PostgresStore.layer({ url: own.url, schema: own.schema })
            const app = await Application.open({ store, projections: [seats] })
            await app.append([sold()])
            await app.projections.waitFor(seats, 1)
            for (const _ of range(1, 20)) await app.append([sold()])
            await app.close()
          })
          const rows = yield* own.query(`SELECT number FROM ${table}`)
          expect(rows.length).toBe(finished)
          expect(finished).toBeGreaterThan(0)
        })
      )
    ))

  it("does not open where a projection cannot start, and leaves the file to others", async () => {
    const handle = () => undefined
    const unfit = Projection.make({ name: "unfit", events: Events, handle })
    expect(await failure(Application.open({ store: MemoryStore.layer(), projections: [unfit] }))).toBeInstanceOf(
      UnfitProjection
    )
    const store = SqliteStore.layer({ file: join(folder, "two.db") })
    const sound = Projection.elsewhere({ name: "sound", events: Events, handle })
    const setup = () => Promise.reject(new Error("no"))
    const failing = Projection.elsewhere({ name: "failing", events: Events, handle, setup })
    const error = await failure(Application.open({ store, projections: [sound, failing], lease: "1 hour" }))
    expect(error).toBeInstanceOf(HookFailed)
    const app = await Application.open({ store, projections: [sound], lease: "1 hour" })
    await app.append([sold()])
    await app.projections.waitFor(sound, 1)
    await app.close()
  })

  it("refuses a lease that is not allowed", async () => {
    const error = await failure(Application.open({ store: MemoryStore.layer(), lease: "1 millis" }))
    expect(error).toBeInstanceOf(EventStoreError.EventStoreError)
    expect(error).toMatchObject({ reason: { _tag: "InvalidInput", path: "options.lease" } })
  })
})

describe("the drivers' connections", () => {
  it("are refused to those who ask for another database's", () => {
    const transaction = { dialect: "sqlite", native: {}, execute: () => Effect.succeed([]) } as const
    expect(SqliteStore.databaseOf(transaction)).toBe(transaction.native)
    expect(() => PostgresStore.clientOf(transaction)).toThrow(/a transaction of sqlite, not of postgres/)
    const other = { ...transaction, dialect: "postgres" } as const
    expect(PostgresStore.clientOf(other)).toBe(transaction.native)
    expect(() => SqliteStore.databaseOf(other)).toThrow(/a transaction of postgres, not of sqlite/)
  })
})
