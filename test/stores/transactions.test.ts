/** Transactions in the store's own database: all or nothing, whatever ends the work, and nothing is left behind by it. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import type { EventStore } from "../../src/stores/EventStore.ts"
import { EventStoreError } from "../../src/stores/EventStoreError.ts"
import type { SqlRow, SqlTransaction, SqlValue } from "../../src/stores/Transaction.ts"
import { SqlError } from "../../src/stores/Transaction.ts"
import type { Transaction } from "../../src/stores/Workspace.ts"
import { event, inTime, range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"

const claim = { cursor: "mine", query: "all", start: 0, owner: "me", leaseMs: 60_000 }

const claimed = (store: EventStore) =>
  Effect.map(
    store.workspace.transaction(({ cursors }) => cursors.read(["mine"])),
    (rows) => rows.length === 1
  )

class WorkFailed extends Error {}

/** How work may end that is not to be committed. */
const endings: ReadonlyArray<
  readonly [name: string, end: (started: Deferred.Deferred<void>) => Effect.Effect<void, WorkFailed>]
> = [
  ["fails", () => Effect.fail(new WorkFailed())],
  ["dies", () => Effect.die(new WorkFailed())],
  [
    "throws",
    () =>
      Effect.suspend((): Effect.Effect<void> => {
        throw new WorkFailed()
      })
  ],
  ["is interrupted", (started) => Effect.andThen(Deferred.succeed(started, undefined), Effect.never)],
  ["interrupts itself", () => Effect.interrupt]
]

for (const { make, name } of stores) {
  describe(`a transaction on ${name}`, () => {
    itEffect("is committed when its work succeeds, and gives what that gives", () =>
      Effect.gen(function* () {
        const store = yield* make
        const given = yield* store.workspace.transaction(({ cursors }) => Effect.as(cursors.claim(claim), "given"))
        expect([given, yield* claimed(store)]).toEqual(["given", true])
      })
    )

    for (const [how, end] of endings) {
      itEffect(`is undone when its work ${how}, and the next ones find everything free`, () =>
        Effect.gen(function* () {
          const store = yield* make
          // More often than there are connections.
          for (const _ of range(1, 8)) {
            const started = yield* Deferred.make<void>()
            const transaction = store.workspace.transaction(({ cursors }) =>
              Effect.andThen(cursors.claim(claim), end(started))
            )
            const fiber = yield* Effect.forkChild(transaction)
            if (how === "is interrupted") {
              yield* inTime(Deferred.await(started), "the work starts")
              yield* inTime(Fiber.interrupt(fiber), "the transaction ends")
            }
            expect(Exit.isFailure(yield* inTime(Fiber.await(fiber), "the transaction ends"))).toBe(true)
          }
          expect(yield* inTime(claimed(store), "the next transaction")).toBe(false)
          yield* inTime(store.append([event("Counted")]), "an append")
        })
      )
    }

    itEffect("that is interrupted at any moment leaves nothing behind", () =>
      Effect.gen(function* () {
        const store = yield* make
        yield* claimed(store)
        for (const turns of range(0, 14)) {
          const fiber = yield* Effect.forkChild(
            store.workspace.transaction(({ cursors }) => Effect.andThen(cursors.claim(claim), Effect.fail("undone"))),
            { startImmediately: true }
          )
          yield* Effect.forEach(range(1, turns), () => Effect.yieldNow)
          yield* inTime(Fiber.interrupt(fiber), "the transaction ends")
        }
        expect(yield* inTime(claimed(store), "the next transaction")).toBe(false)
        yield* inTime(store.append([event("Counted")]), "an append")
      })
    )

    itEffect("refuses what comes after its end", () =>
      Effect.gen(function* () {
        const store = yield* make
        let leaked: Transaction | undefined
        yield* store.workspace.transaction((transaction) => Effect.sync(() => void (leaked = transaction)))
        const ended = { reason: { _tag: "StoreUnavailable", code: "NO_TRANSACTION", retryable: false } }
        expect(yield* Effect.flip(leaked!.cursors.claim(claim))).toMatchObject(ended)
        if (leaked!.sql !== undefined) expect(yield* Effect.flip(leaked!.sql.execute("SELECT 1"))).toMatchObject(ended)
        // Also while somebody else's is under way on the same connection.
        yield* store.workspace.transaction(() =>
          Effect.map(Effect.flip(leaked!.cursors.claim(claim)), (error) => expect(error).toMatchObject(ended))
        )
        expect(yield* claimed(store)).toBe(false)
      })
    )

    itEffect("refuses another one within it at once, and is committed all the same", () =>
      Effect.gen(function* () {
        const store = yield* make
        const { workspace } = store
        const other = yield* make
        const begun = workspace.transaction(() => Effect.void)
        const refused = {
          reason: {
            _tag: "InvalidInput",
            path: "transaction",
            problem: expect.stringContaining("use the one that the work was given")
          }
        }
        const nested = [
          begun,
          Effect.flatMap(Effect.forkChild(begun), Fiber.join),
          other.workspace.transaction(() => begun),
          store.streamAllDurable({ name: "mail" }, () => Effect.void)
        ]
        for (const within of nested) {
          const error = yield* inTime(
            workspace.transaction(({ cursors }) => Effect.andThen(cursors.claim(claim), Effect.flip(within))),
            "it is refused"
          )
          expect(error).toMatchObject(refused)
        }
        expect(yield* claimed(store)).toBe(true)
        // What is of another store does not wait for this one.
        yield* inTime(
          workspace.transaction(() => claimed(other)),
          "a transaction of another store"
        )
      })
    )

    itEffect("that is over refuses nothing to fibers that were begun within it", () =>
      Effect.gen(function* () {
        const store = yield* make
        const isOver = yield* Deferred.make<void>()
        const begun = store.workspace.transaction(({ cursors }) => cursors.claim(claim))
        const later = yield* store.workspace.transaction(() =>
          Effect.forkDetach(Effect.andThen(Deferred.await(isOver), begun), { startImmediately: true })
        )
        yield* Effect.exit(store.workspace.transaction(() => Effect.fail("undone")))
        yield* Deferred.succeed(isOver, undefined)
        expect(yield* inTime(Fiber.join(later), "the later transaction")).toMatchObject({ _tag: "Held" })
      })
    )

    itEffect("can be prepared before it is begun, and is refused when the store is closed meanwhile", () =>
      Effect.gen(function* () {
        const transaction = yield* Effect.scoped(
          Effect.map(make, ({ workspace }) => workspace.transaction(({ cursors }) => cursors.claim(claim)))
        )
        const error = yield* Effect.flip(transaction)
        expect(error.reason._tag).toBe("StoreClosed")
      })
    )
  })
}

