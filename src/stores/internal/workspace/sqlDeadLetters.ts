/** Dead letters in SQL. */
import * as Effect from "effect/Effect"
import type { DeadLetter, DeadLetterTable } from "../../WorkspaceTables.ts"
import type { Row, Run, SqlDialect } from "./sqlDialect.ts"

export const deadLetterSql = ({ now, objects, table, texts }: SqlDialect) => {
  const letters = table("dead_letters")
  const columns = "sequence_number, letter_key, failure, parked_at"
  return {
    park: `
INSERT INTO ${letters} (cursor, sequence_number, letter_key, failure, replaying, parked_at)
SELECT $1, CAST(e.value->>'sequenceNumber' AS bigint), e.value->>'key', e.value->>'failure', 0, ${now}
FROM ${objects("$2")} WHERE true
ON CONFLICT (cursor, sequence_number) DO UPDATE SET failure = excluded.failure, replaying = 0`,
    keys: `SELECT DISTINCT letter_key FROM ${letters} WHERE cursor = $1`,
    list: `
SELECT ${columns} FROM ${letters} WHERE cursor = $1 AND sequence_number > $2 ORDER BY sequence_number LIMIT $3`,
    requestReplay: `
UPDATE ${letters} SET replaying = 1
WHERE cursor = $1 AND (CAST($2 AS text) IS NULL OR letter_key = CAST($2 AS text)) RETURNING sequence_number`,
    toReplay: `
SELECT ${columns} FROM ${letters} WHERE cursor = $1 AND replaying = 1 ORDER BY sequence_number LIMIT $2`,
    failReplay: `
UPDATE ${letters} SET replaying = 0, failure = CASE WHEN sequence_number = $3 THEN CAST($4 AS text) ELSE failure END
WHERE cursor = $1 AND letter_key = $2`,
    remove: `
DELETE FROM ${letters}
WHERE cursor = $1 AND sequence_number IN (SELECT CAST(e.value AS bigint) FROM ${texts("$2")})`,
    clear: `DELETE FROM ${letters} WHERE cursor = $1`
  }
}

export const deadLetterTable = (sql: ReturnType<typeof deadLetterSql>, run: Run): DeadLetterTable => {
  const letterOf = (row: Row): DeadLetter => ({
    sequenceNumber: Number(row["sequence_number"]),
    key: row["letter_key"] as string,
    failure: (row["failure"] as string | null) ?? undefined,
    parkedAt: Number(row["parked_at"])
  })
  return {
    park: (cursor, letters) => Effect.asVoid(run(sql.park, [cursor, JSON.stringify(letters)])),
    keys: (cursor) => Effect.map(run(sql.keys, [cursor]), (rows) => rows.map((row) => row["letter_key"] as string)),
    list: (cursor, after, limit) => Effect.map(run(sql.list, [cursor, after, limit]), (rows) => rows.map(letterOf)),
    requestReplay: (cursor, key) => Effect.map(run(sql.requestReplay, [cursor, key ?? null]), (rows) => rows.length),
    toReplay: (cursor, limit) => Effect.map(run(sql.toReplay, [cursor, limit]), (rows) => rows.map(letterOf)),
    failReplay: (cursor, { failure, key, sequenceNumber }) =>
      Effect.asVoid(run(sql.failReplay, [cursor, key, sequenceNumber, failure ?? null])),
    remove: (cursor, numbers) => Effect.asVoid(run(sql.remove, [cursor, JSON.stringify(numbers)])),
    clear: (cursor) => Effect.asVoid(run(sql.clear, [cursor]))
  }
}
