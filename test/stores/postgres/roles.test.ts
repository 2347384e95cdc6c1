/** The roles of docs/postgres.md, made by the SQL on that page: each can do what it is for, and nothing else. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as Query from "../../../src/stores/EventQuery.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { event, failsWith, logOf, numbersOf, range, recorder } from "../../../src/testing/conformance/expectations.ts"
import { root } from "../../support/compiled.ts"
import { itEffect } from "../../support/it.ts"
import { ownDatabase, ownRole, rawConnection } from "../../support/postgres.ts"
import { indexedThrough } from "./logs.ts"

const page = readFileSync(join(root, "docs/postgres.md"), "utf8")
const section = page.slice(page.indexOf("\n## Roles\n"), page.indexOf("\n## Connections\n"))
const [create = "", grant = "", ...more] = Array.from(section.matchAll(/```sql\n(.*?)```/gs), ([, sql]) => sql!)

/** A database with the roles of the page under names of their own, and the log migrated by its owner. */
const withRoles = Effect.gen(function* () {
  const { url } = yield* ownDatabase
  const superuser = yield* rawConnection(url)
  const owner = yield* ownRole(url)
  const writer = yield* ownRole(url)
  const worker = yield* ownRole(url)
  const reader = yield* ownRole(url)
  const named = (sql: string) =>
    sql
      .replaceAll("evolvent_owner", owner.role)
      .replaceAll("evolvent_writer", writer.role)
      .replaceAll("evolvent_worker", worker.role)
      .replaceAll("evolvent_reader", reader.role)
  // The roles are there already, with passwords.
  yield* superuser.query(named(create).replaceAll(/^CREATE ROLE .*$/gm, ""))
  yield* PostgresStore.migrate({ url: owner.url })
  const asOwner = yield* rawConnection(owner.url)
  yield* asOwner.query(named(grant))
  return { url, superuser, owner, writer, worker, reader }
})

/** What none of writer, worker and reader may do. */
const forbidden = [
  "UPDATE evolvent.events SET payload = '1'",
  "DELETE FROM evolvent.events",
  "TRUNCATE evolvent.events",
  "UPDATE evolvent.log SET indexed_through = 0",
  "INSERT INTO evolvent.log (format) VALUES (1)",
  "DELETE FROM evolvent.log",
  "INSERT INTO evolvent.event_index VALUES (1, '{}')",
  "UPDATE evolvent.event_index SET keys = '{}'",
  "DELETE FROM evolvent.event_index",
  "TRUNCATE evolvent.event_index",
  "UPDATE evolvent.idempotency SET key = 'a'",
  "DELETE FROM evolvent.idempotency",
  "TRUNCATE evolvent.idempotency",
  "ALTER TABLE evolvent.events DISABLE TRIGGER ALL",
  "ALTER TABLE evolvent.events ENABLE TRIGGER events_append_only",
  "DROP TRIGGER events_append_only ON evolvent.events",
  "CREATE TRIGGER mine BEFORE INSERT ON evolvent.events EXECUTE FUNCTION evolvent.refuse_change()",
  "ALTER TABLE evolvent.events ADD COLUMN more text",
  "DROP TABLE evolvent.events",
  "TRUNCATE evolvent.cursors",
  "ALTER TABLE evolvent.cursors ADD COLUMN more text",
  "DROP TABLE evolvent.cursors",
  "CREATE INDEX ON evolvent.events (occurred_at)",
  "DO $$ BEGIN LOCK TABLE evolvent.events IN ACCESS EXCLUSIVE MODE; END $$",
  "CREATE TABLE evolvent.mine (a int)",
  "CREATE FUNCTION evolvent.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
  "CREATE OR REPLACE FUNCTION evolvent.write_index(most int4) RETURNS int8 LANGUAGE sql AS 'SELECT 1::int8'",
  "ALTER FUNCTION evolvent.write_index SECURITY INVOKER",
  "DROP SCHEMA evolvent CASCADE",
  "CREATE SCHEMA mine",
  "CREATE TABLE public.mine (a int)",
  "SELECT * FROM application.secrets",
  "SET session_replication_role = replica"
]

