/** Options that are not allowed, and servers that cannot be reached: typed, and without a word of the connection string. */
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { inspect } from "node:util"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as pg from "pg"
import { describe, expect } from "vitest"
import { withTags } from "../../../src/stores/EventQuery.ts"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import { EventStoreError } from "../../../src/stores/EventStoreError.ts"
import type { PostgresOptions } from "../../../src/stores/postgres/PostgresStore.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { event, failsWith, logOf, numbersOf, range } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownDatabase, ownSchema, postgresUrl, rawConnection, urlWith } from "../../support/postgres.ts"

const url = "postgres://someone:topsecret@127.0.0.1:1/nowhere"
const longest = `p${"x".repeat(47)}`
const refused: ReadonlyArray<readonly [option: string, values: ReadonlyArray<unknown>]> = [
  [
    "schema",
    ["", "A", "1a", "a-b", "a.b", 'a"b', "a'b", "a b", "a;b", "ü", `${longest}x`, "x".repeat(64), "pg_catalog"].concat(
      ["pg_temp", "pg_", "a\n", "a\0", "a b"],
      [null, 5, ["a"]] as never
    )
  ],
  [
    "url",
    ["", "localhost", "mysql://a:topsecret@b/c", "topsecret", 5, null, {}, "postgres:/topsecret", " postgres://x"]
  ],
  ["maxConnections", [0, -1, 1.5, 1_001, Number.NaN, "5"]],
  ["connectTimeout", [0, -1, 0.5, "5", 86_400_001]],
  ["answerTimeout", [0, -1, 0.5, "5", 86_400_001]],
  ["lockTimeout", [0, -1, 0.5, "5", 86_400_001]],
  ["resolveTimeout", [0, -1, 0.5, "5", 86_400_001]],
  ["pollInterval", [0, -1, 0.5, Number.NaN, 1_001]],
  ["indexEvery", [0, -1, 1.5, 65_537, Number.NaN]],
  ["maxPayloadBytes", [0, -1, 1.5, Number.NaN, 67_108_865, "1", Number.POSITIVE_INFINITY]]
]

/** Everything that a failure shows of itself. */
const shown = (failure: unknown): string =>
  [String(failure), JSON.stringify(failure), inspect(failure, { depth: 20, showHidden: true, getters: true })].join(
    "\n"
  )

/** The failure to open, which is typed and shows nothing of what must not be shown. */
const failure = (options: PostgresOptions, ...secrets: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const exit = yield* Effect.exit(Effect.scoped(PostgresStore.make(options)))
    if (Exit.isSuccess(exit)) throw new Error("the store was opened")
    for (const secret of secrets) expect(shown(exit) + Cause.pretty(exit.cause)).not.toContain(secret)
    const squashed = Cause.squash(exit.cause)
    expect(squashed, shown(squashed)).toBeInstanceOf(EventStoreError)
    return (squashed as EventStoreError).reason
  })

