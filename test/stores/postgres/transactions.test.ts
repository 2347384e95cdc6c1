/** Transactions on PostgreSQL: what the server ends, what the application's roles are set to, and what becomes of the connections. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { describe, expect } from "vitest"
import { EventStoreError } from "../../../src/stores/EventStoreError.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { SqlError } from "../../../src/stores/Transaction.ts"
import { event, eventuallyState, failsWith, inTime, range } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownSchema } from "../../support/postgres.ts"
import { atMessage, proxyTo } from "../../support/postgresProxy.ts"
import { applicationPool, ownLog } from "./logs.ts"
import { roleWith } from "./roles.ts"

describe("a transaction", () => {
  itEffect("whose process says nothing for idleMs is ended by the server, and holds no lock any more", () =>
    Effect.gen(function* () {
      const { open, query, schema } = yield* ownLog
      const store = yield* open({ listen: false })
      const table = `"${schema}".mine`
      yield* query(`CREATE TABLE ${table} AS SELECT 1 AS id, 'free' AS holder`)
      // As if it were frozen: the row stays locked.
      const frozen = store.workspace.transaction(
        ({ sql }) =>
          Effect.gen(function* () {
            yield* sql!.execute(`UPDATE ${table} SET holder = 'frozen'`)
            yield* inTime(query(`UPDATE ${table} SET holder = 'other'`), "the other one gets the lock")
            yield* sql!.execute(`UPDATE ${table} SET holder = 'late'`)
          }),
        { idleMs: 200 }
      )
      const { code, retryable } = yield* failsWith("StoreUnavailable", Effect.mapError(frozen, asStoreError))
      // Not an outage: the next try would take as long.
      expect([code, retryable]).toEqual(["25P03", false])
      expect(yield* query(`SELECT holder FROM ${table}`)).toEqual([{ holder: "other" }])
      yield* store.append([event("Counted")])
    })
  )

  itEffect("in which a statement has failed is over: who goes on in it meets that as a failure, not as an outage", () =>
    Effect.gen(function* () {
      const { open } = yield* ownLog
      const store = yield* open({ listen: false })
      let attempts = 0
      yield* store.append([event("Counted")])
      const following = yield* store.workspace.follow({
        cursor: "careless",
        name: "careless",
        query: {},
        start: "beginning",
        leaseMs: 5_000,
        retry: Schedule.recurs(3),
        together: false,
        deliver: (_, { moveIn }) =>
          store.workspace.transaction((transaction) =>
            Effect.gen(function* () {
              attempts++
              yield* Effect.ignore(transaction.sql!.execute("SELECT 1 / 0"))
              yield* moveIn(transaction)
            })
          )
      })
      yield* eventuallyState(following, "stopped")
      expect(attempts).toBe(4)
      expect((yield* following.status).lastError).toMatchObject({ reason: { code: "25P02", retryable: false } })
      const again = store.workspace.transaction(({ sql }) =>
        Effect.andThen(Effect.ignore(sql!.execute("SELECT 1 / 0")), sql!.execute("SELECT 1"))
      )
      expect(yield* Effect.flip(again)).toMatchObject({ _tag: "SqlError", code: "25P02" })
      // Swallowed to the end: COMMIT is answered with ROLLBACK.
      const swallowed = store.workspace.transaction(({ sql }) => Effect.ignore(sql!.execute("SELECT 1 / 0")))
      expect((yield* failsWith("StoreUnavailable", swallowed)).retryable).toBe(false)
    })
  )

  itEffect("whose statement is never answered fails in time", () =>
    Effect.gen(function* () {
      const { schema, url } = yield* ownSchema
      const proxy = yield* proxyTo(url)
      const store = yield* PostgresStore.make({ url: proxy.url, schema, listen: false, answerTimeout: 250 })
      proxy.setRule(
        atMessage(0, ({ direction, text }) => direction === "toServer" && text.includes("SELECT 4711"), {
          blackHole: "both"
        })
      )
      const lost = store.workspace.transaction(({ sql }) => sql!.execute("SELECT 4711"))
      const { code, retryable } = yield* failsWith("StoreUnavailable", Effect.mapError(lost, asStoreError))
      expect([code, retryable]).toEqual(["ANSWER_TIMEOUT", false])
      expect(yield* store.workspace.transaction(({ sql }) => sql!.execute("SELECT 1 AS one"))).toEqual([{ one: 1 }])
    })
  )

  itEffect("is read committed and gives bytes as they are, whatever the role is set to", () =>
    Effect.gen(function* () {
      const own = yield* ownSchema
      const role = yield* roleWith(own, {
        default_transaction_isolation: "'serializable'",
        default_transaction_read_only: "on",
        bytea_output: "'escape'"
      })
      yield* PostgresStore.migrate({ url: own.url, schema: own.schema })
      const store = yield* PostgresStore.make({ url: role.url, schema: own.schema, listen: false })
      const rows = yield* store.workspace.transaction(({ sql }) =>
        Effect.gen(function* () {
          yield* sql!.execute(`CREATE TABLE "${own.schema}".mine (bytes bytea)`)
          yield* sql!.execute(`INSERT INTO "${own.schema}".mine VALUES ($1)`, [new Uint8Array([0, 92, 200])])
          return yield* sql!.execute(
            `SELECT bytes, current_setting('transaction_isolation') AS isolation FROM "${own.schema}".mine`
          )
        })
      )
      expect(rows.map(({ bytes, isolation }) => [[...(bytes as Uint8Array)], isolation])).toEqual([
        [[0, 92, 200], "read committed"]
      ])
    })
  )

  itEffect("gives its connection back, or closes it where anything went wrong in it", () =>
    Effect.gen(function* () {
      const { schema, url } = yield* ownSchema
      const pool = yield* applicationPool(url)
      const store = yield* PostgresStore.make({ pool, schema, listen: false })
      for (const index of range(1, 12)) {
        const work = store.workspace.transaction(({ sql }): Effect.Effect<unknown, unknown> =>
          index % 3 === 0
            ? sql!.execute("SELECT 1 / 0")
            : index % 3 === 1
              ? sql!.execute("SELECT 1")
              : Effect.fail("no")
        )
        yield* Effect.exit(work)
        expect(pool.waitingCount).toBe(0)
        expect(pool.idleCount).toBe(pool.totalCount)
        // For the application's own queries nothing is left of the transaction.
        const { rows } = yield* Effect.promise(() => pool.query("SHOW idle_in_transaction_session_timeout"))
        expect(rows).toEqual([{ idle_in_transaction_session_timeout: "0" }])
      }
      const settings = yield* store.workspace.transaction(({ sql }) =>
        Effect.andThen(
          sql!.execute("SET LOCAL lock_timeout = '7s'"),
          sql!.execute("SELECT current_setting('lock_timeout') AS timeout")
        )
      )
      expect(settings).toEqual([{ timeout: "7s" }])
    })
  )

  itEffect("shows nothing of the database's words where it fails", () =>
    Effect.gen(function* () {
      const { open } = yield* ownLog
      const store = yield* open({ listen: false })
      const error = yield* Effect.flip(
        store.workspace.transaction(({ sql }) => sql!.execute("SELECT CAST($1 AS int)", ["a secret"]))
      )
      expect(error).toBeInstanceOf(SqlError)
      expect((error as SqlError).code).toBe("22P02")
      expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain("secret")
    })
  )
})

const asStoreError = (error: EventStoreError | SqlError | unknown): EventStoreError => {
  expect(error).toBeInstanceOf(EventStoreError)
  return error as EventStoreError
}
