/**
 * What tests need of PostgreSQL: the run's server, and in it a schema, a database or a role of one's own, each gone with the
 * scope; raw connections to look behind a store's back; and a server of one's own that may be stopped. Databases and roles need
 * a superuser.
 */
import { randomBytes } from "node:crypto"
import type { Socket } from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as pg from "pg"
import { inject } from "vitest"
import type { EmbeddedPostgres, EmbeddedPostgresOptions } from "../../examples/tickets/embeddedPostgres.ts"
import { embeddedPostgres } from "../../examples/tickets/embeddedPostgres.ts"
import type { EmbeddedPostgresError } from "../../examples/tickets/postgresPrograms.ts"

let answer: Promise<string> | undefined

const ask = async (): Promise<string> => {
  const response = await fetch(inject("postgresServer"))
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return text
}

/** The run's server, started if nobody has asked before. */
export const postgresUrl: Effect.Effect<string> = Effect.promise(() => (answer ??= ask()))

let names = 0

/** Nobody else's name, in this run or in another one on the same server: a valid schema option, 17 characters or more. */
export const freshName = (): string => `test_${randomBytes(5).toString("hex")}_${names++}`

/** The same URL with another database, user or password. */
export const urlWith = (
  url: string,
  parts: { readonly database?: string; readonly user?: string; readonly password?: string }
): string => {
  const changed = new URL(url)
  if (parts.database !== undefined) changed.pathname = `/${encodeURIComponent(parts.database)}`
  if (parts.user !== undefined) changed.username = encodeURIComponent(parts.user)
  if (parts.password !== undefined) changed.password = encodeURIComponent(parts.password)
  return changed.href
}

/** Rows as objects, or the driver's error. */
export type RawQuery = <Row extends object = Record<string, unknown>>(
  sql: string,
  parameters?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<Row>, pg.DatabaseError>

export interface RawConnection {
  readonly client: pg.Client
  readonly query: RawQuery
}

/** One connection of one's own, closed with the scope. The server may end it: then its queries fail, and nothing else. */
export const rawConnection = (
  url: string,
  config: pg.ClientConfig = {}
): Effect.Effect<RawConnection, pg.DatabaseError, Scope.Scope> =>
  Effect.gen(function* () {
    const client = new pg.Client({ ...config, connectionString: url })
    client.on("error", () => {})
    yield* Effect.addFinalizer(() => end(client))
    yield* attempt(() => client.connect())
    return { client, query: queryOf(client) }
  })

/** Says farewell; a server that does not answer it is not waited for. */
const end = (client: pg.Client): Effect.Effect<void> =>
  Effect.timeoutOrElse(
    Effect.promise(() => client.end()),
    {
      duration: "250 millis",
      orElse: () => Effect.sync(() => streamOf(client).destroy())
    }
  )

const streamOf = (client: pg.Client): Socket =>
  (client as unknown as { readonly connection: { readonly stream: Socket } }).connection.stream

const queryOf =
  (client: pg.Client): RawQuery =>
  (sql, parameters) =>
    Effect.map(
      attempt(() => client.query(sql, parameters === undefined ? undefined : [...parameters])),
      ({ rows }) => rows as never
    )

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, pg.DatabaseError> =>
  Effect.tryPromise({ try: run, catch: (error) => error as pg.DatabaseError })

/** Each statement by itself, over a connection that is closed afterwards. */
const runAll = (url: string, ...statements: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { query } = yield* rawConnection(url)
    for (const sql of ["SET lock_timeout = '10s'", ...statements]) yield* query(sql)
  }).pipe(Effect.scoped, Effect.orDie)

export interface OwnSchema extends RawConnection {
  readonly url: string
  /** Its name: the schema itself is not there yet. */
  readonly schema: string
}

/** A name for a schema and a raw connection; whatever has been made under that name is dropped. */
export const ownSchema: Effect.Effect<OwnSchema, never, Scope.Scope> = Effect.gen(function* () {
  const url = yield* postgresUrl
  const schema = freshName()
  yield* Effect.addFinalizer(() => runAll(url, `DROP SCHEMA IF EXISTS "${schema}" CASCADE`))
  return { url, schema, ...(yield* Effect.orDie(rawConnection(url))) }
})

export interface OwnDatabase {
  readonly url: string
  readonly database: string
}

/** An empty database; dropped with force, so that connections that are left do not keep it. */
export const ownDatabase: Effect.Effect<OwnDatabase, never, Scope.Scope> = Effect.gen(function* () {
  const url = yield* postgresUrl
  const database = freshName()
  yield* Effect.acquireRelease(runAll(url, `CREATE DATABASE "${database}"`), () =>
    runAll(url, `DROP DATABASE IF EXISTS "${database}" WITH (FORCE)`)
  )
  return { url: urlWith(url, { database }), database }
})

export interface OwnRole {
  readonly url: string
  readonly role: string
}

/** A role that may log in to the database of `url`, and nothing more; dropped with all that it owns there. */
export const ownRole = (url: string): Effect.Effect<OwnRole, never, Scope.Scope> =>
  Effect.gen(function* () {
    const role = freshName()
    const password = randomBytes(12).toString("hex")
    yield* Effect.acquireRelease(runAll(url, `CREATE ROLE "${role}" LOGIN PASSWORD '${password}'`), () =>
      runAll(url, `DROP OWNED BY "${role}" CASCADE`, `DROP ROLE "${role}"`)
    )
    return { url: urlWith(url, { user: role, password }), role }
  })

export interface OwnServer extends EmbeddedPostgres {
  /** `stop`, then `start`: same port, same data. */
  readonly restart: (mode?: "fast" | "immediate") => Effect.Effect<void, EmbeddedPostgresError>
}

/** An embedded server that nobody else uses, whatever DATABASE_URL says, with PostgreSQL's own safe settings. */
export const ownServer = (
  options: EmbeddedPostgresOptions = {}
): Effect.Effect<OwnServer, EmbeddedPostgresError, Scope.Scope> =>
  Effect.map(embeddedPostgres(options), (server) => ({
    ...server,
    restart: (mode) => Effect.andThen(server.stop(mode), server.start)
  }))
