/** The outbox in SQL. */
import * as Effect from "effect/Effect"
import type { SqlValue } from "../../Transaction.ts"
import type { OutboxEntry, OutboxKey, OutboxTable } from "../../WorkspaceTables.ts"
import type { Row, Run, SqlDialect } from "./sqlDialect.ts"

export const outboxSql = ({ now, objects, skipLocked, table }: SqlDialect) => {
  const outbox = table("outbox")
  const columns = "reactor, sequence_number, place, body, attempts, dead"
  const mine = "reactor = $1 AND sequence_number = $2 AND place = $3 AND attempts = $4 AND dead = 0"
  return {
    put: `
INSERT INTO ${outbox} (reactor, sequence_number, place, body, attempts, failure, dead, due_at)
SELECT e.value->>'reactor', CAST(e.value->>'sequenceNumber' AS bigint), CAST(e.value->>'place' AS bigint),
  e.value->>'body', 0, NULL, 0, ${now}
FROM ${objects("$1")} WHERE true
ON CONFLICT (reactor, sequence_number, place) DO NOTHING`,
    // The plus signs keep the index by time out: entries are found in the order of their events, a few at a time. RETURNING knows the
    // row as it is now, so the failure that it had comes from where it was found.
    lease: `
WITH due AS MATERIALIZED (
  SELECT o.sequence_number AS due_number, o.place AS due_place, o.failure AS failure_before FROM ${outbox} AS o
  WHERE o.reactor = $1 AND +o.dead = 0 AND +o.due_at <= ${now}
  ORDER BY o.sequence_number, o.place LIMIT $2${skipLocked}
)
UPDATE ${outbox} SET attempts = attempts + 1, due_at = ${now} + $3, failure = $4
WHERE reactor = $1 AND (sequence_number, place) IN (SELECT due_number, due_place FROM due)
RETURNING ${columns},
  (SELECT failure_before FROM due WHERE due_number = sequence_number AND due_place = place) AS failure`,
    dueIn: `SELECT min(due_at) - ${now} AS due_in FROM ${outbox} WHERE reactor = $1 AND dead = 0`,
    acknowledge: `DELETE FROM ${outbox} WHERE ${mine} RETURNING 1 AS one`,
    postpone: `UPDATE ${outbox} SET due_at = ${now} + $5, failure = $6 WHERE ${mine} RETURNING 1 AS one`,
    giveBack: `
UPDATE ${outbox} SET attempts = attempts - 1, due_at = ${now}, failure = $6
WHERE ${mine} AND failure = $5 RETURNING 1 AS one`,
    bury: `UPDATE ${outbox} SET dead = 1, failure = $5 WHERE ${mine} RETURNING 1 AS one`,
    list: `
SELECT ${columns}, failure FROM ${outbox} WHERE reactor = $1 AND dead = $2 ORDER BY sequence_number, place LIMIT $3`,
    count: `
SELECT count(*) AS total, coalesce(sum(dead), 0) AS dead FROM ${outbox} WHERE reactor = $1`,
    revive: `UPDATE ${outbox} SET dead = 0, due_at = ${now} WHERE reactor = $1 AND dead = 1 RETURNING 1 AS one`
  }
}

export const outboxTable = (sql: ReturnType<typeof outboxSql>, run: Run): OutboxTable => {
  const entryOf = (row: Row): OutboxEntry => ({
    reactor: row["reactor"] as string,
    sequenceNumber: Number(row["sequence_number"]),
    place: Number(row["place"]),
    body: row["body"] as string,
    attempts: Number(row["attempts"]),
    failure: (row["failure"] as string | null) ?? undefined,
    dead: Number(row["dead"]) === 1
  })
  const inOrder = (a: OutboxEntry, b: OutboxEntry) => a.sequenceNumber - b.sequenceNumber || a.place - b.place
  const settle = (text: string, { place, reactor, sequenceNumber }: OutboxKey, parameters: ReadonlyArray<SqlValue>) =>
    Effect.map(run(text, [reactor, sequenceNumber, place, ...parameters]), (rows) => rows.length === 1)
  return {
    put: (entries) => Effect.asVoid(run(sql.put, [JSON.stringify(entries)])),
    lease: (reactor, limit, leaseMs, holder) =>
      Effect.map(run(sql.lease, [reactor, limit, leaseMs, holder]), (rows) => rows.map(entryOf).sort(inOrder)),
    dueIn: (reactor) =>
      Effect.map(run(sql.dueIn, [reactor]), ([row]) => {
        const due = row?.["due_in"]
        return due === null || due === undefined ? undefined : Math.max(0, Number(due))
      }),
    acknowledge: (key, attempts) => settle(sql.acknowledge, key, [attempts]),
    postpone: (key, attempts, delayMs, failure) => settle(sql.postpone, key, [attempts, delayMs, failure]),
    giveBack: (key, attempts, holder, failure) => settle(sql.giveBack, key, [attempts, holder, failure ?? null]),
    bury: (key, attempts, failure) => settle(sql.bury, key, [attempts, failure]),
    list: (reactor, dead, limit) =>
      Effect.map(run(sql.list, [reactor, dead ? 1 : 0, limit]), (rows) => rows.map(entryOf)),
    count: (reactor) =>
      Effect.map(run(sql.count, [reactor]), ([row]) => {
        const dead = Number(row!["dead"])
        return { waiting: Number(row!["total"]) - dead, dead }
      }),
    revive: (reactor) => Effect.map(run(sql.revive, [reactor]), (rows) => rows.length)
  }
}
