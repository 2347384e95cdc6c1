/** Whatever a role's settings are, the store behaves as always: settings that do not fit it overrules or does without. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as EventQuery from "../../../src/stores/EventQuery.ts"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import type { PostgresOptions } from "../../../src/stores/postgres/PostgresStore.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { event, failsWith, logOf, numbersOf, range, recorder } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import type { OwnSchema } from "../../support/postgres.ts"
import { ownSchema, rawConnection } from "../../support/postgres.ts"
import { appended, expectTrueAnswers, reasonOf } from "./answers.ts"
import { roleWith } from "./roles.ts"

type Settings = Readonly<Record<string, string>>

/** A schema that is migrated and used by a role with such settings. */
const setUp = (settings: Settings) =>
  Effect.gen(function* () {
    const own = yield* ownSchema
    const role = yield* roleWith(own, settings)
    const open = (options: PostgresOptions = {}) =>
      PostgresStore.make({ url: role.url, schema: own.schema, indexEvery: 4, ...options })
    return { ...own, roleUrl: role.url, open }
  })

/** Appends, conditions, ids, queries from memory, from the index and by scanning, and streams of two stores. */
const behavesAsAlways = (open: () => ReturnType<typeof PostgresStore.make>, { query, schema }: OwnSchema) =>
  Effect.gen(function* () {
    const [mine, theirs] = [yield* open(), yield* open()]
    const streams = [recorder(), recorder()]
    yield* mine.streamAll(streams[0]!.handler)
    yield* theirs.streamAll(streams[1]!.handler)
    const calls = yield* Effect.all(
      range(1, 12).map((n) => appended(n % 2 === 0 ? mine : theirs, `call ${n}`)),
      { concurrency: "unbounded" }
    )
    for (const call of calls) expect(reasonOf(call), call.name).toBeUndefined()
    yield* expectTrueAnswers(query, schema, calls)
    yield* keepsConditions(mine)
    yield* mine.append(range(1, 1_200).map((n) => event("Many", { n }, [`tag:${n % 3}`])))
    const late = yield* open()
    const log = yield* logOf(late)
    expect(numbersOf(log)).toEqual(range(1, 1_226))
    for (const store of [mine, theirs, late]) {
      const found = yield* store.query(EventQuery.withTags("tag:1"))
      expect(found.eventRecords).toEqual(log.filter(({ tags }) => tags.includes("tag:1")))
      expect(yield* logOf(store)).toEqual(log)
    }
    for (const { batches, received } of streams) {
      yield* received(15)
      expect(batches.flat()).toEqual(log)
    }
  })

const keepsConditions = (store: EventStore) =>
  Effect.gen(function* () {
    const context = EventQuery.withTags("seat")
    const eventId = "01890a5d-ac96-774b-bcce-b302099a8057"
    yield* store.appendIf([{ ...event("Held", 1, ["seat"]), eventId }], context, null)
    const conflict = yield* failsWith("ConditionalAppendConflict", store.appendIf([event("Sold")], context, null))
    expect(conflict.actual).toBe(25)
    yield* store.appendIf([event("Sold", 2, ["seat"])], context, 25)
    yield* failsWith("InvalidInput", store.append([{ ...event("Again"), eventId }]))
  })