/** The parameters that there are, and what comes back. */
const values: ReadonlyArray<readonly [sqlite: string, postgres: string, value: SqlValue]> = [
  ["TEXT", "text", ""],
  ["TEXT", "text", 'O\'Brien; -- \u{1f3ab} \\ "$1"'],
  ["TEXT", "text", "e\u0301"],
  ["TEXT", "text", null],
  ["INTEGER", "int8", 0],
  ["INTEGER", "int8", -1],
  ["INTEGER", "int8", Number.MAX_SAFE_INTEGER],
  ["INTEGER", "int8", Number.MIN_SAFE_INTEGER],
  ["INTEGER", "int8", 2n ** 53n],
  ["INTEGER", "int8", -(2n ** 53n)],
  ["INTEGER", "int8", 2n ** 63n - 1n],
  ["INTEGER", "int8", -(2n ** 63n)],
  ["INTEGER", "int4", 7],
  ["REAL", "float8", 0.1 + 0.2],
  ["REAL", "float8", 5e-324],
  ["REAL", "float8", -1.7976931348623157e308],
  ["BLOB", "bytea", new Uint8Array([0, 1, 127, 128, 255])],
  ["BLOB", "bytea", new Uint8Array()],
  ["INTEGER", "bool", true],
  ["INTEGER", "bool", false]
]

/** Bytes are compared as numbers: a driver gives its own kind of array. */
const plain = (value: unknown): unknown => (value instanceof Uint8Array ? ["bytes", ...value] : value)