describe("the page", () => {
  itEffect("has the SQL for the roles in two blocks", () =>
    Effect.sync(() => {
      expect(create).toContain("CREATE SCHEMA evolvent AUTHORIZATION evolvent_owner")
      expect(grant).toContain("GRANT USAGE ON SCHEMA evolvent")
      expect(more).toEqual([])
    })
  )
})

describe("the writer", () => {
  itEffect("can do all that the store does", () =>
    Effect.gen(function* () {
      const { superuser, url, writer } = yield* withRoles
      const store = yield* PostgresStore.make({ url: writer.url, indexEvery: 1 })
      const received = recorder()
      yield* store.streamTo(Query.withTags("t"), received.handler)
      yield* store.append([event("A", 1, ["t"])])
      yield* store.appendIf([event("B", 2, ["t"]), event("B", 3)], Query.withTags("t"), 1)
      const conflict = store.appendIf([event("C")], Query.withTags("t"), 1)
      expect((yield* failsWith("ConditionalAppendConflict", conflict)).actual).toBe(2)
      const eventId = "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5"
      yield* store.append([{ ...event("D"), eventId }])
      yield* failsWith("InvalidInput", store.append([{ ...event("D"), eventId }]))
      yield* received.received(2)
      yield* indexedThrough(superuser.query, "evolvent", 4)
      const later = yield* PostgresStore.make({ url: writer.url, migrate: false })
      expect(numbersOf((yield* later.query(Query.withTags("t"))).eventRecords)).toEqual([1, 2])
      expect(yield* logOf(later)).toEqual(yield* logOf(yield* PostgresStore.make({ url })))
      const first = yield* store.append([event("E")], { idempotencyKey: "key" })
      expect(yield* later.append([event("E")], { idempotencyKey: "key" })).toEqual(first)
    })
  )

  itEffect("gains nothing from write_index, which has the owner's rights", () =>
    Effect.gen(function* () {
      const { superuser, writer } = yield* withRoles
      const store = yield* PostgresStore.make({ url: writer.url, indexEvery: 65_536 })
      yield* store.append(range(1, 20).map((number) => event("A", number, [`n:${number % 2}`])))
      const { query } = yield* rawConnection(writer.url)
      // Tables, types and settings that a function with another search path would fall for.
      yield* query("CREATE TEMP TABLE events (sequence_number int8, keys int4[])")
      yield* query("CREATE TEMP TABLE log (indexed_through int8, has_partly_indexed boolean)")
      yield* query("CREATE TEMP TABLE event_index (sequence_number int8, keys int4[])")
      yield* query("INSERT INTO pg_temp.events VALUES (7777, '{1}')")
      yield* query("INSERT INTO pg_temp.log VALUES (0, false)")
      yield* query("SET search_path = pg_temp, evolvent")
      for (const most of ["NULL", "-1", "0", "-2147483648", "7", "2147483647"]) {
        yield* query(`SELECT evolvent.write_index(${most})`)
      }
      expect(yield* query("SELECT * FROM pg_temp.event_index")).toEqual([])
      const indexed = yield* superuser.query(
        "SELECT sequence_number::int4 AS number FROM evolvent.event_index ORDER BY 1"
      )
      expect(indexed.map(({ number }) => number)).toEqual(range(1, 20))
      const odd = (yield* (yield* PostgresStore.make({ url: writer.url })).query(Query.withTags("n:1"))).eventRecords
      expect(numbersOf(odd)).toEqual(range(1, 20).filter((number) => number % 2 === 1))
    })
  )
})

