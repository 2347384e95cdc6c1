/** A log of an earlier format is brought to the present one when it is opened by its owner, and loses nothing (L3). */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as Query from "../../../src/stores/EventQuery.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { format } from "../../../src/stores/postgres/schema.ts"
import {
  closable,
  event,
  failsWith,
  inTime,
  logOf,
  numbersOf,
  range,
  recorder,
  times
} from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import type { RawQuery } from "../../support/postgres.ts"
import { ownDatabase, ownRole, rawConnection } from "../../support/postgres.ts"
import { indexedThrough } from "./logs.ts"

const formatOne = readFileSync(join(import.meta.dirname, "formatOne.sql"), "utf8")

/** What docs/postgres.md gives to bring places up to date. */
const placesUpdate = /```sql\n(UPDATE evolvent\.event_index[^`]*)```/.exec(
  readFileSync(join(import.meta.dirname, "../../../docs/postgres.md"), "utf8")
)![1]!

/** A database with a log of format 1, and what was done to it afterwards. */
const logOfFormatOne = (...sql: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { url } = yield* ownDatabase
    const { query } = yield* rawConnection(url)
    for (const statement of [formatOne, ...sql]) yield* query(statement)
    return { url, query, open: PostgresStore.make({ url, listen: false }) }
  })

/** Every relation, column, function and trigger of the schema, and the log's own row. */
const contentOf = (query: RawQuery) =>
  Effect.all([
    query(`
      SELECT c.relname, c.relkind, c.relacl::text, a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, l.collname
      FROM pg_class AS c LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
      LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
      WHERE c.relnamespace = 'evolvent'::regnamespace ORDER BY c.relname, a.attnum`),
    query("SELECT proname, prosrc, proacl::text FROM pg_proc WHERE pronamespace = 'evolvent'::regnamespace ORDER BY 1"),
    query("SELECT indexdef FROM pg_indexes WHERE schemaname = 'evolvent' ORDER BY 1")
  ])

const formatOf = (query: RawQuery) =>
  Effect.map(query<{ format: number }>("SELECT format FROM evolvent.log"), ([row]) => row!.format)

describe("a log of format 3", () => {
  itEffect("is read by numbers, and by places from the statement on that docs/postgres.md names", () =>
    Effect.gen(function* () {
      const { url } = yield* ownDatabase
      const { query } = yield* rawConnection(url)
      const places =
        "SELECT i.place = e.ctid AS known FROM evolvent.event_index AS i JOIN evolvent.events AS e USING (sequence_number)"
      const readAnew = Effect.scoped(
        Effect.gen(function* () {
          const store = yield* PostgresStore.make({ url, listen: false })
          return numbersOf((yield* store.query(Query.withTags("even"))).eventRecords)
        })
      )
      const store = yield* closable(PostgresStore.make({ url, listen: false, indexEvery: 10 }))
      yield* store.store.append(range(1, 10).map((n) => event("Counted", { n }, n % 2 === 0 ? ["even"] : [])))
      yield* indexedThrough(query, "evolvent", 10)
      yield* store.close
      expect(yield* query(places)).toEqual(times(10, () => ({ known: true })))
      yield* query("ALTER TABLE evolvent.event_index DROP COLUMN place")
      yield* query("UPDATE evolvent.log SET format = 3")
      yield* PostgresStore.migrate({ url })
      expect(yield* query(places)).toEqual(times(10, () => ({ known: null })))
      expect(yield* readAnew).toEqual([2, 4, 6, 8, 10])
      for (const statement of placesUpdate.trim().split(/(?<=;)\n/)) yield* query(statement)
      expect(yield* query(places)).toEqual(times(10, () => ({ known: true })))
      expect(yield* readAnew).toEqual([2, 4, 6, 8, 10])
    })
  )
})

describe("a log of format 2", () => {
  itEffect("gets the function for a single event, and whoever could append may use it", () =>
    Effect.gen(function* () {
      const { url } = yield* ownDatabase
      const { query } = yield* rawConnection(url)
      const writer = yield* ownRole(url)
      yield* PostgresStore.migrate({ url })
      for (const statement of [
        "DROP FUNCTION evolvent.append_one",
        "ALTER TABLE evolvent.event_index DROP COLUMN place",
        "UPDATE evolvent.log SET format = 2",
        `GRANT USAGE ON SCHEMA evolvent TO "${writer.role}"`,
        `GRANT SELECT ON evolvent.log, evolvent.events, evolvent.event_index TO "${writer.role}"`,
        `GRANT INSERT ON evolvent.events TO "${writer.role}"`,
        `GRANT EXECUTE ON FUNCTION evolvent.read, evolvent.append TO "${writer.role}"`
      ]) {
        yield* query(statement)
      }
      yield* PostgresStore.migrate({ url })
      expect(yield* formatOf(query)).toBe(format)
      const store = yield* PostgresStore.make({ url: writer.url, migrate: false, listen: false })
      expect((yield* store.append([event("Sold")])).firstSequenceNumber).toBe(1)
    })
  )
})

describe("a log of format 1", () => {
  itEffect("keeps its events, index and keys, and takes cursors from now on", () =>
    Effect.gen(function* () {
      const { open, query } = yield* logOfFormatOne()
      expect(yield* formatOf(query)).toBe(1)
      const received = recorder()
      const one = yield* closable(open)
      expect(yield* formatOf(query)).toBe(format)
      const log = yield* logOf(one.store)
      expect(log.map(({ eventType, payload, sequenceNumber }) => [sequenceNumber, eventType, payload])).toEqual([
        [1, "Opened", null],
        [2, "Sold", { seat: 7 }],
        [3, "Sold", { seat: 8 }],
        [4, "Sold", { seat: 9 }]
      ])
      expect(numbersOf((yield* one.store.query(Query.withPayload({ seat: 7 }))).eventRecords)).toEqual([2])
      const again = yield* one.store.append([event("Sold", { seat: 9 })], { idempotencyKey: "seat 9" })
      expect(again.firstSequenceNumber).toBe(4)
      const stream = yield* one.store.streamToDurable({ name: "sales" }, Query.ofTypes("Sold"), received.handler)
      yield* inTime(stream.caughtUp, "the stream catches up")
      yield* one.close
      const two = yield* open
      yield* two.streamToDurable({ name: "sales" }, Query.ofTypes("Sold"), received.handler)
      yield* two.append([event("Sold", { seat: 10 })])
      yield* received.received(4)
      expect(received.numbers()).toEqual([[2], [3], [4], [5]])
      expect(numbersOf(yield* logOf(two))).toEqual(range(1, 5))
    })
  )

  itEffect("has the schema of a new log afterwards, also when many stores open it at once", () =>
    Effect.gen(function* () {
      const { open, query } = yield* logOfFormatOne()
      const fresh = yield* ownDatabase
      yield* PostgresStore.migrate({ url: fresh.url })
      yield* Effect.scoped(
        Effect.all(
          times(6, () => open),
          { concurrency: "unbounded" }
        )
      )
      expect(yield* contentOf(query)).toEqual(yield* contentOf((yield* rawConnection(fresh.url)).query))
    })
  )

  itEffect("can be written by those who could before", () =>
    Effect.gen(function* () {
      const { query, open, url } = yield* logOfFormatOne()
      const writer = yield* ownRole(url)
      yield* query(`