for (const { make, name } of stores.filter((store) => store.name === "sqlite" || store.name === "postgres")) {
  const isSqlite = name === "sqlite"
  /** Runs SQL in a transaction of its own, in which `"mine"` is a table of the application's. */
  const onTable = <A, E>(work: (sql: SqlTransaction, store: EventStore) => Effect.Effect<A, E>) =>
    Effect.gen(function* () {
      const store = yield* make
      return yield* store.workspace.transaction(({ sql }) =>
        Effect.andThen(
          sql!.execute(`CREATE ${isSqlite ? "" : "TEMP "}TABLE mine (id int PRIMARY KEY, note text NOT NULL)`),
          work(sql!, store)
        )
      )
    })

  describe(`SQL in a transaction on ${name}`, () => {
    itEffect("takes and gives every kind of value", () =>
      Effect.gen(function* () {
        const store = yield* make
        for (const [sqlite, postgres, value] of values) {
          const type = isSqlite ? sqlite : postgres
          const rows: ReadonlyArray<SqlRow> = yield* store.workspace.transaction(({ sql }) =>
            Effect.gen(function* () {
              yield* sql!.execute(`CREATE ${isSqlite ? "" : "TEMP "}TABLE mine (value ${type}, same int)`)
              yield* sql!.execute("INSERT INTO mine VALUES ($1, CASE WHEN $2 = 'yes' THEN 1 END)", [value, "yes"])
              const found = yield* sql!.execute("SELECT value, same FROM mine")
              yield* sql!.execute("DROP TABLE mine")
              return found
            })
          )
          const expected = isSqlite && typeof value === "boolean" ? Number(value) : value
          expect(
            rows.map((row) => [plain(row["value"]), row["same"]]),
            `${type} ${String(value)}`
          ).toEqual([[plain(expected), 1]])
        }
      })
    )

    itEffect("gives rows by the names of their columns, and none where there are none", () =>
      Effect.gen(function* () {
        const given = yield* onTable((sql) =>
          Effect.gen(function* () {
            const written = yield* sql.execute("INSERT INTO mine VALUES ($1, $2), ($3, $2)", [1, "a", 2])
            const returned = yield* sql.execute("UPDATE mine SET note = $2 WHERE id = $1 RETURNING id, note", [2, "b"])
            const read = yield* sql.execute("SELECT id, note FROM mine ORDER BY id")
            return { written, returned, read }
          })
        )
        expect(given).toEqual({
          written: [],
          returned: [{ id: 2, note: "b" }],
          read: [
            { id: 1, note: "a" },
            { id: 2, note: "b" }
          ]
        })
      })
    )

    itEffect("fails with SqlError, which has a code and shows no value", () =>
      Effect.gen(function* () {
        for (const [text, parameters, code] of [
          ["INSERT INTO mine VALUES ($1, $2)", [7, null], isSqlite ? "SQLITE_CONSTRAINT_NOTNULL" : "23502"],
          [
            "INSERT INTO mine VALUES ($1, $2), ($1, $2)",
            [7, "secret"],
            isSqlite ? "SQLITE_CONSTRAINT_PRIMARYKEY" : "23505"
          ],
          ["SELECT nothing FROM mine", [], isSqlite ? "SQLITE_ERROR" : "42703"],
          ["this is secret", [], isSqlite ? "SQLITE_ERROR" : "42601"]
        ] as const) {
          const error = yield* Effect.flip(onTable((sql) => sql.execute(text, parameters)))
          expect(error, text).toBeInstanceOf(SqlError)
          expect((error as SqlError).code).toBe(code)
          expect((error as SqlError).cause, "the driver's own error").toBeInstanceOf(Error)
          expect(`${(error as SqlError).message} ${JSON.stringify(error)} ${String(error)}`).not.toMatch(/secret|mine/)
        }
      })
    )

    itEffect("may not end the transaction by itself", () =>
      Effect.gen(function* () {
        for (const end of ["COMMIT", "ROLLBACK"]) {
          const store = yield* make
          const isEnded = (error: unknown) => {
            expect(error, end).toBeInstanceOf(EventStoreError)
            expect((error as EventStoreError).reason).toMatchObject({ code: "NO_TRANSACTION", retryable: false })
          }
          const work = store.workspace.transaction(({ cursors, sql }) =>
            Effect.gen(function* () {
              isEnded(yield* Effect.flip(sql!.execute(end)))
              // Otherwise this would be committed by itself.
              isEnded(yield* Effect.flip(cursors.claim(claim)))
              isEnded(yield* Effect.flip(sql!.execute("SELECT 1")))
            })
          )
          isEnded(yield* Effect.flip(work))
          expect(yield* claimed(store)).toBe(false)
        }
      })
    )

    itEffect("is undone with the cursors and they with it", () =>
      Effect.gen(function* () {
        const store = yield* make
        const table = isSqlite ? "mine" : "pg_temp.mine"
        const error = yield* Effect.flip(
          store.workspace.transaction(({ cursors, sql }) =>
            Effect.gen(function* () {
              yield* sql!.execute(`CREATE TABLE ${table} (id int)`)
              yield* cursors.claim(claim)
              return yield* Effect.fail("undone")
            })
          )
        )
        expect(error).toBe("undone")
        expect(yield* claimed(store)).toBe(false)
        const gone = store.workspace.transaction(({ sql }) => sql!.execute(`SELECT * FROM ${table}`))
        expect(yield* Effect.flip(gone)).toBeInstanceOf(SqlError)
      })
    )
  })
}