const roles: ReadonlyArray<readonly [name: string, settings: Settings]> = [
  ["repeatable read", { default_transaction_isolation: "'repeatable read'" }],
  ["serializable", { default_transaction_isolation: "'serializable'", default_transaction_deferrable: "on" }],
  ["read uncommitted", { default_transaction_isolation: "'read uncommitted'" }],
  ["read only", { default_transaction_read_only: "on" }],
  [
    "serializable and read only",
    { default_transaction_isolation: "serializable", default_transaction_read_only: "on" }
  ],
  ["impatient with locks", { lock_timeout: "1", deadlock_timeout: "1" }],
  ["impatient with idle sessions", { idle_session_timeout: "50", idle_in_transaction_session_timeout: "5000" }],
  [
    "peculiar in its texts",
    {
      standard_conforming_strings: "off",
      client_encoding: "LATIN1",
      DateStyle: "'SQL, DMY'",
      IntervalStyle: "sql_standard",
      bytea_output: "escape",
      extra_float_digits: "-15",
      timezone: "'Asia/Kathmandu'",
      array_nulls: "off",
      transform_null_equals: "on",
      quote_all_identifiers: "on",
      xmloption: "document",
      "plpgsql.variable_conflict": "error",
      "plpgsql.extra_errors": "'all'"
    }
  ],
  [
    "peculiar in its plans",
    {
      enable_indexscan: "off",
      enable_bitmapscan: "off",
      enable_hashjoin: "off",
      enable_sort: "off",
      plan_cache_mode: "force_generic_plan",
      debug_parallel_query: "on",
      jit_above_cost: "0",
      row_security: "off",
      work_mem: "64"
    }
  ]
]

describe("a role", () => {
  for (const [name, settings] of roles) {
    itEffect(`that is ${name} uses the store as any other`, () =>
      Effect.gen(function* () {
        const { open, ...own } = yield* setUp(settings)
        yield* behavesAsAlways(open, own)
      })
    )
  }

  itEffect("whose commits are asynchronous has the store's commits synchronous", () =>
    Effect.gen(function* () {
      const { open, query, schema } = yield* setUp({ synchronous_commit: "off" })
      const store = yield* open()
      yield* query(`CREATE TABLE "${schema}".seen (number int8, setting text)`)
      yield* query(`CREATE FUNCTION "${schema}".look() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          INSERT INTO "${schema}".seen VALUES (NEW.sequence_number, current_setting('synchronous_commit'));
          RETURN NULL;
        END $$`)
      // As late as the COMMIT itself.
      yield* query(`CREATE CONSTRAINT TRIGGER look AFTER INSERT ON "${schema}".events
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "${schema}".look()`)
      yield* store.append([event("A")])
      yield* store.appendIf([event("B")], EventQuery.ofTypes("B"), null)
      expect(yield* query(`SELECT setting FROM "${schema}".seen ORDER BY number`)).toEqual([
        { setting: "on" },
        { setting: "on" }
      ])
    })
  )

  itEffect("that gives a statement little time has its appends end in time, and nothing is stored", () =>
    Effect.gen(function* () {
      const { open, query, schema } = yield* setUp({ statement_timeout: "1000" })
      const store = yield* open({ lockTimeout: 20_000 })
      const all = [yield* appended(store, "before")]
      yield* query(`SELECT pg_advisory_lock('"${schema}".events'::regclass::oid::int4, 1)`)
      const late = yield* appended(store, "too slow")
      expect(reasonOf(late)).toMatchObject({ _tag: "StoreUnavailable", code: "57014", retryable: true })
      yield* query(`SELECT pg_advisory_unlock('"${schema}".events'::regclass::oid::int4, 1)`)
      all.push(late, yield* appended(store, "after"))
      expect(reasonOf(all[2]!)).toBeUndefined()
      yield* expectTrueAnswers(query, schema, all)
    })
  )
})

