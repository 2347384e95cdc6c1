/** Cursors and their leases in SQL. */
import * as Effect from "effect/Effect"
import type { Claimed, CursorTable, Held } from "../../WorkspaceTables.ts"
import type { Row, Run, SqlDialect } from "./sqlDialect.ts"

export const cursorSql = ({ now, table, texts }: SqlDialect) => {
  const cursors = table("cursors")
  const moved = (where: string) => `
UPDATE ${cursors} SET
  moved_at = CASE WHEN position < $3 THEN ${now} ELSE moved_at END,
  position = CASE WHEN position < $3 THEN $3 ELSE position END,
  leased_until = CASE WHEN $4 = 0 THEN 0 ELSE ${now} + $4 END
WHERE cursor = $1 AND epoch = $2${where}
RETURNING position, paused`
  return {
    claim: `
INSERT INTO ${cursors} AS c (cursor, query, log_id, position, owner, epoch, leased_until, paused, moved_at)
SELECT $1, $2, CAST(l.log_id AS text), CAST($3 AS bigint), $4, 1, ${now} + CAST($5 AS bigint), 0, ${now}
FROM ${table("log")} AS l WHERE true
ON CONFLICT (cursor) DO UPDATE SET
  owner = excluded.owner, epoch = c.epoch + 1, leased_until = ${now} + CAST($5 AS bigint)
WHERE c.query = excluded.query AND c.log_id = excluded.log_id AND c.paused = 0
  AND (c.owner = excluded.owner OR c.leased_until <= ${now})
RETURNING position, epoch`,
    find: `
SELECT c.query, c.position, c.owner, c.paused, c.leased_until - ${now} AS left_ms,
  CASE WHEN c.log_id = CAST(l.log_id AS text) THEN 1 ELSE 0 END AS same_log
FROM ${cursors} AS c CROSS JOIN ${table("log")} AS l WHERE c.cursor = $1`,
    move: moved(" AND position < $3"),
    renew: moved(""),
    read: `
SELECT cursor, position, epoch, paused, moved_at, CASE WHEN leased_until > ${now} THEN 1 ELSE 0 END AS held
FROM ${cursors} WHERE cursor IN (SELECT e.value FROM ${texts("$1")})`,
    reset: `
UPDATE ${cursors} SET position = $2, epoch = epoch + 1, leased_until = 0, moved_at = ${now} WHERE cursor = $1`,
    ensure: `
INSERT INTO ${cursors} AS c (cursor, query, log_id, position, owner, epoch, leased_until, paused, moved_at)
SELECT $1, $2, CAST(l.log_id AS text), CAST($3 AS bigint), '', 0, 0, 0, ${now}
FROM ${table("log")} AS l WHERE true
ON CONFLICT (cursor) DO UPDATE SET paused = c.paused
RETURNING query`,
    setPaused: `UPDATE ${cursors} SET paused = $2 WHERE cursor = $1`,
    remove: `DELETE FROM ${cursors} WHERE cursor = $1`
  }
}

export const cursorTable = (sql: ReturnType<typeof cursorSql>, run: Run): CursorTable => {
  const heldOf = ([row]: ReadonlyArray<Row>): Held | undefined =>
    row === undefined ? undefined : { position: Number(row["position"]), paused: Number(row["paused"]) === 1 }
  return {
    claim: ({ cursor, leaseMs, owner, query, start }) =>
      Effect.gen(function* () {
        // Looking costs those who hold it nothing; an attempt to write waits for the transaction that moves it.
        const [before] = yield* run(sql.find, [cursor])
        const refused = before === undefined ? undefined : whyNot(query, before)
        if (refused !== undefined && !isFree(refused, before!["owner"] === owner)) return refused
        const [held] = yield* run(sql.claim, [cursor, query, start, owner, leaseMs])
        if (held !== undefined) {
          return { _tag: "Held", position: Number(held["position"]), epoch: Number(held["epoch"]) } as const
        }
        const [found] = yield* run(sql.find, [cursor])
        return whyNot(query, found)
      }),
    move: (cursor, epoch, position, leaseMs) => Effect.map(run(sql.move, [cursor, epoch, position, leaseMs]), heldOf),
    renew: (cursor, epoch, position, leaseMs) => Effect.map(run(sql.renew, [cursor, epoch, position, leaseMs]), heldOf),
    release: (cursor, epoch, position) => Effect.asVoid(run(sql.renew, [cursor, epoch, position, 0])),
    read: (cursors) =>
      Effect.map(run(sql.read, [JSON.stringify(cursors)]), (rows) =>
        rows.map((row) => ({
          cursor: row["cursor"] as string,
          position: Number(row["position"]),
          epoch: Number(row["epoch"]),
          paused: Number(row["paused"]) === 1,
          held: Number(row["held"]) === 1,
          movedAt: Number(row["moved_at"])
        }))
      ),
    reset: (cursor, position) => Effect.asVoid(run(sql.reset, [cursor, position])),
    ensure: ({ cursor, query, start }) =>
      Effect.map(run(sql.ensure, [cursor, query, start]), ([row]) => row?.["query"] === query),
    setPaused: (cursor, paused) => Effect.asVoid(run(sql.setPaused, [cursor, paused ? 1 : 0])),
    remove: (cursor) => Effect.asVoid(run(sql.remove, [cursor]))
  }
}

const isFree = (refused: Claimed, isOwn: boolean): boolean =>
  refused._tag === "Taken" && !refused.paused && (isOwn || refused.leftMs === 0)

/** Why a cursor could not be claimed; one that has vanished meanwhile may be claimed again at once. */
const whyNot = (query: string, found: Row | undefined): Claimed => {
  if (found === undefined) return { _tag: "Taken", position: 0, leftMs: 0, paused: false }
  const position = Number(found["position"])
  if (found["query"] !== query) return { _tag: "OtherQuery" }
  if (Number(found["same_log"]) === 0) return { _tag: "OtherLog", position }
  const paused = Number(found["paused"]) === 1
  return { _tag: "Taken", position, leftMs: Math.max(0, Number(found["left_ms"])), paused }
}
