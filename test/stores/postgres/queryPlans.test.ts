/**
 * The plans of the statements that matter, as the server really makes them: `auto_explain` reports each of them, those inside the
 * functions too, on a log of 20,000 events, fresh, with statistics, and with statistics that mislead. Nothing scans a table.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as pg from "pg"
import { describe, expect } from "vitest"
import * as Query from "../../../src/stores/EventQuery.ts"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import { event, numbersOf, range } from "../../../src/testing/conformance/expectations.ts"
import { statements } from "../../../src/stores/postgres/statements.ts"
import { itEffect } from "../../support/it.ts"
import { ownLog } from "./logs.ts"

const size = 20_000

/** Whatever the planner may be told of the tables. */
const statistics: ReadonlyArray<readonly [name: string, ...sql: ReadonlyArray<string>]> = [
  ["without statistics"],
  ["with statistics", "ANALYZE events", "ANALYZE event_index", "ANALYZE log"],
  [
    "with statistics of tables that were empty",
    "UPDATE pg_class SET relpages = 0, reltuples = 0 WHERE oid IN ('events'::regclass, 'event_index'::regclass)"
  ],
  [
    "with statistics that say there is one event",
    "UPDATE pg_class SET relpages = 1000, reltuples = 1 WHERE oid IN ('events'::regclass, 'event_index'::regclass)"
  ]
]

interface Node {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Index Name"?: string
  readonly "Index Cond"?: string
  readonly Plans?: ReadonlyArray<Node>
}

interface Plan {
  readonly query: string
  readonly nodes: ReadonlyArray<Node>
}

/** A pool on which every statement's plan comes as a notice. */
const explainedPool = (url: string, plans: Array<Plan>): Effect.Effect<pg.Pool, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const pool = new pg.Pool({ connectionString: url, max: 1 })
      pool.on("connect", (client) => {
        client.on("notice", ({ message }) => {
          const json = /plan:\s*(\{.*)$/s.exec(message ?? "")?.[1]
          if (json === undefined) return
          const { "Query Text": query, Plan: plan } = JSON.parse(json) as { "Query Text": string; Plan: Node }
          plans.push({ query, nodes: withChildren(plan) })
        })
        void client.query("LOAD 'auto_explain'")
        void client.query(`SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
          SET auto_explain.log_format = json; SET client_min_messages = log`)
      })
      return pool
    }),
    (pool) => Effect.promise(() => pool.end())
  )

const withChildren = (node: Node): ReadonlyArray<Node> => [node, ...(node.Plans ?? []).flatMap(withChildren)]

/** 20,000 events, written and indexed as the store does it, but by one statement. */
const fill = (schema: string) => `
INSERT INTO "${schema}".events
SELECT n, gen_random_uuid(), e.event_type, 1, '{"number":' || n || '}', e.tags, '{}', e.occurred_at, n, e.keys || ARRAY[n, n % 100]
FROM "${schema}".events AS e, generate_series(2, ${size}) AS n WHERE e.sequence_number = 1`

const prepared = (...sql: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const log = yield* ownLog
    const first = yield* log.open()
    yield* first.append([event("Counted", { number: 1 }, ["all"])])
    yield* log.query(`ALTER TABLE "${log.schema}".events SET (autovacuum_enabled = off)`)
    yield* log.query(`ALTER TABLE "${log.schema}".event_index SET (autovacuum_enabled = off)`)
    yield* log.query(fill(log.schema))
    yield* log.query(`SELECT "${log.schema}".write_index(${size - 500})`)
    yield* log.query(`SET search_path = "${log.schema}"`)
    for (const statement of sql) yield* log.query(statement)
    const plans: Array<Plan> = []
    const pool = yield* explainedPool(log.url, plans)
    const store = yield* log.open({ url: undefined, pool, listen: false, indexEvery: 65_536 })
    return { ...log, plans, pool, store }
  })