/** Tables, types, functions and operators that lie, by the names of those that the store uses. */
const decoys = (schema: string, original: string): ReadonlyArray<string> => {
  const lie = (name: string, parameters: string, result: string, value: string) =>
    `CREATE FUNCTION "${schema}".${name}(${parameters}) RETURNS ${result} LANGUAGE sql AS $$ SELECT ${value} $$`
  const comparisons = (type: string) => [
    lie("never", `${type}, ${type}`, "pg_catalog.bool", "false"),
    ...["=", "<>", "<", "<=", ">", ">="].map(
      (name) =>
        `CREATE OPERATOR "${schema}".${name} (FUNCTION = "${schema}".never, LEFTARG = ${type}, RIGHTARG = ${type})`
    )
  ]
  const aggregate = (name: string, parameters: string, step: string, state: string) =>
    `CREATE AGGREGATE "${schema}".${name}(${parameters}) (SFUNC = ${step}, STYPE = ${state})`
  return [
    `CREATE SCHEMA "${schema}"`,
    ...["events", "event_index", "log", "idempotency"].map(
      (table) => `CREATE TABLE "${schema}".${table} (LIKE "${original}".${table})`
    ),
    ...["int4", "int8", "uuid", "text", "bool", "name", "oid"].flatMap((type) => comparisons(`pg_catalog.${type}`)),
    lie("octet_length", "pg_catalog.text", "pg_catalog.int4", "1000000000"),
    lie("current_setting", "pg_catalog.text", "pg_catalog.text", "'decoy'"),
    lie("pg_backend_pid", "", "pg_catalog.int4", "0"),
    lie("pg_notify", "pg_catalog.text, pg_catalog.text", "void", "NULL"),
    lie("pg_advisory_xact_lock", "pg_catalog.int4, pg_catalog.int4", "void", "NULL"),
    lie("pg_try_advisory_xact_lock_shared", "pg_catalog.int4, pg_catalog.int4", "pg_catalog.bool", "false"),
    lie("unnest", "pg_catalog.int8[]", "SETOF pg_catalog.int8", "0::bigint LIMIT 0"),
    lie("gen_random_uuid", "", "pg_catalog.uuid", "NULL::pg_catalog.uuid"),
    aggregate("sum", "pg_catalog.int4", "pg_catalog.int4larger", "pg_catalog.int4"),
    lie("shorten", "pg_catalog.text, pg_catalog.name, pg_catalog.text", "pg_catalog.text", "'decoy'"),
    aggregate("string_agg", "pg_catalog.name, pg_catalog.text", `"${schema}".shorten`, "pg_catalog.text"),
    ...["int8", "int4", "uuid"].map((type) => `CREATE DOMAIN "${schema}".${type} AS pg_catalog.text CHECK (false)`)
  ]
}

describe("a search path", () => {
  for (const [name, path] of [
    ["before pg_catalog", (decoy: string) => `"${decoy}"`],
    ["and pg_catalog last", (decoy: string) => `"${decoy}", pg_catalog`]
  ] as const) {
    itEffect(`with decoys of everything ${name} leads nowhere`, () =>
      Effect.gen(function* () {
        const original = yield* ownSchema
        yield* PostgresStore.migrate({ url: original.url, schema: original.schema })
        const decoy = yield* ownSchema
        for (const sql of decoys(decoy.schema, original.schema)) yield* decoy.query(sql)
        const { open, roleUrl, ...own } = yield* setUp({ search_path: path(decoy.schema) })
        const raw = yield* rawConnection(roleUrl)
        const isLast = name === "and pg_catalog last"
        expect(yield* raw.query("SELECT 1::bigint = 1::bigint AS is")).toEqual([{ is: !isLast }])
        expect(yield* raw.query("SELECT count(*)::bigint::pg_catalog.text AS n FROM events")).toEqual([{ n: "0" }])
        yield* behavesAsAlways(open, own)
        yield* readsLargeEvents(yield* open(), yield* open())
      })
    )
  }
})

/** More than one answer holds, found through the index. */
const readsLargeEvents = (mine: EventStore, theirs: EventStore) =>
  Effect.gen(function* () {
    const text = "x".repeat(1_000_000)
    for (const n of range(1, 10)) yield* mine.append([event("Large", { n, text }, ["large"])])
    const many = range(1, 5_000).map((n) => event("Small", n))
    const { lastSequenceNumber } = yield* mine.append(many)
    const large = EventQuery.withTags("large")
    for (const store of [mine, theirs]) {
      expect((yield* store.query(large)).eventRecords.length).toBe(10)
      const nothing = yield* store.query({ ...large, minSequenceNumber: lastSequenceNumber })
      expect(nothing.currentContextVersion).toBe(1_236)
    }
  })
