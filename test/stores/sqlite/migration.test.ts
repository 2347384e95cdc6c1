/** A log of an earlier format is brought to the present one when it is opened, and loses nothing (L3). */
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as Query from "../../../src/stores/EventQuery.ts"
import { format } from "../../../src/stores/sqlite/statements.ts"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
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
import { temporaryFile } from "../../support/stores.ts"
import { rawConnection } from "./processes.ts"

/** What a store of format 1 has left behind after three events, two of which are in its index. */
const formatOne = `
PRAGMA journal_mode = WAL;
CREATE TABLE "evolvent_log" (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  format INTEGER NOT NULL,
  log_id TEXT NOT NULL,
  indexed_through INTEGER NOT NULL,
  has_partly_indexed INTEGER NOT NULL
) STRICT;
CREATE TABLE "evolvent_events" (
  sequence_number INTEGER PRIMARY KEY,
  event_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  schema_version INTEGER NOT NULL,
  payload TEXT NOT NULL,
  tags TEXT NOT NULL,
  metadata TEXT NOT NULL,
  occurred_at INTEGER NOT NULL,
  batch_end INTEGER NOT NULL
) STRICT;
CREATE VIRTUAL TABLE "evolvent_index" USING fts5(words, content='', columnsize=0, detail=none, tokenize='ascii');
CREATE TRIGGER "evolvent_no_update" BEFORE UPDATE ON "evolvent_events" BEGIN SELECT RAISE(ABORT, 'the log is append-only: events are never updated'); END;
CREATE TRIGGER "evolvent_no_delete" BEFORE DELETE ON "evolvent_events" BEGIN SELECT RAISE(ABORT, 'the log is append-only: events are never deleted'); END;
CREATE TRIGGER "evolvent_in_order" BEFORE INSERT ON "evolvent_events"
WHEN NEW.sequence_number <> (SELECT coalesce(max(sequence_number), 0) + 1 FROM "evolvent_events") BEGIN SELECT RAISE(ABORT, 'the log is append-only: an event takes the next number'); END;
INSERT INTO "evolvent_index" ("evolvent_index", rank) VALUES ('automerge', 2);
INSERT INTO "evolvent_log" VALUES (1, 1, '01a1fea8-f846-7002-a700-a001199d7ccb', 2, 0);
INSERT INTO "evolvent_events" VALUES
  (1, '0192f0c1-2a3b-7c4d-8e5f-60718293a4b5', 'Opened', 1, 'null', '["sale:1"]', '{}', 1795273848916, 2),
  (2, '6fa459ea-ee8a-4ca4-894e-db77e160355e', 'Sold', 1, '{"seat":7}', '["sale:1"]', '{}', 1795273848916, 2),
  (3, '00000000-0000-4000-8000-000000000010', 'Sold', 1, '{"seat":8}', '["sale:1"]', '{}', 1795273848920, 3);
INSERT INTO "evolvent_index" (rowid, words) VALUES (1, '0e44fgu 0rfdhnq 0n8neps 2bv9sad'), (2, '0cobais 0dp7mnd 0n8neps 0nc9pg8');
`

/** What a store of format 2 has added: the fourth event was recorded under a key. */
const formatTwo = `${formatOne}
CREATE TABLE "evolvent_idempotency" (
  key TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  first_sequence_number INTEGER NOT NULL,
  last_sequence_number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
UPDATE "evolvent_log" SET format = 2;
INSERT INTO "evolvent_events" VALUES
  (4, '00000000-0000-4000-8000-000000000011', 'Sold', 1, '{"seat":9}', '[]', '{}', 1795273848930, 4);
INSERT INTO "evolvent_idempotency" VALUES ('seat 9', 'f956acdcec63b961ee5c03e5ef4cef6d33c6c73e60c4c6dd8bd5407637bf522f', 4, 4);
`

const fileOf = (...sql: ReadonlyArray<string>) =>
  Effect.map(temporaryFile, (file) => {
    const connection = new Database(file)
    for (const statement of sql) connection.exec(statement)
    connection.close()
    return file
  })

const fileOfFormatOne = (...sql: ReadonlyArray<string>) => fileOf(formatOne, ...sql)

const formatOf = (file: string) =>
  Effect.map(rawConnection(file), (connection) => connection.prepare("SELECT format FROM evolvent_log").pluck().get())

/** The rows of the log's tables and the objects of the schema. */
const contentOf = (file: string) =>
  Effect.map(rawConnection(file), (connection) =>
    ["sqlite_schema", "evolvent_log", "evolvent_events"].map((table) =>
      connection.prepare(`SELECT * FROM ${table}`).all()
    )
  )

