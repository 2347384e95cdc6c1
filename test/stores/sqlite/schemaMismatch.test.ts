/** A file that holds something else than a log of this version is refused, and left as it is (L3). */
import { readFileSync, writeFileSync } from "node:fs"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { format } from "../../../src/stores/sqlite/statements.ts"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import { event, failsWith, logOf } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"

const change = (file: string, ...sql: ReadonlyArray<string>): void => {
  const connection = new Database(file)
  for (const statement of sql) connection.exec(statement)
  connection.close()
}

/** Everything that the database holds. */
const contentOf = (file: string): unknown => {
  const connection = new Database(file, { readonly: true })
  const objects = connection.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY name").all()
  const tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE TABLE%'")
  const rows = tables
    .all()
    .map((table) => connection.prepare(`SELECT * FROM "${(table as { name: string }).name}"`).all())
  connection.close()
  return { objects, rows }
}

const refusal = (file: string) =>
  Effect.gen(function* () {
    const before = contentOf(file)
    const { message } = yield* failsWith("SchemaMismatch", Effect.scoped(SqliteStore.make({ file })))
    expect(contentOf(file)).toEqual(before)
    return message
  })

const logWith = (...sql: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const file = yield* temporaryFile
    yield* Effect.scoped(Effect.flatMap(SqliteStore.make({ file }), (store) => store.append([event("A", 1, ["t"])])))
    change(file, ...sql)
    return file
  })

describe("a database is refused and not changed", () => {
  itEffect("when the log is of a newer format", () =>
    Effect.gen(function* () {
      const file = yield* logWith("UPDATE evolvent_log SET format = 99")
      expect(yield* refusal(file)).toContain("format 99")
      change(file, `UPDATE evolvent_log SET format = ${format}`)
      expect((yield* logOf(yield* SqliteStore.make({ file }))).length).toBe(1)
    })
  )

  itEffect("when the log is of a newer format with other tables", () =>
    Effect.gen(function* () {
      const file = yield* logWith(
        `UPDATE evolvent_log SET format = ${format + 1}`,
        "ALTER TABLE evolvent_events ADD COLUMN more TEXT"
      )
      expect(yield* refusal(file)).toContain(`format ${format + 1}`)
    })
  )

  const foreign: ReadonlyArray<readonly [string, string]> = [
    ["an events table", "CREATE TABLE evolvent_events (id INTEGER PRIMARY KEY, name TEXT)"],
    ["a log table", "CREATE TABLE evolvent_log (line TEXT); INSERT INTO evolvent_log VALUES ('hello')"],
    ["a log table with a format", "CREATE TABLE evolvent_log (format INTEGER); INSERT INTO evolvent_log VALUES (1)"],
    [
      "a log table with an odd format",
      "CREATE TABLE evolvent_log (format INTEGER); INSERT INTO evolvent_log VALUES ('x')"
    ],
    ["a table of idempotency keys", "CREATE TABLE evolvent_idempotency (key TEXT)"],
    ["an index table", "CREATE TABLE evolvent_index (words TEXT)"],
    ["a view", "CREATE VIEW evolvent_events AS SELECT 1 AS sequence_number"],
    ["a trigger", "CREATE TABLE x (y); CREATE TRIGGER evolvent_no_update AFTER INSERT ON x BEGIN SELECT 1; END"],
    ["a table by another case", "CREATE TABLE EVOLVENT_EVENTS (id INTEGER PRIMARY KEY)"]
  ]
  for (const [name, sql] of foreign) {
    itEffect(`when ${name} of the same name belongs to somebody else`, () =>
      Effect.gen(function* () {
        const file = yield* temporaryFile
        change(file, sql)
        expect(yield* refusal(file)).toContain("tablePrefix")
        yield* (yield* SqliteStore.make({ file, tablePrefix: "other" })).append([event("A")])
      })
    )
  }

  const damaged: ReadonlyArray<readonly [string, string]> = [
    ["a trigger that protects the log is gone", "DROP TRIGGER evolvent_no_update"],
    [
      "a trigger that protects the log is another",
      `DROP TRIGGER evolvent_no_delete;
       CREATE TRIGGER evolvent_no_delete BEFORE DELETE ON evolvent_events BEGIN SELECT 1; END`
    ],
    ["the table of events is gone", "DROP TABLE evolvent_events"],
    ["the table of idempotency keys is gone", "DROP TABLE evolvent_idempotency"],
    ["the table of idempotency keys is another", "ALTER TABLE evolvent_idempotency ADD COLUMN more TEXT"],
    ["the format is none that ever was", "UPDATE evolvent_log SET format = 0"],
    ["the format is another than that of the tables", "UPDATE evolvent_log SET format = 1"],
    ["the index is gone", "DROP TABLE evolvent_index"],
    ["the row of the log is gone", "DELETE FROM evolvent_log"]
  ]
  for (const [name, sql] of damaged) {
    itEffect(`when ${name}`, () => Effect.flatMap(logWith(sql), refusal))
  }

  itEffect("with the name of the trigger that is missing, and what to do", () =>
    Effect.gen(function* () {
      const file = yield* logWith("DROP TRIGGER evolvent_no_update")
      expect(yield* refusal(file)).toBe(
        "evolvent_no_update is missing, or not as evolvent made it: restore it, or a backup; another tablePrefix is another, empty log."
      )
    })
  )

  itEffect("when it is no database at all", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const text = "This is not a database, but somebody's notes. ".repeat(100)
      writeFileSync(file, text)
      const exit = yield* Effect.exit(Effect.scoped(SqliteStore.make({ file })))
      expect(exit).toMatchObject({ _tag: "Failure" })
      expect(readFileSync(file, "utf8")).toBe(text)
    })
  )
})

describe("a database is shared", () => {
  itEffect("with other tables and with logs of other prefixes", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      change(file, "CREATE TABLE notes (note TEXT)", "INSERT INTO notes VALUES ('keep me')")
      const a = yield* SqliteStore.make({ file, tablePrefix: "a" })
      const b = yield* SqliteStore.make({ file, tablePrefix: "a_b" })
      yield* a.append([event("A")])
      yield* b.append([event("B1"), event("B2")])
      expect((yield* logOf(a)).map((record) => record.eventType)).toEqual(["A"])
      expect((yield* logOf(b)).map((record) => record.eventType)).toEqual(["B1", "B2"])
      expect(JSON.stringify(contentOf(file))).toContain("keep me")
    })
  )
})