describe("an option", () => {
  for (const [option, values] of refused) {
    itEffect(`${option} is refused when it is not allowed`, () =>
      Effect.gen(function* () {
        for (const value of values) {
          const reason = yield* failure({ url, [option]: value } as PostgresOptions, "topsecret")
          expect(reason, JSON.stringify(value)).toMatchObject({ _tag: "InvalidInput", path: `options.${option}` })
        }
      })
    )
  }

  itEffect("names one database, by a url or by a pool", () =>
    Effect.gen(function* () {
      const pool = new pg.Pool({ connectionString: url })
      for (const options of [{}, { url, pool }, { pool: undefined }] as ReadonlyArray<PostgresOptions>) {
        expect(yield* failure(options, "topsecret")).toMatchObject({ _tag: "InvalidInput", path: "options" })
        yield* failsWith("InvalidInput", PostgresStore.migrate(options))
      }
      for (const none of [{}, null, 5, "pool"]) {
        expect(yield* failure({ pool: none as never })).toMatchObject({ _tag: "InvalidInput", path: "options.pool" })
      }
    })
  )

  itEffect("is refused as well where only the schema is migrated", () =>
    Effect.gen(function* () {
      for (const options of [{ url, schema: 'a"b' }, { url, maxConnections: 0 }, { url: "topsecret" }]) {
        const reason = yield* failsWith("InvalidInput", PostgresStore.migrate(options))
        expect(shown(reason)).not.toContain("topsecret")
      }
    })
  )

  itEffect("takes the most and the least that is allowed", () =>
    Effect.gen(function* () {
      const { url: own } = yield* ownDatabase
      for (const options of [
        { schema: longest, maxConnections: 1, pollInterval: 1, indexEvery: 1, maxPayloadBytes: 9 },
        {
          schema: "_",
          maxConnections: 1_000,
          lockTimeout: 86_400_000,
          indexEvery: 65_536,
          maxPayloadBytes: 67_108_864
        },
        { schema: "select" },
        { schema: "public" }
      ]) {
        const store = yield* PostgresStore.make({ url: own, ...options })
        yield* store.append([event("A")])
        expect(yield* logOf(store)).toHaveLength(1)
      }
    })
  )
})

describe("a connection string that the driver cannot read", () => {
  const unreadable = [
    "postgres://someone:topsecret@host:notaport/db",
    "postgres://someone:topsecret@[::1/db",
    "postgres://someone:topsecret@host:99999999/db",
    "postgres://someone:topsecret@host/db?sslmode=verify-full&sslrootcert=/nowhere/topsecret.pem"
  ]
  for (const text of unreadable) {
    itEffect(`is InvalidInput and not shown: ${text.replaceAll("topsecret", "...")}`, () =>
      Effect.gen(function* () {
        expect(yield* failure({ url: text }, "topsecret", text)).toMatchObject({
          _tag: "InvalidInput",
          path: "options.url"
        })
        const pool = new pg.Pool({ connectionString: text })
        expect(yield* failure({ pool, listen: false }, "topsecret")).toMatchObject({ _tag: "StoreUnavailable" })
      })
    )
  }
})

describe("a server that cannot be used", () => {
  itEffect("because nobody listens, is StoreUnavailable and may be tried again", () =>
    Effect.gen(function* () {
      const reason = yield* failure({ url }, "topsecret", "someone", "127.0.0.1")
      expect(reason).toMatchObject({ _tag: "StoreUnavailable", code: "ECONNREFUSED", retryable: true })
    })
  )

  itEffect(
    "because it never answers, is given up after connectTimeout, with an own pool and with the application's",
    () =>
      Effect.gen(function* () {
        const silent = createServer(() => undefined)
        yield* Effect.acquireRelease(
          Effect.callback<void>((resume) => void silent.listen(0, "127.0.0.1", () => resume(Effect.void))),
          () => Effect.sync(() => silent.close())
        )
        const { port } = silent.address() as AddressInfo
        const there = `postgres://someone:topsecret@127.0.0.1:${port}/db`
        const pool = new pg.Pool({ connectionString: there })
        for (const database of [{ url: there }, { pool }]) {
          const reason = yield* failure({ ...database, connectTimeout: 50 }, "topsecret", "someone")
          expect(reason).toMatchObject({ _tag: "StoreUnavailable", retryable: true, mayHaveCommitted: false })
        }
      })
  )

  itEffect("because the password, the user or the database is wrong, is StoreUnavailable for good", () =>
    Effect.gen(function* () {
      const right = yield* postgresUrl
      const { password } = new URL(right)
      const wrong: ReadonlyArray<readonly [parts: Parameters<typeof urlWith>[1], code: string]> = [
        [{ password: "topsecret" }, "28P01"],
        [{ user: "topsecret_user" }, "28P01"],
        [{ database: "topsecret_database" }, "3D000"]
      ]
      for (const [parts, code] of wrong) {
        const reason = yield* failure({ url: urlWith(right, parts) }, "topsecret", password)
        expect(reason).toMatchObject({ _tag: "StoreUnavailable", code, retryable: false })
      }
    })
  )
})

