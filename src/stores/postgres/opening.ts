/** Opens the database: on the application's pool, or on one of the store's own that ends with the scope. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as pg from "pg"
import { InvalidInput } from "../EventStoreError.ts"
import { Database } from "./Database.ts"
import type { ClientPool } from "./driver.ts"
import type { DatabaseSettings } from "./options.ts"

/** The application's pool, or one of the store's own that ends with the scope. */
export const openDatabase = (settings: DatabaseSettings): Effect.Effect<Database, InvalidInput, Scope.Scope> =>
  Effect.andThen(checkUrl(settings), poolOf(settings))

/** What the driver says of a connection string that it cannot read may quote it. */
const checkUrl = ({ url }: DatabaseSettings): Effect.Effect<void, InvalidInput> =>
  Effect.try({
    try: () => (url === undefined ? undefined : new pg.Client({ connectionString: url })),
    catch: () =>
      new InvalidInput({ path: "options.url", problem: "expected a connection string that the driver can read" })
  }).pipe(Effect.asVoid)

const poolOf = (settings: DatabaseSettings): Effect.Effect<Database, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const own = settings.pool === undefined ? ownPool(settings) : undefined
        const pool: ClientPool = settings.pool ?? own!
        pool.on("error", ignore)
        return { own, pool, database: new Database(pool, settings) }
      }),
      ({ database, own, pool }) =>
        Effect.callback<void>((resume) => {
          if (own === undefined) {
            pool.removeListener("error", ignore)
            return resume(Effect.void)
          }
          const ended = () => resume(Effect.void)
          own.end().then(ended, ended)
          // It may be what closes the store.
          if (database.isWorking) ended()
        })
    ),
    ({ database }) => database
  )

const ownPool = ({ connectTimeout, maxConnections, url }: DatabaseSettings): pg.Pool =>
  new pg.Pool({
    connectionString: url,
    max: maxConnections,
    connectionTimeoutMillis: connectTimeout,
    keepAlive: true,
    application_name: "evolvent"
  })

/** A broken connection shows in the query at hand. */
const ignore = (): void => {}
