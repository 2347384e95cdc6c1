/**
 * What a schema holds under the names that the store uses, as lines of text, and what a log of the current format consists of. By
 * comparing the two a store knows its own log from foreign tables, and notices what was changed or taken away (L3).
 */
import { format as currentFormat, functions, migrations, replacedFunctions } from "./schema.ts"

/** The names of functions. */
export const functionNames = ["refuse_change", ...replacedFunctions]

/** Fires before UPDATE, DELETE and TRUNCATE, once a statement: the bits of `pg_trigger.tgtype`. */
const triggerType = 2 + 8 + 16 + 32

const logTable = "table log: only_row bool, format int4, log_id uuid, indexed_through int8, has_partly_indexed bool"

const indexTable = "table event_index: sequence_number int8, keys _int4"

/** What each format has changed: names of relations and functions that came, lines of the inventory that came or became others. */
const formats: ReadonlyArray<Changes> = [
  {
    functions: [],
    names: ["log", "events", "event_index", "event_index_keys", "idempotency"],
    lines: [
      logTable,
      "table events: sequence_number int8, event_id uuid, event_type text, schema_version int8, payload text, tags text, " +
        "metadata text, occurred_at int8, batch_end int8, keys _int4",
      indexTable,
      "table idempotency: key text, fingerprint text, first_number int8, last_number int8",
      "index of log: unique btree (only_row)",
      "index of events: unique btree (sequence_number)",
      "index of events: unique btree (event_id)",
      "index of event_index: gin (keys)",
      "index of idempotency: unique btree (key)",
      `trigger events_append_only: A ${triggerType} refuse_change`
    ],
    replaced: []
  },
  {
    functions: [],
    names: ["cursors", "dead_letters", "outbox", "outbox_due", "projection_versions"],
    lines: [
      "table cursors: cursor text, query text, log_id text, position int8, owner text, epoch int8, leased_until int8, paused int8, " +
        "moved_at int8",
      "table dead_letters: cursor text, sequence_number int8, letter_key text, failure text, replaying int8, parked_at int8",
      "table outbox: reactor text, sequence_number int8, place int8, body text, attempts int8, failure text, dead int8, due_at int8",
      "table projection_versions: projection text, active_version int8",
      "index of cursors: unique btree (cursor)",
      "index of dead_letters: unique btree (cursor, sequence_number)",
      "index of outbox: unique btree (reactor, sequence_number, place)",
      "index of outbox: btree (reactor, dead, due_at)",
      "index of projection_versions: unique btree (projection)"
    ],
    replaced: []
  },
  { functions: ["append_one"], names: [], lines: [], replaced: [] },
  { functions: [], names: [], lines: [], replaced: [[indexTable, `${indexTable}, place tid`]] },
  { functions: [], names: [], lines: [], replaced: [] }
]

interface Changes {
  readonly functions: ReadonlyArray<string>
  readonly names: ReadonlyArray<string>
  readonly lines: ReadonlyArray<string>
  readonly replaced: ReadonlyArray<readonly [before: string, after: string]>
}

/** The names of relations, of all formats. */
export const relationNames = formats.flatMap(({ names }) => names)

/** Whether a line is the table of a log of whatever format. */
export const isLogTable = (line: string): boolean => /^table log: .*\bformat int4, log_id uuid\b/.test(line)

/** The lines of a log of a format. Whatever else is in the schema, more indexes for example, is nobody's business. */
export const expectedLines = (schema: string, format: number): ReadonlyArray<string> => {
  const changes = formats.slice(0, format)
  const replaced = new Map(changes.flatMap(({ replaced }) => replaced))
  const lines = changes.flatMap(({ lines }) => lines).map((line) => replaced.get(line) ?? line)
  return [...lines, ...functionLines(schema, format)]
}

/** The name of a relation or a function that a later format brings, and that somebody else has taken. */
export const takenName = (lines: Iterable<string>, format: number): string | undefined => {
  const later = formats.slice(format)
  const relations = new Set(later.flatMap(({ names }) => names))
  const functions = new Set(later.flatMap(({ functions }) => functions))
  for (const line of lines) {
    const [, kind, name = ""] = /^(relation|table|altered table|index of|function) (\w+): /.exec(line) ?? []
    if ((kind === "function" ? functions : relations).has(name)) return name
  }
  return undefined
}

/** The bodies of the functions; of those that a migration makes anew only the ones of the current format are known. */
const functionLines = (schema: string, format: number): ReadonlyArray<string> => {
  const text = [...migrations(schema).slice(0, format), format === currentFormat ? functions(schema) : ""].join("\n")
  return Array.from(
    text.matchAll(/CREATE (?:OR REPLACE )?FUNCTION "\w+"\.(\w+)\([^$]*AS \$\$(.*?)\$\$/gs),
    ([, name, body]) => `function ${name}: ${body}`
  )
}

/**
 * A line for everything in a schema ($1) of these names of relations ($2) and functions ($3). Qualified throughout, for it is
 * asked before anything is known of the search path.
 */
export const inventory = `
WITH ours AS (
  SELECT c.* FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  WHERE n.nspname OPERATOR(pg_catalog.=) $1 AND c.relname OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.text[])
)
SELECT pg_catalog.concat(
  CASE
    WHEN c.relkind OPERATOR(pg_catalog.<>) 'r' OR c.relpersistence OPERATOR(pg_catalog.<>) 'p' THEN 'relation '
    WHEN c.relrowsecurity OR c.relhasrules OR c.relhassubclass THEN 'altered table '
    ELSE 'table '
  END,
  c.relname, ': ', (
    SELECT pg_catalog.string_agg(
      pg_catalog.concat(a.attname, ' ', t.typname), ', ' ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
    WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped))
FROM ours AS c
UNION ALL
SELECT pg_catalog.concat('index of ', c.relname, ': ', CASE WHEN i.indisunique THEN 'unique ' END, m.amname, ' (', (
    SELECT pg_catalog.string_agg(a.attname, ', ' ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute AS a WHERE a.attrelid OPERATOR(pg_catalog.=) i.indexrelid), ')')
FROM ours AS c
JOIN pg_catalog.pg_index AS i ON i.indrelid OPERATOR(pg_catalog.=) c.oid
JOIN pg_catalog.pg_class AS x ON x.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_am AS m ON m.oid OPERATOR(pg_catalog.=) x.relam
WHERE i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
UNION ALL
SELECT pg_catalog.concat('trigger ', t.tgname, ': ', t.tgenabled, ' ', t.tgtype, ' ', p.proname)
FROM ours AS c
JOIN pg_catalog.pg_trigger AS t ON t.tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT t.tgisinternal
JOIN pg_catalog.pg_proc AS p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid
  AND p.pronamespace OPERATOR(pg_catalog.=) c.relnamespace
WHERE t.tgqual IS NULL AND t.tgattr OPERATOR(pg_catalog.=) ''
UNION ALL
SELECT pg_catalog.concat('function ', p.proname, ': ', p.prosrc)
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
WHERE n.nspname OPERATOR(pg_catalog.=) $1 AND p.proname OPERATOR(pg_catalog.=) ANY ($3::pg_catalog.text[])`