/** Everything that a store asks for, often enough that plans are kept. */
const work = (store: EventStore, other: EventStore) =>
  Effect.gen(function* () {
    for (const round of range(1, 8)) {
      const one = Query.withPayload({ number: round })
      yield* store.query(Query.withTags(`none:${round}`))
      yield* store.query(Query.or(one, Query.make({ eventTypes: ["Counted"], tags: [`none:${round}`] })))
      yield* store.appendIf([event("Sold", { round }, [`round:${round}`])], Query.withTags(`round:${round}`), null)
      const { headSequenceNumber } = yield* store.query(Query.withTags("x"))
      yield* other.append(range(1, 5).map(() => event("Other", { round }, ["other"])))
      const options = { headSequenceNumber: headSequenceNumber! }
      yield* store.appendIf([event("Sold", { round })], Query.withTags(`seat:${round}`), null, options)
      yield* store.append([{ ...event("Given"), eventId: `0192f0c1-2a3b-7c4d-8e5f-60718293a4b${round}` }])
      yield* store.query(Query.after(Query.all, size - 300 * round))
    }
    const { eventRecords } = yield* store.query(Query.withTags("all"))
    return numbersOf(eventRecords)
  })

/** Events by their numbers and by their ids, as they are asked for where an answer was cut off, or lost. */
const lookUp = (pool: pg.Pool, schema: string) =>
  Effect.forEach(range(1, 10), (round) =>
    Effect.promise(async () => {
      const { at, byIds } = statements(schema)
      const numbers = range(1, round % 2 === 0 ? 1_000 : 3).map((number) => number * 7)
      const { rows } = await pool.query({ ...at, values: [numbers] })
      expect(rows.map((row: { sequence_number: string }) => Number(row.sequence_number))).toEqual(numbers)
      const ids = rows.slice(0, 50).map((row: { event_id: string }) => row.event_id)
      expect((await pool.query({ ...byIds, values: [ids] })).rowCount).toBe(ids.length)
    })
  )

const relation = (node: Node) => node["Relation Name"]
const isScanOf = (node: Node, name: string) => node["Node Type"] === "Seq Scan" && relation(node) === name

describe("on a log of 20,000 events", () => {
  for (const [name, ...sql] of statistics) {
    itEffect(`${name}, reads and appends go by the index, the primary key and the unique index of ids alone`, () =>
      Effect.gen(function* () {
        const { open, plans, pool, schema, store } = yield* prepared(...sql)
        expect(yield* work(store, yield* open({ indexEvery: 65_536 }))).toEqual(range(1, size))
        yield* lookUp(pool, schema)
        for (const table of ["events", "event_index"]) {
          const scans = plans.filter(({ nodes }) => nodes.some((node) => isScanOf(node, table)))
          expect(scans, `scans of ${table}`).toEqual([])
        }
        const indexes = (part: string) => {
          const found = plans.filter(({ query }) => query.includes(part))
          expect(found.length, part).toBeGreaterThanOrEqual(8)
          return found.map(({ nodes }) => [...new Set(nodes.flatMap((node) => node["Index Name"] ?? []))].toSorted())
        }
        const allGoBy = (part: string, ...expected: ReadonlyArray<string>) => {
          for (const used of indexes(part)) expect(used, part).toEqual(expected)
        }
        // What `read` does: the log's end, the newest events, candidates with their events.
        allGoBy("ORDER BY e.sequence_number DESC LIMIT 1", "events_pkey")
        allGoBy("greatest(known_head, through) + most_newer", "events_pkey")
        allGoBy("x.keys @> a.all_of", "event_index_keys")
        const joins = plans.filter(({ query }) => query.includes("e.ctid = ANY (places"))
        expect(joins.length).toBeGreaterThanOrEqual(8)
        expect(joins.every(({ nodes }) => nodes.some((node) => node["Node Type"] === "Tid Scan"))).toBe(true)
        // What `append` does: the newest events, given ids.
        allGoBy("WITH newer AS MATERIALIZED", "events_pkey")
        allGoBy("e.event_id = ANY (given_ids)", "events_event_id_key", "idempotency_pkey")
        // What is asked for beside the functions.
        allGoBy("e.sequence_number OPERATOR(pg_catalog.<=) $2", "events_pkey")
        allGoBy("x.sequence_number OPERATOR(pg_catalog.=) n.number", "events_pkey")
        allGoBy("e.event_id OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.uuid[])", "events_event_id_key")
      })
    )
  }
})
