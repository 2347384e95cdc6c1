/** Durable streams on a long log: those that match nothing write their cursors seldom, those that are slow hold no more than a page. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { beforeAll, describe, expect } from "vitest"
import * as Query from "../../src/stores/EventQuery.ts"
import * as PostgresStore from "../../src/stores/postgres/PostgresStore.ts"
import * as SqliteStore from "../../src/stores/sqlite/SqliteStore.ts"
import { event, inTime, range, recorder } from "../../src/testing/conformance/expectations.ts"
import type { OpenStore } from "../../src/testing/index.ts"
import { compilePrograms, root } from "../support/compiled.ts"
import { itEffect } from "../support/it.ts"
import { ownSchema } from "../support/postgres.ts"
import { temporaryFile } from "../support/stores.ts"
import { rawConnection } from "./sqlite/processes.ts"

const events = 200_000

interface LongLog {
  /** A file, or a schema. */
  readonly place: string
  readonly url: string | undefined
  readonly open: OpenStore
  /** How often the cursor of the stream `nothing` was written. */
  readonly moves: Effect.Effect<number, unknown>
}

/** Written past the store, which would take its time: batches of a hundred, three hundred bytes each, all of them in the index. */
const longSqlite: Effect.Effect<LongLog, unknown, Scope.Scope> = Effect.gen(function* () {
  const file = yield* temporaryFile
  const open = SqliteStore.make({ file })
  yield* Effect.scoped(open)
  const connection = yield* rawConnection(file)
  const execute = (sql: string) => Effect.sync(() => void connection.exec(sql))
  const count = (sql: string) => Effect.sync(() => Number(connection.prepare(sql).pluck().get()))
  yield* execute(`
BEGIN;
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ${events})
INSERT INTO evolvent_events
SELECT n, printf('00000000-0000-4000-8000-%012x', n), 'Noise', 1, '["' || hex(zeroblob(150)) || '"]', '[]', '{}', n,
  ((n + 99) / 100) * 100 FROM n;
INSERT INTO evolvent_index (rowid, words) SELECT sequence_number, 'noise' FROM evolvent_events;
UPDATE evolvent_log SET indexed_through = ${events};
CREATE TABLE moves (position INTEGER);
CREATE TRIGGER moves AFTER UPDATE ON evolvent_cursors WHEN NEW.cursor = 'stream nothing'
BEGIN INSERT INTO moves VALUES (NEW.position); END;
COMMIT`)
  return { place: file, url: undefined, open, moves: count("SELECT count(*) FROM moves") }
})

const longPostgres: Effect.Effect<LongLog, unknown, Scope.Scope> = Effect.gen(function* () {
  const { query, schema, url } = yield* ownSchema
  const open = PostgresStore.make({ url, schema })
  yield* Effect.scoped(open)
  yield* query(`SET search_path = "${schema}"`)
  yield* query(`
INSERT INTO events
SELECT n, gen_random_uuid(), 'Noise', 1, '["' || repeat('00', 150) || '"]', '[]', '{}', n, ((n + 99) / 100) * 100, '{}'
FROM generate_series(1, ${events}) AS n`)
  yield* query("INSERT INTO event_index SELECT sequence_number, keys FROM events")
  yield* query(`UPDATE log SET indexed_through = ${events}`)
  yield* query("CREATE TABLE moves (position int8)")
  yield* query(`
CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO "${schema}".moves VALUES (NEW.position); RETURN NULL; END $$`)
  yield* query(`
CREATE TRIGGER moves AFTER UPDATE ON cursors FOR EACH ROW WHEN (NEW.cursor = 'stream nothing') EXECUTE FUNCTION note_move()`)
  const moves = Effect.map(query<{ moves: number }>("SELECT count(*)::int4 AS moves FROM moves"), ([row]) => row!.moves)
  return { place: schema, url, open, moves }
})

describe("a long log", () => {
  beforeAll(compilePrograms, 90_000)

  for (const [kind, make] of [
    ["sqlite", longSqlite],
    ["postgres", longPostgres]
  ] as const) {
    itEffect(
      `is passed with few writes where nothing matches, and delivered from a bounded memory, on ${kind}`,
      () =>
        Effect.gen(function* () {
          const { moves, open, place, url } = yield* make
          const store = yield* open
          const received = recorder()
          const start = performance.now()
          // One that an index helps, and one that has to look at every event.
          const indexed = yield* store.streamToDurable({ name: "indexed" }, Query.ofTypes("Never"), received.handler)
          const nothing = yield* store.streamToDurable({ name: "nothing" }, Query.withPayload({}), received.handler)
          yield* inTime(Effect.all([indexed.caughtUp, nothing.caughtUp]), "the streams pass everything")
          for (const index of range(1, 200)) {
            yield* store.append([event("Noise", [index])])
            yield* inTime(nothing.caughtUp, "the stream passes the event")
          }
          const isStored = Effect.map(
            store.workspace.transaction(({ cursors }) => cursors.read(["stream indexed", "stream nothing"])),
            (rows) => rows.every(({ position }) => position === events + 200)
          )
          yield* inTime(Effect.repeat(isStored, { until: (is) => is }), "the cursors are stored")
          expect(received.batches).toEqual([])
          const writes = yield* moves
          expect(writes).toBeGreaterThan(0)
          // Four in a second at the most, and what the lease asks for.
          expect(writes).toBeLessThanOrEqual(2 + (performance.now() - start) / 200)

          const program = join(import.meta.dirname, "programs/fallBehind.mjs")
          const { stdout } = yield* Effect.promise(() =>
            promisify(execFile)(process.execPath, ["--max-old-space-size=40", program, kind, place, "150"], {
              cwd: root,
              env: { ...process.env, STORE_URL: url }
            })
          )
          expect(Number(stdout)).toBeGreaterThanOrEqual(150)
        }),
      { timeout: 60_000 }
    )
  }
})