describe("a log of format 1", () => {
  itEffect("is read as it was, and takes idempotency keys from now on", () =>
    Effect.gen(function* () {
      const file = yield* fileOfFormatOne()
      expect(yield* formatOf(file)).toBe(1)
      const store = yield* SqliteStore.make({ file })
      expect(yield* formatOf(file)).toBe(format)
      const log = yield* logOf(store)
      expect(log.map((record) => [record.sequenceNumber, record.eventType, record.payload])).toEqual([
        [1, "Opened", null],
        [2, "Sold", { seat: 7 }],
        [3, "Sold", { seat: 8 }]
      ])
      const sold = yield* store.query(Query.withPayload({ seat: 7 }))
      expect([numbersOf(sold.eventRecords), sold.headSequenceNumber]).toEqual([[2], 3])
      const first = yield* store.append([event("Sold", { seat: 9 })], { idempotencyKey: "seat 9" })
      expect(first.firstSequenceNumber).toBe(4)
      const reopened = yield* SqliteStore.make({ file })
      expect(yield* reopened.append([event("Sold", { seat: 9 })], { idempotencyKey: "seat 9" })).toEqual(first)
      expect(numbersOf(yield* logOf(reopened))).toEqual(range(1, 4))
      expect((yield* logOf(reopened)).slice(0, 3)).toEqual(log)
    })
  )

  itEffect("has the schema of a new log afterwards", () =>
    Effect.gen(function* () {
      const [old, fresh] = [yield* fileOfFormatOne(), yield* temporaryFile]
      for (const file of [old, fresh]) yield* Effect.scoped(SqliteStore.make({ file }))
      const objects = (file: string) =>
        Effect.map(rawConnection(file), (connection) =>
          connection.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").all()
        )
      expect(yield* objects(old)).toEqual(yield* objects(fresh))
    })
  )

  itEffect("is brought forward once when many stores open it at once", () =>
    Effect.gen(function* () {
      const file = yield* fileOfFormatOne()
      const stores = yield* Effect.all(
        times(8, () => SqliteStore.make({ file })),
        { concurrency: "unbounded" }
      )
      const results = yield* Effect.all(
        stores.map((store) => store.append([event("Closed")], { idempotencyKey: "close" })),
        { concurrency: "unbounded" }
      )
      expect(results.map((result) => result.firstSequenceNumber)).toEqual(times(8, () => 4))
    })
  )

  const refused: ReadonlyArray<readonly [string, string]> = [
    ["a foreign table has the name of the new one", "CREATE TABLE evolvent_idempotency (order_id TEXT)"],
    ["it was damaged", "DROP TRIGGER evolvent_no_update"]
  ]
  for (const [name, sql] of refused) {
    itEffect(`is refused and not changed when ${name}`, () =>
      Effect.gen(function* () {
        const file = yield* fileOfFormatOne(sql)
        const before = yield* contentOf(file)
        yield* failsWith("SchemaMismatch", Effect.scoped(SqliteStore.make({ file })))
        expect(yield* contentOf(file)).toEqual(before)
        expect(yield* formatOf(file)).toBe(1)
      })
    )
  }
})

describe("a log of format 2", () => {
  itEffect("keeps its events and keys, and takes cursors from now on", () =>
    Effect.gen(function* () {
      const file = yield* fileOf(formatTwo)
      const received = recorder()
      const one = yield* closable(SqliteStore.make({ file }))
      expect(yield* formatOf(file)).toBe(format)
      expect(numbersOf(yield* logOf(one.store))).toEqual(range(1, 4))
      const again = yield* one.store.append([event("Sold", { seat: 9 })], { idempotencyKey: "seat 9" })
      expect(again.firstSequenceNumber).toBe(4)
      const stream = yield* one.store.streamToDurable({ name: "sales" }, Query.ofTypes("Sold"), received.handler)
      yield* inTime(stream.caughtUp, "the stream catches up")
      yield* one.close
      const two = yield* SqliteStore.make({ file })
      yield* two.streamToDurable({ name: "sales" }, Query.ofTypes("Sold"), received.handler)
      yield* two.append([event("Sold", { seat: 10 })])
      yield* received.received(4)
      expect(received.numbers()).toEqual([[2], [3], [4], [5]])
    })
  )

  itEffect("has the schema of a new log afterwards, also when many stores open it at once", () =>
    Effect.gen(function* () {
      const [old, fresh] = [yield* fileOf(formatTwo), yield* temporaryFile]
      yield* Effect.scoped(SqliteStore.make({ file: fresh }))
      yield* Effect.scoped(
        Effect.all(
          times(6, () => SqliteStore.make({ file: old })),
          { concurrency: "unbounded" }
        )
      )
      const objects = (file: string) =>
        Effect.map(rawConnection(file), (connection) =>
          connection.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").all()
        )
      expect(yield* objects(old)).toEqual(yield* objects(fresh))
    })
  )

  for (const table of ["cursors", "dead_letters", "outbox", "projection_versions"]) {
    itEffect(`is refused and not changed when a foreign table has the name of ${table}`, () =>
      Effect.gen(function* () {
        const file = yield* fileOf(formatTwo, `CREATE TABLE evolvent_${table} (order_id TEXT)`)
        const before = yield* contentOf(file)
        yield* failsWith("SchemaMismatch", Effect.scoped(SqliteStore.make({ file })))
        expect(yield* contentOf(file)).toEqual(before)
        expect(yield* formatOf(file)).toBe(2)
      })
    )
  }
})
