/** Logs in schemas of their own, and raw connections that do with them what no store would. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as pg from "pg"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import type { EventStoreError } from "../../../src/stores/EventStoreError.ts"
import type { PostgresOptions } from "../../../src/stores/postgres/PostgresStore.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { inTime } from "../../../src/testing/conformance/expectations.ts"
import type { OwnSchema, RawQuery } from "../../support/postgres.ts"
import { ownSchema } from "../../support/postgres.ts"

/** A name for a log of one's own; every `open` is another store on it, with a pool of its own. */
export interface Log extends OwnSchema {
  readonly open: (options?: PostgresOptions) => Effect.Effect<EventStore, EventStoreError, Scope.Scope>
  /** Changes rows behind everybody's back: without the trigger that refuses it, which is there again afterwards. */
  readonly tamper: (...sql: ReadonlyArray<string>) => Effect.Effect<void>
}

/** In the SQL of `tamper`, tables are named without their schema. */
export const ownLog: Effect.Effect<Log, never, Scope.Scope> = Effect.map(ownSchema, (own) => ({
  ...own,
  open: (options) => PostgresStore.make({ url: own.url, schema: own.schema, ...options }),
  tamper: (...sql) =>
    Effect.orDie(
      Effect.forEach(
        [
          "BEGIN",
          `SET LOCAL search_path = "${own.schema}"`,
          "ALTER TABLE events DISABLE TRIGGER events_append_only",
          ...sql,
          "ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only",
          "COMMIT"
        ],
        (statement) => own.query(statement),
        { discard: true }
      )
    )
}))

/** An application's own pool; stores on it that do not listen are opened in no time. */
export const applicationPool = (url: string): Effect.Effect<pg.Pool, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new pg.Pool({ connectionString: url, max: 3 })),
    (pool) => Effect.promise(() => pool.end())
  )

/** Waits until the index in the database reaches so far. */
export const indexedThrough = (query: RawQuery, schema: string, through: number): Effect.Effect<void> =>
  inTime(
    Effect.gen(function* () {
      while (true) {
        const [row] = yield* Effect.orDie(
          query<{ through: string }>(`SELECT indexed_through AS through FROM "${schema}".log`)
        )
        if (Number(row!.through) >= through) return
        yield* Effect.sleep("2 millis")
      }
    }),
    `the index reaches ${through}`
  )