describe("the reader", () => {
  itEffect("can query and stream, and its appends fail with StoreUnavailable and store nothing", () =>
    Effect.gen(function* () {
      const { reader, superuser, writer } = yield* withRoles
      const writing = yield* PostgresStore.make({ url: writer.url, indexEvery: 1 })
      yield* writing.append([event("A", 1, ["t"]), event("A", 2)])
      yield* indexedThrough(superuser.query, "evolvent", 2)
      const store = yield* PostgresStore.make({ url: reader.url })
      const received = recorder()
      yield* store.streamAll(received.handler)
      expect(numbersOf((yield* store.query(Query.withTags("t"))).eventRecords)).toEqual([1])
      for (const call of [
        store.append([event("B")]),
        store.appendIf([event("B")], Query.withTags("t"), 1),
        store.appendIf([event("B")], Query.withTags("none"), null, { headSequenceNumber: 2 })
      ]) {
        const reason = yield* failsWith("StoreUnavailable", call)
        expect(reason).toMatchObject({ code: "42501", retryable: false, mayHaveCommitted: false })
      }
      yield* writing.append([event("C", 3)])
      yield* received.received(1)
      expect(received.numbers()).toEqual([[3]])
      expect(yield* superuser.query("SELECT FROM evolvent.events")).toHaveLength(3)
    })
  )

  itEffect("can write nothing by itself, not even the index", () =>
    Effect.gen(function* () {
      const { reader } = yield* withRoles
      const { query } = yield* rawConnection(reader.url)
      for (const sql of [
        "INSERT INTO evolvent.events SELECT * FROM evolvent.events",
        "INSERT INTO evolvent.idempotency VALUES ('key', 'fingerprint', 1, 1)",
        "SELECT evolvent.write_index(10)"
      ]) {
        expect((yield* Effect.flip(query(sql))).code, sql).toBe("42501")
      }
    })
  )
})

describe("the worker", () => {
  itEffect("can do all that durable streams, projections and reactors do", () =>
    Effect.gen(function* () {
      const { superuser, worker, writer } = yield* withRoles
      const writing = yield* PostgresStore.make({ url: writer.url, indexEvery: 1 })
      yield* writing.append([event("A", 1, ["t"]), event("A", 2)])
      yield* indexedThrough(superuser.query, "evolvent", 2)
      const store = yield* PostgresStore.make({ url: worker.url })
      const received = recorder()
      const stream = yield* store.streamToDurable({ name: "tagged" }, Query.withTags("t"), received.handler)
      yield* received.received(1)
      yield* stream.unsubscribe
      yield* store.streamToDurable({ name: "tagged" }, Query.withTags("t"), received.handler)
      yield* writing.append([event("B", 3, ["t"])])
      yield* received.received(2)
      expect(received.numbers()).toEqual([[1], [3]])
      const claim = { cursor: "mine", query: "all", start: 0, owner: "me", leaseMs: 1_000 }
      const entry = { reactor: "mine", sequenceNumber: 1, place: 0, body: "{}" }
      yield* store.workspace.transaction(({ cursors, deadLetters, outbox, versions }) =>
        Effect.gen(function* () {
          yield* cursors.ensure(claim)
          yield* cursors.setPaused("mine", true)
          yield* cursors.reset("mine", 1)
          yield* cursors.remove("mine")
          yield* deadLetters.park("mine", [{ sequenceNumber: 1, key: "a", failure: "no" }])
          yield* deadLetters.requestReplay("mine", undefined)
          yield* deadLetters.clear("mine")
          yield* outbox.put([entry])
          const [leased] = yield* outbox.lease("mine", 1, 1_000, "me")
          yield* outbox.acknowledge(entry, leased!.attempts)
          yield* versions.activate("mine", 2)
        })
      )
      for (const call of [store.append([event("B")]), store.appendIf([event("B")], Query.withTags("t"), 3)]) {
        const reason = yield* failsWith("StoreUnavailable", call)
        expect(reason).toMatchObject({ code: "42501", retryable: false, mayHaveCommitted: false })
      }
      expect(yield* superuser.query("SELECT FROM evolvent.events")).toHaveLength(3)
    })
  )

  itEffect("may be a writer too", () =>
    Effect.gen(function* () {
      const { superuser, worker, writer } = yield* withRoles
      yield* superuser.query(`GRANT "${writer.role}" TO "${worker.role}"`)
      const store = yield* PostgresStore.make({ url: worker.url })
      const received = recorder()
      yield* store.streamAllDurable({ name: "all" }, received.handler)
      yield* store.append([event("A")])
      yield* received.received(1)
    })
  )

  itEffect(
    "is not what writers and readers are: their durable streams are refused, and they cannot move a cursor",
    () =>
      Effect.gen(function* () {
        const { reader, worker, writer } = yield* withRoles
        const working = yield* PostgresStore.make({ url: worker.url })
        yield* working.streamAllDurable({ name: "all" }, () => Effect.void)
        for (const { url } of [writer, reader]) {
          const store = yield* PostgresStore.make({ url })
          const refused = store.streamAllDurable({ name: "all" }, () => Effect.void)
          expect(yield* failsWith("StoreUnavailable", refused)).toMatchObject({ code: "42501", retryable: false })
          const { query } = yield* rawConnection(url)
          for (const table of ["cursors", "dead_letters", "outbox", "projection_versions"]) {
            for (const sql of [`SELECT * FROM evolvent.${table}`, `DELETE FROM evolvent.${table}`]) {
              expect((yield* Effect.flip(query(sql))).code, sql).toBe("42501")
            }
          }
          expect((yield* Effect.flip(query("UPDATE evolvent.cursors SET position = 7"))).code).toBe("42501")
        }
      })
  )
})

