/** The raw driver that the PostgreSQL store is measured beside: the same server, durability and events. */
import type { NewEvent } from "evolvent"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as pg from "pg"

/** Inserts one row with a prepared statement, in a transaction of its own, on the worker's own connection. */
export type RawInsert = (worker: number, event: NewEvent) => Effect.Effect<unknown>

/** A table with this quoted name, and a connection for each of the workers. */
export const openRawPostgres = (
  url: string,
  table: string,
  workers: number
): Effect.Effect<RawInsert, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clients = yield* Effect.forEach(Array.from({ length: workers }), () => connected(url))
    yield* Effect.promise(() =>
      clients[0]!.query(
        `CREATE TABLE ${table} (number bigserial PRIMARY KEY, event_type text NOT NULL, payload text NOT NULL, tags text NOT NULL)`
      )
    )
    const text = `INSERT INTO ${table} (event_type, payload, tags) VALUES ($1, $2, $3)`
    return (worker, event) =>
      Effect.promise(() =>
        clients[worker]!.query({
          name: "insert",
          text,
          values: [event.eventType, JSON.stringify(event.payload), JSON.stringify(event.tags)]
        })
      )
  })

const connected = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )

/** Leaves nothing behind in a server that is not ours. */
export const dropSchema = (url: string, schema: string): Effect.Effect<void> =>
  run(url, `DROP SCHEMA "${schema}" CASCADE`)

/**
 * Does at once what a server does by and by with a log that was filled in seconds: vacuums and analyses it, and writes it to
 * disk. Else it would do so while the first rows are measured.
 */
export const settle = (url: string, schema: string): Effect.Effect<void> =>
  Effect.andThen(
    run(url, `VACUUM ANALYZE "${schema}".events, "${schema}".event_index`),
    // Not every role may ask for a checkpoint.
    Effect.exit(run(url, "CHECKPOINT"))
  ).pipe(Effect.asVoid)

const run = (url: string, statement: string): Effect.Effect<void> =>
  Effect.flatMap(connected(url), (client) => Effect.promise(() => client.query(statement))).pipe(
    Effect.scoped,
    Effect.asVoid
  )
