/** A schema that holds something else than a log of this version is refused, and left as it is (L3). */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { format } from "../../../src/stores/postgres/schema.ts"
import { event, failsWith, logOf } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import type { RawQuery } from "../../support/postgres.ts"
import {
  freshName,
  ownDatabase,
  ownRole,
  ownSchema,
  postgresUrl,
  rawConnection,
  urlWith
} from "../../support/postgres.ts"
import { ownLog } from "./logs.ts"

/** Everything in a schema: what there is, how it is defined, who may do what with it, and all rows. */
const contentOf = (query: RawQuery, schema: string) =>
  Effect.gen(function* () {
    const relations = yield* query<{ name: string; kind: string }>(
      `SELECT relname AS name, relkind AS kind, relacl, relowner, reloptions, relpersistence, relrowsecurity, pg_get_viewdef(oid) AS view
       FROM pg_class WHERE relnamespace = $1::regnamespace ORDER BY 1`,
      [schema]
    )
    const parts = yield* Effect.forEach(
      [
        "SELECT nspname, nspacl, nspowner FROM pg_namespace WHERE oid = $1::regnamespace",
        `SELECT attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute AS a
         JOIN pg_class AS c ON c.oid = attrelid WHERE relnamespace = $1::regnamespace ORDER BY attrelid::regclass::text, attname`,
        "SELECT proname, prosrc, proacl FROM pg_proc WHERE pronamespace = $1::regnamespace ORDER BY 1, 2",
        `SELECT tgname, tgenabled, pg_get_triggerdef(t.oid) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid
         WHERE relnamespace = $1::regnamespace ORDER BY 1`
      ],
      (sql) => query(sql, [schema])
    )
    const rows = yield* Effect.forEach(
      relations.filter(({ kind }) => kind === "r"),
      ({ name }) => query(`SELECT t::text FROM "${schema}"."${name}" AS t ORDER BY 1`)
    )
    return { relations, parts, rows }
  })

/** The message of a refusal to open or to migrate, after which everything is as before. */
const refusal = ({ query, schema, url }: { readonly query: RawQuery; readonly schema: string; readonly url: string }) =>
  Effect.gen(function* () {
    const before = yield* contentOf(query, schema)
    const { message } = yield* failsWith("SchemaMismatch", Effect.scoped(PostgresStore.make({ url, schema })))
    yield* failsWith("SchemaMismatch", Effect.scoped(PostgresStore.make({ url, schema, migrate: false })))
    yield* failsWith("SchemaMismatch", PostgresStore.migrate({ url, schema }))
    expect(yield* contentOf(query, schema)).toEqual(before)
    return message
  })

/** A log with an event, and what was done to it afterwards. */
const logWith = (...sql: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const log = yield* ownLog
    yield* Effect.scoped(Effect.flatMap(log.open(), (store) => store.append([event("A", 1, ["t"])])))
    yield* log.query(`SET search_path = "${log.schema}"`)
    for (const statement of sql) yield* log.query(statement)
    return log
  })