describe("writer, worker, reader and strangers", () => {
  itEffect("can change nothing that is there, and reach nothing else", () =>
    Effect.gen(function* () {
      const { reader, superuser, url, worker, writer } = yield* withRoles
      yield* superuser.query("CREATE SCHEMA application")
      yield* superuser.query("CREATE TABLE application.secrets AS SELECT 'secret' AS text")
      yield* superuser.query("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
      const before = yield* logOf(yield* PostgresStore.make({ url }))
      for (const role of [writer, worker, reader, yield* ownRole(url)]) {
        const { query } = yield* rawConnection(role.url)
        for (const sql of forbidden) {
          const failure = yield* Effect.flip(query(sql))
          expect(failure.code, sql).toBe("42501")
        }
      }
      expect(yield* logOf(yield* PostgresStore.make({ url, migrate: false }))).toEqual(before)
    })
  )

  itEffect("have no right by being PUBLIC, though the database gives it by default", () =>
    Effect.gen(function* () {
      const { url } = yield* ownDatabase
      const { query } = yield* rawConnection(url)
      yield* query("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC")
      yield* query("ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO PUBLIC")
      yield* PostgresStore.migrate({ url })
      yield* query("GRANT USAGE ON SCHEMA evolvent TO PUBLIC")
      const rights = yield* query<{ name: string; right: string }>(`
        SELECT o.name, a.privilege_type AS right
        FROM (
          SELECT proname AS name, coalesce(proacl, acldefault('f', proowner)) AS acl FROM pg_proc
          WHERE pronamespace = 'evolvent'::regnamespace
          UNION ALL
          SELECT relname, coalesce(relacl, acldefault('r', relowner)) FROM pg_class
          WHERE relnamespace = 'evolvent'::regnamespace AND relkind = 'r'
        ) AS o, aclexplode(o.acl) AS a
        WHERE a.grantee = 0`)
      expect(rights).toEqual([])
      const stranger = yield* rawConnection((yield* ownRole(url)).url)
      for (const sql of [
        "SELECT evolvent.write_index(1)",
        "SELECT FROM evolvent.events",
        "SELECT evolvent.refuse_change()"
      ]) {
        expect((yield* Effect.flip(stranger.query(sql))).code, sql).toMatch(/^(42501|0A000)$/)
      }
    })
  )
})
