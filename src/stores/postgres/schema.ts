/**
 * What the store keeps in the database: one schema, created and changed by migrations only.
 *
 * - `events`: the log, one row an event. Triggers refuse UPDATE, DELETE and TRUNCATE. `keys` are hashes of the type, the tags
 *   and the payload's scalars.
 * - `event_index`: the same keys under an inverted index. It follows the log in bulk, which costs a fraction of indexing every
 *   event by itself; `log.indexed_through` says how far it is. A process knows what comes after that from the log itself.
 *   `place` is where the event lies in its table, which spares the way there by its number. It may be unknown, and is no longer
 *   true once the table was written anew: then the number is used. Since format 4.
 * - `log`: one row: the format, the log's identity, how far the index reaches.
 * - `idempotency`: the idempotency keys, each with its append.
 * - `cursors`, `dead_letters`, `outbox`, `projection_versions`: what durable streams, projections and reactors keep. Since format 2.
 *
 * Functions do what has to happen in one round trip. Nobody but the owner has any right to begin with.
 */
import {
  appendFunction,
  appendOneFunction,
  lockFunction,
  readFunction,
  refuseChangedFunction,
  refuseKnownFunction,
  writeIndexFunction
} from "./functions.ts"
import type { SqlDialect } from "../internal/workspace/sqlDialect.ts"
import { workspaceTables } from "../internal/workspace/sqlDialect.ts"

/** The format that this version reads and writes: the number of its migrations. */
export const format = 5

/**
 * The migrations of a schema, in order: what there is but the functions, which are made anew after them. A change of a function needs
 * another format, so another migration, be it an empty one. The schema's name is checked against an allow-list.
 */
export const migrations = (schema: string): ReadonlyArray<string> => {
  const s = `"${schema}"`
  return [
    [tables(s), triggers(s)].join("\n"),
    workspaceTables({ whole: "int8", text: 'text COLLATE "C"' })
      .map(
        ({ columns, index, name, primaryKey }) => `
CREATE TABLE ${s}.${name} (${columns.join(", ")}, PRIMARY KEY (${primaryKey}));
${index === undefined ? "" : `CREATE INDEX ${name}_${index.name} ON ${s}.${name} (${index.columns});`}
REVOKE ALL ON ${s}.${name} FROM PUBLIC;`
      )
      .join("\n"),
    // Functions only.
    "",
    `ALTER TABLE ${s}.event_index ADD COLUMN place tid;`,
    // Functions only.
    ""
  ]
}

/** The functions of the format at hand, which take the place of those of an earlier one. They are everybody's until that is taken back. */
export const functions = (schema: string): string => {
  const s = `"${schema}"`
  return [
    lockFunction(s),
    appendFunction(s),
    appendOneFunction(s),
    refuseChangedFunction(s),
    refuseKnownFunction(s),
    readFunction(s),
    writeIndexFunction(s),
    `REVOKE ALL ON FUNCTION ${replacedFunctions.map((name) => `${s}.${name}`).join(", ")} FROM PUBLIC;`
  ].join("\n")
}

/** The names of these functions. */
export const replacedFunctions = [
  "lock",
  "append",
  "append_one",
  "refuse_changed",
  "refuse_known",
  "read",
  "write_index"
]

/** How the tables of the workspace are spoken to. */
export const dialect = (schema: string): SqlDialect => ({
  table: (name) => `"${schema}".${name}`,
  now: "pg_catalog.floor(EXTRACT(epoch FROM pg_catalog.clock_timestamp()) * 1000)::int8",
  objects: (parameter) => `pg_catalog.json_array_elements(${parameter}::json) AS e(value)`,
  texts: (parameter) => `pg_catalog.json_array_elements_text(${parameter}::json) AS e(value)`,
  skipLocked: " FOR UPDATE SKIP LOCKED"
})

/** The database's default privileges may give a table to everybody. */
const tables = (s: string): string => `
CREATE TABLE ${s}.log (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  format int4 NOT NULL,
  log_id uuid NOT NULL DEFAULT gen_random_uuid(),
  indexed_through int8 NOT NULL DEFAULT 0,
  has_partly_indexed boolean NOT NULL DEFAULT false
);
CREATE TABLE ${s}.events (
  sequence_number int8 PRIMARY KEY,
  event_id uuid NOT NULL UNIQUE,
  event_type text COLLATE "C" NOT NULL,
  schema_version int8 NOT NULL,
  payload text COLLATE "C" NOT NULL,
  tags text COLLATE "C" NOT NULL,
  metadata text COLLATE "C" NOT NULL,
  occurred_at int8 NOT NULL,
  batch_end int8 NOT NULL,
  keys int4[] NOT NULL
);
CREATE TABLE ${s}.event_index (
  sequence_number int8 NOT NULL,
  keys int4[] NOT NULL
);
CREATE INDEX event_index_keys ON ${s}.event_index USING gin (keys) WITH (fastupdate = on, gin_pending_list_limit = 1048576);
CREATE TABLE ${s}.idempotency (
  key text COLLATE "C" PRIMARY KEY,
  fingerprint text COLLATE "C" NOT NULL,
  first_number int8 NOT NULL,
  last_number int8 NOT NULL
);
REVOKE ALL ON ${s}.log, ${s}.events, ${s}.event_index, ${s}.idempotency FROM PUBLIC;`

const triggers = (s: string): string => `
CREATE FUNCTION ${s}.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the log is append-only: events are never changed' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ${s}.events
  FOR EACH STATEMENT EXECUTE FUNCTION ${s}.refuse_change();
ALTER TABLE ${s}.events ENABLE ALWAYS TRIGGER events_append_only;
REVOKE ALL ON FUNCTION ${s}.refuse_change FROM PUBLIC;`
