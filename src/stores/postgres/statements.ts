/**
 * Every statement on a log, schema-qualified, parameters only. Functions, operators and types are qualified too, for a search
 * path may have others of the same names.
 */
import { columnsOf, cutOff } from "./columns.ts"

export interface StatementText {
  /** Names the prepared statement. */
  readonly name: string
  readonly text: string
}

export type Statements = ReturnType<typeof statements>

/** The statements of one log. */
export const statements = (schema: string) => {
  const s = `"${schema}"`
  const named = (name: string, text: string): StatementText => ({ name: `${schema}_${name}`, text })
  return {
    append: named(
      "append",
      `SELECT ${s}.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)`
    ),
    appendOne: named("append_one", `SELECT ${s}.append_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`),
    lock: named("lock", `SELECT ${s}.lock($1)`),
    read: named("read", `SELECT * FROM ${s}.read($1, $2, $3, $4, $5, $6, $7, $8, $9)`),
    writeIndex: named("write_index", `SELECT ${s}.write_index($1)`),
    /** The events of a short span, as many as fit into an answer. */
    scan: named(
      "scan",
      `
SELECT ${cutOff("e")}
FROM (
  SELECT n.*, pg_catalog.sum(pg_catalog.octet_length(n.payload)) OVER (ORDER BY n.sequence_number) AS bytes
  FROM (
    SELECT ${columnsOf("e")} FROM ${s}.events AS e
    WHERE e.sequence_number OPERATOR(pg_catalog.>) $1 AND e.sequence_number OPERATOR(pg_catalog.<=) $2
  ) AS n
) AS e
ORDER BY e.sequence_number`
    ),
    /** The events of these numbers. */
    at: named(
      "at",
      `
SELECT ${cutOff("e")}
FROM (
  SELECT n.number, e.*, pg_catalog.sum(pg_catalog.octet_length(e.payload)) OVER (ORDER BY n.ordinal) AS bytes, n.ordinal
  FROM pg_catalog.unnest($1::pg_catalog.int8[]) WITH ORDINALITY AS n(number, ordinal)
  LEFT JOIN LATERAL (
    SELECT * FROM ${s}.events AS x WHERE x.sequence_number OPERATOR(pg_catalog.=) n.number LIMIT 1
  ) AS e ON true
) AS e
ORDER BY e.ordinal`
    ),
    byIds: named(
      "by_ids",
      `
SELECT e.event_id, e.sequence_number, e.batch_end
FROM ${s}.events AS e
WHERE e.event_id OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.uuid[])`
    ),
    byKey: named(
      "by_key",
      `SELECT fingerprint, first_number, last_number FROM ${s}.idempotency WHERE key OPERATOR(pg_catalog.=) $1`
    )
  }
}
