/** The log is append-only in the database too (L1): whoever asks, its owner and a superuser as well, events are not changed. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { event, logOf } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownDatabase, ownRole, rawConnection } from "../../support/postgres.ts"
import { ownLog } from "./logs.ts"

const refused: ReadonlyArray<readonly [string, string]> = [
  ["an UPDATE of a payload", "UPDATE events SET payload = '1' WHERE sequence_number = 1"],
  ["an UPDATE that changes nothing", "UPDATE events SET payload = payload"],
  ["an UPDATE that finds nothing", "UPDATE events SET payload = '1' WHERE sequence_number = 99"],
  ["an UPDATE of a number", "UPDATE events SET sequence_number = 9 WHERE sequence_number = 3"],
  ["an UPDATE of keys", "UPDATE events SET keys = '{}'"],
  ["a DELETE of the last event", "DELETE FROM events WHERE sequence_number = 3"],
  ["a DELETE of all events", "DELETE FROM events"],
  ["a TRUNCATE", "TRUNCATE events"],
  ["a TRUNCATE with other tables", "TRUNCATE event_index, events RESTART IDENTITY CASCADE"],
  ["an upsert", "INSERT INTO events SELECT * FROM events ON CONFLICT (sequence_number) DO UPDATE SET payload = '1'"],
  [
    "a MERGE that deletes",
    "MERGE INTO events AS e USING events AS f ON e.sequence_number = f.sequence_number WHEN MATCHED THEN DELETE"
  ]
]

describe("the database refuses", () => {
  for (const [name, sql] of refused) {
    itEffect(`${name}, as a replica and in a function too`, () =>
      Effect.gen(function* () {
        const { open, query, schema } = yield* ownLog
        const store = yield* open()
        yield* store.append([event("A", 1), event("B", 2), event("C", 3)])
        const before = yield* logOf(store)
        yield* query(`SET search_path = "${schema}"`)
        for (const role of ["origin", "local", "replica"]) {
          yield* query(`SET session_replication_role = ${role}`)
          for (const text of [sql, `DO $$ BEGIN ${sql}; END $$`]) {
            const { code, message } = yield* Effect.flip(query(text))
            expect(code).toBe("23001")
            expect(message).toContain("append-only")
          }
        }
        yield* store.append([event("D", 4)])
        expect((yield* logOf(yield* open())).slice(0, 3)).toEqual(before)
      })
    )
  }

  itEffect("the same to an owner who is no superuser", () =>
    Effect.gen(function* () {
      const { url } = yield* ownDatabase
      const owner = yield* ownRole(url)
      const admin = yield* rawConnection(url)
      yield* admin.query(`CREATE SCHEMA evolvent AUTHORIZATION "${owner.role}"`)
      const store = yield* PostgresStore.make({ url: owner.url })
      yield* store.append([event("A", 1), event("B", 2), event("C", 3)])
      const before = yield* logOf(store)
      const { query } = yield* rawConnection(owner.url)
      yield* query("SET search_path = evolvent")
      for (const [name, sql] of refused) {
        expect((yield* Effect.flip(query(sql))).code, name).toBe("23001")
      }
      expect(yield* logOf(yield* PostgresStore.make({ url: owner.url }))).toEqual(before)
    })
  )
})
