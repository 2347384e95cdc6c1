/**
 * What the store keeps in the database, and every statement on it. Values are parameters only; the table prefix is checked
 * against an allow-list and quoted.
 *
 * - `<prefix>_events`: the log, one row an event. Triggers refuse UPDATE and DELETE, and an INSERT that is not the next
 *   number (which also closes the back door of INSERT OR REPLACE).
 * - `<prefix>_index`: a full-text index (FTS5, without content) whose words are hashes of ids, types, tags and payload scalars;
 *   a row's id is the event's number. FTS5 writes sorted runs and merges them, so indexing costs the same in a log of any
 *   size.
 * - `<prefix>_log`: one row: the format, the log's identity, and how far the index reaches.
 * - `<prefix>_idempotency`: the idempotency keys of appends, with the fingerprint of their events and their range. Since
 *   format 2.
 * - `<prefix>_cursors`, `<prefix>_dead_letters`, `<prefix>_outbox`, `<prefix>_projection_versions`: what durable streams,
 *   projections and reactors keep. Since format 3.
 */
import { columns } from "../internal/rows.ts"
import type { SqlDialect } from "../internal/workspace/sqlDialect.ts"
import { workspaceTables } from "../internal/workspace/sqlDialect.ts"
import { joinedColumns } from "./joinedRows.ts"

/** The format that this version writes. Logs of an earlier one are brought to it when they are opened. */
export const format = 3

/** Names of the tables, quoted. */
const tables = (prefix: string) => ({
  events: `"${prefix}_events"`,
  index: `"${prefix}_index"`,
  log: `"${prefix}_log"`,
  idempotency: `"${prefix}_idempotency"`
})

/** An object of the schema: the SQL that creates it, and the format that it came with. */
export interface SchemaObject {
  readonly name: string
  readonly since: number
  readonly sql: string
}

/** The objects of the schema in the order of creation. */
export const schema = (prefix: string): ReadonlyArray<SchemaObject> => {
  const { events, idempotency, index, log } = tables(prefix)
  const refuse = (name: string, when: string, message: string) => ({
    name: `${prefix}_${name}`,
    since: 1,
    sql: `CREATE TRIGGER "${prefix}_${name}" BEFORE ${when} BEGIN SELECT RAISE(ABORT, '${message}'); END`
  })
  return [
    {
      name: `${prefix}_log`,
      since: 1,
      sql: `CREATE TABLE ${log} (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  format INTEGER NOT NULL,
  log_id TEXT NOT NULL,
  indexed_through INTEGER NOT NULL,
  has_partly_indexed INTEGER NOT NULL
) STRICT`
    },
    {
      name: `${prefix}_events`,
      since: 1,
      sql: `CREATE TABLE ${events} (
  sequence_number INTEGER PRIMARY KEY,
  event_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  schema_version INTEGER NOT NULL,
  payload TEXT NOT NULL,
  tags TEXT NOT NULL,
  metadata TEXT NOT NULL,
  occurred_at INTEGER NOT NULL,
  batch_end INTEGER NOT NULL
) STRICT`
    },
    {
      name: `${prefix}_index`,
      since: 1,
      sql: `CREATE VIRTUAL TABLE ${index} USING fts5(words, content='', columnsize=0, detail=none, tokenize='ascii')`
    },
    refuse("no_update", `UPDATE ON ${events}`, "the log is append-only: events are never updated"),
    refuse("no_delete", `DELETE ON ${events}`, "the log is append-only: events are never deleted"),
    refuse(
      "in_order",
      `INSERT ON ${events}
WHEN NEW.sequence_number <> (SELECT coalesce(max(sequence_number), 0) + 1 FROM ${events})`,
      "the log is append-only: an event takes the next number"
    ),
    {
      name: `${prefix}_idempotency`,
      since: 2,
      sql: `CREATE TABLE ${idempotency} (
  key TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  first_sequence_number INTEGER NOT NULL,
  last_sequence_number INTEGER NOT NULL
) STRICT, WITHOUT ROWID`
    },
    ...workspaceTables({ whole: "INTEGER", text: "TEXT" }).flatMap(({ columns, index, name, primaryKey }) => [
      {
        name: `${prefix}_${name}`,
        since: 3,
        sql: `CREATE TABLE "${prefix}_${name}" (\n  ${columns.join(",\n  ")},\n  PRIMARY KEY (${primaryKey})\n) STRICT, WITHOUT ROWID`
      },
      ...(index === undefined
        ? []
        : [
            {
              name: `${prefix}_${name}_${index.name}`,
              since: 3,
              sql: `CREATE INDEX "${prefix}_${name}_${index.name}" ON "${prefix}_${name}" (${index.columns})`
            }
          ])
    ])
  ]
}

/** How the tables of the workspace are spoken to. */
export const dialect = (prefix: string): SqlDialect => ({
  table: (name) => `"${prefix}_${name}"`,
  now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
  objects: (parameter) => `json_each(${parameter}) AS e`,
  texts: (parameter) => `json_each(${parameter}) AS e`,
  skipLocked: ""
})

const select = columns.map((column) => `e.${column}`).join(", ")

/** The statements of one log. */
export const statements = (prefix: string) => {
  const { events, idempotency, index, log } = tables(prefix)
  const matching = (direction: "ASC" | "DESC") => `
SELECT i.rowid, ${select}
FROM ${index} AS i LEFT JOIN ${events} AS e ON e.sequence_number = i.rowid
WHERE ${index} MATCH ? AND i.rowid > ? AND i.rowid <= ?
ORDER BY i.rowid ${direction}
LIMIT ?`
  return {
    begin: "BEGIN IMMEDIATE",
    commit: "COMMIT",
    rollback: "ROLLBACK",
    state: `
SELECT e.sequence_number, e.batch_end, indexed_through, has_partly_indexed
FROM ${log} LEFT JOIN ${events} AS e ON e.sequence_number = (SELECT max(sequence_number) FROM ${events})`,
    formatOf: `SELECT format FROM ${log}`,
    setFormat: `UPDATE ${log} SET format = ?`,
    createLog: `INSERT INTO ${log} VALUES (1, ?, ?, 0, 0)`,
    /** Few runs to look into, at the price of merging them more often: a context read looks into every run. */
    mergeEarly: `INSERT INTO ${index} (${index}, rank) VALUES ('automerge', 2)`,
    insertEvent: `INSERT INTO ${events} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    findKey: `SELECT fingerprint, first_sequence_number, last_sequence_number FROM ${idempotency} WHERE key = ?`,
    insertKey: `INSERT INTO ${idempotency} VALUES (?, ?, ?, ?)`,
    matchIds: `
SELECT e.event_id
FROM ${index} AS i JOIN ${events} AS e ON e.sequence_number = i.rowid
WHERE ${index} MATCH ?`,
    insertWords: `INSERT INTO ${index} (rowid, words) VALUES (?, ?)`,
    setIndexed: `UPDATE ${log} SET indexed_through = ?, has_partly_indexed = ?`,
    matchUp: matching("ASC"),
    matchDown: matching("DESC"),
    scan: `
SELECT ${select}
FROM ${events} AS e
WHERE e.sequence_number > ? AND e.sequence_number <= ?
ORDER BY e.sequence_number`,
    scanJoined: `
SELECT ${joinedColumns}
FROM ${events}
WHERE sequence_number > ? AND sequence_number <= ?`
  }
}
