/** The log is append-only in the database too (L1): whatever connection asks, events are not changed, removed or misplaced. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import { event, logOf } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"
import { rawConnection } from "./processes.ts"

/** A row with this number and a new id. */
const row = (number: string) =>
  `SELECT ${number}, lower(hex(randomblob(16))), event_type, 1, payload, tags, metadata, occurred_at, ${number}
   FROM evolvent_events WHERE sequence_number = 2`

const refused: ReadonlyArray<readonly [string, string]> = [
  ["an UPDATE of a payload", `UPDATE evolvent_events SET payload = '1' WHERE sequence_number = 1`],
  ["an UPDATE that changes nothing", `UPDATE evolvent_events SET payload = payload`],
  ["an UPDATE of a number", `UPDATE evolvent_events SET sequence_number = 9 WHERE sequence_number = 3`],
  ["an UPDATE that replaces", `UPDATE OR REPLACE evolvent_events SET sequence_number = 1 WHERE sequence_number = 3`],
  ["a DELETE of the last event", `DELETE FROM evolvent_events WHERE sequence_number = 3`],
  ["a DELETE of all events", `DELETE FROM evolvent_events`],
  ["an INSERT with a gap", `INSERT INTO evolvent_events ${row("5")}`],
  ["an INSERT of a number that is taken", `INSERT INTO evolvent_events ${row("2")}`],
  ["an INSERT before the log", `INSERT INTO evolvent_events ${row("0")}`],
  ["INSERT OR REPLACE of a number", `INSERT OR REPLACE INTO evolvent_events ${row("2")}`],
  ["INSERT OR IGNORE with a gap", `INSERT OR IGNORE INTO evolvent_events ${row("5")}`],
  ["REPLACE", `REPLACE INTO evolvent_events ${row("3")}`],
  ["an upsert", `INSERT INTO evolvent_events ${row("2")} ON CONFLICT (sequence_number) DO UPDATE SET payload = '1'`]
]

describe("the database refuses", () => {
  for (const [name, sql] of refused) {
    itEffect(`${name} from any connection`, () =>
      Effect.gen(function* () {
        const file = yield* temporaryFile
        const store = yield* SqliteStore.make({ file })
        yield* store.append([event("A", 1), event("B", 2), event("C", 3)])
        const before = yield* logOf(store)
        const connection = yield* rawConnection(file)
        for (const recursiveTriggers of ["OFF", "ON"]) {
          connection.pragma(`recursive_triggers = ${recursiveTriggers}`)
          expect(() => connection.exec(sql)).toThrow(/the log is append-only/)
        }
        yield* store.append([event("D", 4)])
        expect((yield* logOf(store)).slice(0, 3)).toEqual(before)
        expect((yield* logOf(yield* SqliteStore.make({ file }))).slice(0, 3)).toEqual(before)
      })
    )
  }
})