GRANT USAGE ON SCHEMA evolvent TO "${writer.role}";
GRANT SELECT ON evolvent.log, evolvent.events, evolvent.event_index, evolvent.idempotency TO "${writer.role}";
GRANT INSERT ON evolvent.events, evolvent.idempotency TO "${writer.role}";
GRANT EXECUTE ON FUNCTION evolvent.read, evolvent.lock, evolvent.append, evolvent.refuse_changed, evolvent.refuse_known,
  evolvent.write_index TO "${writer.role}"`)
      yield* Effect.scoped(open)
      const store = yield* PostgresStore.make({ url: writer.url, migrate: false, listen: false, indexEvery: 1 })
      expect(
        (yield* store.append([event("Sold", { seat: 10 })], { idempotencyKey: "seat 10" })).firstSequenceNumber
      ).toBe(5)
      expect(numbersOf((yield* store.query(Query.withTags("sale:1"))).eventRecords)).toEqual([1, 2, 3])
      yield* indexedThrough(query, "evolvent", 5)
    })
  )

  itEffect("is left alone by those who may not migrate it", () =>
    Effect.gen(function* () {
      const { query, url } = yield* logOfFormatOne()
      const refused = yield* failsWith("SchemaMismatch", Effect.scoped(PostgresStore.make({ url, migrate: false })))
      expect(refused.message).toContain(`has format 1, this version needs ${format}`)
      expect(yield* formatOf(query)).toBe(1)
    })
  )

  const refused: ReadonlyArray<readonly [string, string]> = [
    ...["cursors", "dead_letters", "outbox", "projection_versions"].map(
      (table) => [`a foreign table has the name of ${table}`, `CREATE TABLE evolvent.${table} (order_id int)`] as const
    ),
    ["a view has the name of cursors", "CREATE VIEW evolvent.cursors AS SELECT 1 AS one"],
    [
      "a foreign function has the name of append_one",
      "CREATE FUNCTION evolvent.append_one(order_id int) RETURNS int LANGUAGE sql AS 'SELECT 1'"
    ],
    ["its trigger is gone", "DROP TRIGGER events_append_only ON evolvent.events"],
    ["a column was added", "ALTER TABLE evolvent.idempotency ADD COLUMN note text"]
  ]
  for (const [name, sql] of refused) {
    itEffect(`is refused and not changed when ${name}`, () =>
      Effect.gen(function* () {
        const { open, query, url } = yield* logOfFormatOne(sql)
        const before = yield* contentOf(query)
        yield* failsWith("SchemaMismatch", Effect.scoped(open))
        yield* failsWith("SchemaMismatch", PostgresStore.migrate({ url }))
        expect(yield* contentOf(query)).toEqual(before)
        expect(yield* formatOf(query)).toBe(1)
      })
    )
  }
})