describe("a schema is refused and not changed", () => {
  itEffect("when the log is of a newer format, and taken again when it is not", () =>
    Effect.gen(function* () {
      const log = yield* logWith("UPDATE log SET format = 99")
      expect(yield* refusal(log)).toContain("format 99")
      yield* log.query(`UPDATE log SET format = ${format}`)
      expect(yield* logOf(yield* log.open())).toHaveLength(1)
    })
  )

  itEffect("when the log is of a newer format with other tables", () =>
    Effect.gen(function* () {
      const more = "ALTER TABLE events ADD COLUMN more text, DROP COLUMN keys"
      expect(
        yield* refusal(yield* logWith(`UPDATE log SET format = ${format + 1}`, more, "DROP TABLE event_index"))
      ).toContain(`format ${format + 1}`)
    })
  )

  const foreign: ReadonlyArray<readonly [string, string]> = [
    ["an events table", "CREATE TABLE events (id int PRIMARY KEY, name text); INSERT INTO events VALUES (1, 'a')"],
    ["a log table", "CREATE TABLE log (line text); INSERT INTO log VALUES ('hello')"],
    ["a log table with a format", "CREATE TABLE log (format int); INSERT INTO log VALUES (1)"],
    ["a log view", "CREATE VIEW log AS SELECT 1 AS format, gen_random_uuid() AS log_id"],
    ["an index table", "CREATE TABLE event_index (words text)"],
    ["a table of keys", "CREATE TABLE idempotency (key text)"],
    ["a view", "CREATE VIEW events AS SELECT 1 AS sequence_number"],
    ["a sequence", "CREATE SEQUENCE events"],
    ["a type", "CREATE TYPE events AS (sequence_number int)"],
    ["an index", "CREATE TABLE words (w text); CREATE INDEX event_index_keys ON words (w)"],
    ["a function", "CREATE FUNCTION append(int) RETURNS int LANGUAGE sql AS 'SELECT 1'"]
  ]
  for (const [name, sql] of foreign) {
    itEffect(`when ${name} of the same name belongs to somebody else`, () =>
      Effect.gen(function* () {
        const own = yield* ownSchema
        yield* own.query(`CREATE SCHEMA "${own.schema}"; SET search_path = "${own.schema}"; ${sql}`)
        expect(yield* refusal(own)).toContain("choose another schema")
      })
    )
  }

  const changed: ReadonlyArray<readonly [part: string, sql: string]> = [
    ["table events", "DROP TABLE events"],
    ["table event_index", "DROP TABLE event_index"],
    ["table idempotency", "DROP TABLE idempotency"],
    ["table events", "ALTER TABLE events ADD COLUMN more text"],
    ["table events", "ALTER TABLE events RENAME COLUMN keys TO terms"],
    ["table events", "ALTER TABLE events ALTER COLUMN occurred_at TYPE numeric"],
    ["table events", "ALTER TABLE events SET UNLOGGED"],
    ["table events", "ALTER TABLE events ENABLE ROW LEVEL SECURITY"],
    ["table events", "CREATE RULE nothing AS ON INSERT TO events DO INSTEAD NOTHING"],
    ["table events", "CREATE TABLE child () INHERITS (events)"],
    ["index of events", "ALTER TABLE events DROP CONSTRAINT events_pkey"],
    ["index of events", "ALTER TABLE events DROP CONSTRAINT events_event_id_key"],
    ["index of event_index", "DROP INDEX event_index_keys"],
    ["index of event_index", "DROP INDEX event_index_keys; CREATE INDEX event_index_keys ON event_index (keys)"],
    ["trigger events_append_only", "DROP TRIGGER events_append_only ON events"],
    ["trigger events_append_only", "ALTER TABLE events DISABLE TRIGGER events_append_only"],
    ["trigger events_append_only", "ALTER TABLE events ENABLE TRIGGER events_append_only"],
    [
      "trigger events_append_only",
      `DROP TRIGGER events_append_only ON events;
       CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events EXECUTE FUNCTION refuse_change();
       ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only`
    ],
    [
      "function refuse_change",
      `CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`
    ],
    ["function write_index", "DROP FUNCTION write_index"],
    ["its format", "DELETE FROM log"],
    ["its format", "UPDATE log SET format = 0"]
  ]
  for (const [part, sql] of changed) {
    itEffect(`when somebody did this: ${sql.split("\n")[0]}`, () =>
      Effect.gen(function* () {
        const message = yield* refusal(yield* logWith(sql))
        expect(message).toContain(part)
        expect(message).toContain("was changed")
      })
    )
  }

  itEffect("when it has no log and migrating is not wanted, with a word on what to do", () =>
    Effect.gen(function* () {
      const { query, schema, url } = yield* ownSchema
      const open = Effect.scoped(PostgresStore.make({ url, schema, migrate: false }))
      expect((yield* failsWith("SchemaMismatch", open)).message).toContain("PostgresStore.migrate")
      expect(yield* query("SELECT FROM pg_namespace WHERE nspname = $1", [schema])).toEqual([])
      yield* query(`CREATE SCHEMA "${schema}"`)
      expect((yield* failsWith("SchemaMismatch", open)).message).toContain("PostgresStore.migrate")
      expect(yield* query("SELECT FROM pg_class WHERE relnamespace = $1::regnamespace", [schema])).toEqual([])
      yield* PostgresStore.migrate({ url, schema })
      yield* PostgresStore.migrate({ url, schema })
      yield* (yield* PostgresStore.make({ url, schema, migrate: false })).append([event("A")])
    })
  )

  itEffect("when the database is not in UTF8", () =>
    Effect.gen(function* () {
      const server = yield* postgresUrl
      const admin = yield* rawConnection(server)
      const database = freshName()
      yield* Effect.addFinalizer(() => Effect.orDie(admin.query(`DROP DATABASE "${database}" WITH (FORCE)`)))
      yield* admin.query(`CREATE DATABASE "${database}" ENCODING 'SQL_ASCII' TEMPLATE template0`)
      const url = urlWith(server, { database })
      for (const refused of [Effect.scoped(PostgresStore.make({ url })), PostgresStore.migrate({ url })]) {
        expect((yield* failsWith("SchemaMismatch", refused)).message).toContain("SQL_ASCII")
      }
      const { query } = yield* rawConnection(url)
      expect(yield* query("SELECT FROM pg_namespace WHERE nspname = 'evolvent'")).toEqual([])
    })
  )
})

describe("a schema is used", () => {
  itEffect("with indexes, triggers and tables that others have added", () =>
    Effect.gen(function* () {
      const log = yield* logWith(
        "CREATE INDEX by_time ON events (occurred_at)",
        "CREATE TABLE notes AS SELECT 'keep me' AS note",
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER tell AFTER INSERT ON events EXECUTE FUNCTION noted()",
        "REINDEX TABLE events"
      )
      yield* (yield* log.open()).append([event("B")])
      expect(yield* log.query("SELECT note FROM notes")).toEqual([{ note: "keep me" }])
    })
  )

  itEffect("that belongs to somebody else only by who may create in it, and is else left empty", () =>
    Effect.gen(function* () {
      const { url } = yield* ownDatabase
      const admin = yield* rawConnection(url)
      const { role, url: theirs } = yield* ownRole(url)
      const schema = "evolvent"
      const open = PostgresStore.make({ url: theirs, schema })
      const refused = () =>
        Effect.gen(function* () {
          const reason = yield* failsWith("StoreUnavailable", Effect.scoped(open))
          expect(reason).toMatchObject({ code: "42501", retryable: false, mayHaveCommitted: false })
        })
      yield* refused()
      expect(yield* admin.query("SELECT FROM pg_namespace WHERE nspname = $1", [schema])).toEqual([])
      yield* admin.query(`CREATE SCHEMA ${schema}`)
      yield* refused()
      yield* admin.query(`GRANT USAGE ON SCHEMA ${schema} TO "${role}"`)
      yield* refused()
      expect((yield* contentOf(admin.query, schema)).relations).toEqual([])
      yield* admin.query(`GRANT CREATE ON SCHEMA ${schema} TO "${role}"`)
      yield* (yield* open).append([event("A")])
      const owners = yield* admin.query(
        "SELECT DISTINCT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relnamespace = $1::regnamespace",
        [schema]
      )
      expect(owners).toEqual([{ owner: role }])
    })
  )
})