describe("the application's own pool", () => {
  itEffect("is enough with one connection, whatever parsers it has, and is not ended by the store", () =>
    Effect.gen(function* () {
      const { schema, url: own } = yield* ownSchema
      const pool = new pg.Pool({
        connectionString: own,
        max: 1,
        types: { getTypeParser: () => () => "parsed" } as never
      })
      yield* Effect.addFinalizer(() => Effect.promise(() => pool.end()))
      for (const number of [1, 2]) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const store = yield* PostgresStore.make({ pool, schema, indexEvery: 1 })
            const { lastSequenceNumber } = yield* store.append([event("A", number)])
            expect(lastSequenceNumber).toBe(number)
            expect((yield* logOf(store)).map((record) => record.payload)).toEqual([1, 2].slice(0, number))
          })
        )
      }
      expect(pool.listenerCount("error")).toBe(0)
      const { query } = yield* rawConnection(own)
      expect((yield* query(`SELECT FROM "${schema}".events`)).length).toBe(2)
      expect((yield* Effect.promise(() => pool.query("SELECT 1"))).rowCount).toBe(1)
    })
  )

  /** Appends, checks and reads a few times; the log is as it should be. */
  const works = (store: EventStore) =>
    Effect.gen(function* () {
      for (const number of range(1, 4)) {
        yield* store.append([event("A", { number, text: "\\ 'a' \u00fc" }, ["a"])])
        yield* store.appendIf([event("B", number, ["b"])], withTags("b"), number === 1 ? null : 2 * number - 2)
        yield* failsWith("ConditionalAppendConflict", store.appendIf([event("C")], withTags("b"), null))
        expect((yield* store.query(withTags("a"))).eventRecords).toHaveLength(number)
      }
      expect(numbersOf(yield* logOf(store))).toEqual(range(1, 8))
    })

  const settings: ReadonlyArray<string> = [
    "default_transaction_isolation=serializable",
    "default_transaction_isolation=repeatable\\ read",
    "default_transaction_read_only=on",
    "search_path=nowhere",
    "standard_conforming_strings=off",
    "array_nulls=off",
    "plan_cache_mode=force_generic_plan",
    "synchronous_commit=off",
    "row_security=off"
  ]
  for (const setting of settings) {
    itEffect(`may have set ${setting.replaceAll("\\", "")}`, () =>
      Effect.gen(function* () {
        const { schema, url: own } = yield* ownSchema
        const pool = new pg.Pool({ connectionString: own, max: 2, options: `-c ${setting}` })
        yield* Effect.addFinalizer(() => Effect.promise(() => pool.end()))
        yield* works(yield* PostgresStore.make({ pool, schema, indexEvery: 2, listen: false }))
      })
    )
  }

  itEffect("may lose prepared statements, as it does behind a pooler that hands connections around", () =>
    Effect.gen(function* () {
      const { schema, url: own } = yield* ownSchema
      const pool = new pg.Pool({ connectionString: own, max: 1 })
      yield* Effect.addFinalizer(() => Effect.promise(() => pool.end()))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const store = yield* PostgresStore.make({ pool, schema, listen: false })
          yield* store.append([event("Before")])
          yield* Effect.promise(() => pool.query("DEALLOCATE ALL"))
          yield* store.append([event("After")])
          yield* Effect.promise(() => pool.query("DEALLOCATE ALL"))
          expect(yield* logOf(store)).toHaveLength(2)
        })
      )
      // Somebody else's statements of the same names are on this connection.
      const other = new pg.Pool({ connectionString: own, max: 1 })
      yield* Effect.addFinalizer(() => Effect.promise(() => other.end()))
      for (const name of ["append", "read"]) {
        yield* Effect.promise(() => other.query(`PREPARE "${schema}_${name}" AS SELECT 1`))
      }
      const store = yield* PostgresStore.make({ pool: other, schema, listen: false })
      yield* store.append([event("Third")])
      expect(yield* logOf(store)).toHaveLength(3)
    })
  )
})
