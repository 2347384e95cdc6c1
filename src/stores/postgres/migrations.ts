/**
 * Brings a database up to date, or says why it cannot be used (L3). Everything happens in one transaction under an advisory
 * lock, so any number of processes may open an empty database at once; where it refuses it changes nothing.
 */
import * as Effect from "effect/Effect"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { SchemaMismatch } from "../EventStoreError.ts"
import { texts } from "./arrays.ts"
import type { Ask, Database, Rows } from "./Database.ts"
import type { Parameter } from "./driver.ts"
import type { Failure } from "./driverErrors.ts"
import { readFailure } from "./driverErrors.ts"
import { expectedLines, functionNames, inventory, isLogTable, relationNames, takenName } from "./inventory.ts"
import { format, functions, migrations, replacedFunctions } from "./schema.ts"

/** PostgreSQL 14: below it was never tried. */
const oldestServer = 140_000

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
    .transaction(operation, (ask) =>
      Effect.gen(function* () {
        yield* ask("SET LOCAL search_path = pg_catalog, pg_temp")
        yield* ask("SET LOCAL lock_timeout = '30s'")
        yield* ask("SELECT pg_advisory_xact_lock(1702260588, 0)")
        const found = yield* stateOf(ask, schema)
        if (found === format) return
        yield* createSchema(ask, schema)
        for (const migration of migrations(schema).slice(found)) if (migration !== "") yield* ask(migration)
        yield* replaceFunctions(ask, schema)
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

/** Whoever may execute a function still may when there is a new one under its name, or a new one that is a part of it. */
const replaceFunctions = (ask: Ask, schema: string): Effect.Effect<void, Failure> =>
  Effect.gen(function* () {
    const grants = yield* ask(grantsOfFunctions, [schema, texts(replacedFunctions)])
    for (const name of replacedFunctions) yield* ask(`DROP FUNCTION IF EXISTS "${schema}".${name}`)
    yield* ask(functions(schema))
    for (const [name, role] of grants) {
      const granted = name === "append" ? ["append", "append_one"] : [name!]
      for (const one of granted) yield* ask(`GRANT EXECUTE ON FUNCTION "${schema}".${one} TO ${role!}`)
    }
  })

const grantsOfFunctions = `
SELECT p.proname, quote_ident(r.rolname)
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
CROSS JOIN LATERAL aclexplode(p.proacl) AS a JOIN pg_roles AS r ON r.oid = a.grantee
WHERE n.nspname = $1 AND p.proname = ANY ($2::text[]) AND a.privilege_type = 'EXECUTE' AND a.grantee <> p.proowner`

/** The format of the log in the schema, 0 when there is none. Refuses what is not evolvent's, or newer. */
const stateOf = <E>(
  ask: (text: string, values?: Array<Parameter>) => Effect.Effect<Rows, E>,
  schema: string
): Effect.Effect<number, E | SchemaMismatch> =>
  Effect.gen(function* () {
    const lines = new Set(
      (yield* ask(inventory, [schema, texts(relationNames), texts(functionNames)])).map(([line]) => line!)
    )
    if (lines.size === 0) return 0
    if (![...lines].some(isLogTable)) {
      return yield* mismatch(
        `The schema ${schema} has tables or functions that do not belong to a log of evolvent: choose another schema.`
      )
    }
    const [row] = yield* ask(`SELECT format FROM "${schema}".log`)
    const found = Number(row?.[0] ?? Number.NaN)
    if (found > format) {
      return yield* mismatch(
        `The log has format ${found}, this version of evolvent reads up to ${format}: use a newer version.`
      )
    }
    const missing = found >= 1 ? expectedLines(schema, found).find((line) => !lines.has(line)) : undefined
    if (found >= 1 && missing === undefined) {
      const taken = takenName(lines, found)
      if (taken === undefined) return found
      return yield* mismatch(
        `The schema ${schema} has ${taken} already, which does not belong to the log: move it to another schema.`
      )
    }
    const what = missing === undefined ? "its format" : `the ${/^[^:]*/.exec(missing)![0]}`
    return yield* mismatch(
      `The log in the schema ${schema} was changed: ${what} is missing, or not as evolvent made it. Restore it, or choose ` +
        "another schema."
    )
  })

/** An advisory lock that is held shows in pg_locks; in engines that only pretend, nothing does. */
const serverFacts = `
WITH held AS MATERIALIZED (SELECT pg_catalog.pg_try_advisory_xact_lock_shared(1702260588, 1) AS got)
SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.current_setting('server_encoding'), (
  SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks AS l
  WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
    AND held.got)
FROM held`

const read = (database: Database, text: string, values: Array<Parameter>): Effect.Effect<Rows, EventStoreErrorReason> =>
  Effect.mapError(database.read(operation, { text }, values), toReason)

const toReason = <E extends EventStoreErrorReason>(failure: Failure | E): EventStoreErrorReason =>
  failure._tag === "Refused" || failure._tag === "Lost" ? readFailure(failure, operation) : failure

const mismatch = (problem: string): Effect.Effect<never, SchemaMismatch> => Effect.fail(new SchemaMismatch({ problem }))
