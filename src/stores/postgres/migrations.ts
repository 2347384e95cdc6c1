/**
 * Brings a database up to date, or says why it cannot be used (L3). Everything happens in one transaction under an advisory
 * lock, so any number of processes may open an empty database at once; where it refuses it changes nothing.
 */
import * as Effect from "effect/Effect"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { SchemaMismatch } from "../EventStoreError.ts"
import type { Ask, Database, Rows } from "./Database.ts"
import type { Failure } from "./driverErrors.ts"
import { readFailure } from "./driverErrors.ts"
import { format, migrations } from "./schema.ts"

/** PostgreSQL 14: below it was never tried. */
const oldestServer = 140_000

/** The columns that every table has in the current format. */
const shapes: ReadonlyMap<string, string> = new Map([
  ["log", "only_row,format,log_id,indexed_through,has_partly_indexed"],
  ["events", "sequence_number,event_id,event_type,schema_version,payload,tags,metadata,occurred_at,batch_end,keys"],
  ["event_index", "sequence_number,keys"],
  ["idempotency", "key,fingerprint,first_number,last_number"]
])

const operation = "prepare the schema"

/** Refuses a server that cannot keep the contract: whatever the log, and before anything is changed. */
export const checkServer = (database: Database): Effect.Effect<void, EventStoreErrorReason> =>
  Effect.gen(function* () {
    const [row] = yield* read(database, serverFacts, [])
    const [version, encoding, locks] = row as [string, string, string]
    if (Number(version) < oldestServer) {
      return yield* mismatch(`The server is too old (${version}): use PostgreSQL 14 or later.`)
    }
    if (encoding !== "UTF8") {
      return yield* mismatch(`The database's encoding is ${encoding}: create it with the encoding UTF8.`)
    }
    if (locks !== "1") {
      return yield* mismatch("The server's advisory locks are no locks: use PostgreSQL itself.")
    }
  })

/** Refuses a schema that is not up to date. */
export const checkSchema = (database: Database, schema: string): Effect.Effect<void, EventStoreErrorReason> =>
  Effect.gen(function* () {
    const found = yield* stateOf((text, values = []) => read(database, text, values), schema)
    if (found < format) {
      return yield* mismatch(
        `The schema ${schema} ${found === 0 ? "holds no log" : `has format ${found}`}, this version needs ${format}: ` +
          "run PostgresStore.migrate with the role that owns it."
      )
    }
  })

/** Creates the schema, or brings it up to date. */
export const migrateSchema = (database: Database, schema: string): Effect.Effect<void, EventStoreErrorReason> =>
  database
    .script(operation, (ask) =>
      Effect.gen(function* () {
        yield* ask("SET LOCAL search_path = pg_catalog, pg_temp")
        yield* ask("SELECT pg_advisory_xact_lock(1702260588, 0)")
        const found = yield* stateOf(ask, schema)
        if (found === format) return
        yield* createSchema(ask, schema)
        for (const migration of migrations(schema).slice(found)) yield* ask(migration)
        const s = `"${schema}"`
        yield* ask(
          found === 0 ? `INSERT INTO ${s}.log (format) VALUES (${format})` : `UPDATE ${s}.log SET format = ${format}`
        )
      })
    )
    .pipe(Effect.mapError(toReason))

/** An existing schema is taken as it is, for its owner may not be allowed to create one. */
const createSchema = (ask: Ask, schema: string): Effect.Effect<void, Failure> =>
  Effect.gen(function* () {
    const existing = yield* ask("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", [schema])
    if (existing.length === 0) yield* ask(`CREATE SCHEMA "${schema}"`)
  })

/** The format of the log in the schema, 0 when there is none. Refuses what is not evolvent's, or newer. */
const stateOf = <E>(
  ask: (text: string, values?: Array<unknown>) => Effect.Effect<Rows, E>,
  schema: string
): Effect.Effect<number, E | SchemaMismatch> =>
  Effect.gen(function* () {
    const tables = new Map((yield* ask(tableShapes, [schema, [...shapes.keys()]])) as ReadonlyArray<[string, string]>)
    if (tables.size === 0) return 0
    const foreign = `The schema ${schema} has tables that do not belong to evolvent: choose another schema.`
    if (!/\bformat\b.*\blog_id\b/.test(tables.get("log") ?? "")) return yield* mismatch(foreign)
    const [row] = yield* ask(`SELECT format FROM "${schema}".log`)
    const found = Number(row?.[0] ?? Number.NaN)
    if (found > format) {
      return yield* mismatch(
        `The log has format ${found}, this version of evolvent reads up to ${format}: use a newer version.`
      )
    }
    const isOurs =
      found >= 1 && (found < format || [...shapes].every(([name, columns]) => tables.get(name) === columns))
    return isOurs ? found : yield* mismatch(foreign)
  })

/** An advisory lock that is held shows in pg_locks; in engines that only pretend, nothing does. */
const serverFacts = `
WITH held AS MATERIALIZED (SELECT pg_catalog.pg_try_advisory_xact_lock_shared(1702260588, 1) AS got)
SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.current_setting('server_encoding'), (
  SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks AS l
  WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
    AND held.got)
FROM held`

const tableShapes = `
SELECT c.relname, pg_catalog.string_agg(a.attname, ',' ORDER BY a.attnum)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
  AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
WHERE n.nspname OPERATOR(pg_catalog.=) $1 AND c.relname OPERATOR(pg_catalog.=) ANY ($2)
GROUP BY c.relname`

const read = (database: Database, text: string, values: Array<unknown>): Effect.Effect<Rows, EventStoreErrorReason> =>
  Effect.mapError(database.read(operation, { text }, values), toReason)

const toReason = <E extends EventStoreErrorReason>(failure: Failure | E): EventStoreErrorReason =>
  failure._tag === "Refused" || failure._tag === "Lost" ? readFailure(failure, operation) : failure

const mismatch = (problem: string): Effect.Effect<never, SchemaMismatch> => Effect.fail(new SchemaMismatch({ problem }))
