/** The PostgreSQL servers of the tests themselves: what one test makes is its own, and is gone afterwards. */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import { beforeAll, describe, expect } from "vitest"
import { eventually } from "../../src/testing/conformance/expectations.ts"
import { compilePrograms, root } from "./compiled.ts"
import { itEffect } from "./it.ts"
import { freshName, ownDatabase, ownRole, ownSchema, ownServer, postgresUrl, rawConnection } from "./postgres.ts"
import { dockerAnswers } from "./postgresContainer.ts"
import { temporaryFile } from "./stores.ts"

const count = (rows: ReadonlyArray<object>) => rows.length

describe("the run's server", () => {
  itEffect("is a PostgreSQL that keeps text by code point", () =>
    Effect.gen(function* () {
      const { query } = yield* rawConnection(yield* postgresUrl)
      const [row] = yield* query("SELECT 'Z' < 'a' AS ordered, current_setting('server_encoding') AS encoding")
      expect(row).toEqual({ ordered: true, encoding: "UTF8" })
    })
  )

  itEffect("gives every caller another name, fit for a schema", () =>
    Effect.sync(() => {
      const names = Array.from({ length: 1_000 }, freshName)
      expect(new Set(names).size).toBe(1_000)
      expect(names.filter((name) => !/^[a-z_][a-z0-9_]{0,47}$/.test(name))).toEqual([])
    })
  )

  itEffect("drops a schema with all that is in it, though the test left a transaction open", () =>
    Effect.gen(function* () {
      const outside = yield* rawConnection(yield* postgresUrl)
      const schema = yield* Effect.scoped(
        Effect.gen(function* () {
          const { query, schema } = yield* ownSchema
          yield* query(`CREATE SCHEMA "${schema}"`)
          yield* query(`CREATE TABLE "${schema}".log (number bigint PRIMARY KEY)`)
          yield* query("BEGIN")
          yield* query(`INSERT INTO "${schema}".log VALUES ($1)`, [1])
          return schema
        })
      )
      expect(count(yield* outside.query("SELECT FROM pg_namespace WHERE nspname = $1", [schema]))).toBe(0)
    })
  )

  itEffect("drops a database that somebody is still connected to", () =>
    Effect.gen(function* () {
      const outside = yield* rawConnection(yield* postgresUrl)
      const { database } = yield* Effect.scoped(
        Effect.gen(function* () {
          const own = yield* ownDatabase
          const { client } = yield* rawConnection(own.url)
          client.end = () => Promise.resolve()
          expect(count(yield* outside.query("SELECT FROM pg_database WHERE datname = $1", [own.database]))).toBe(1)
          return own
        })
      )
      expect(count(yield* outside.query("SELECT FROM pg_database WHERE datname = $1", [database]))).toBe(0)
    })
  )

  itEffect("makes roles that may log in and no more, and drops them with what they own", () =>
    Effect.gen(function* () {
      const { url } = yield* ownDatabase
      const admin = yield* rawConnection(url)
      const { role } = yield* Effect.scoped(
        Effect.gen(function* () {
          const own = yield* ownRole(url)
          const { query } = yield* rawConnection(own.url)
          const refused = yield* Effect.flip(query("CREATE SCHEMA mine"))
          expect(refused.code).toBe("42501")
          yield* admin.query(`CREATE SCHEMA mine AUTHORIZATION "${own.role}"`)
          yield* query("CREATE TABLE mine.log (number bigint)")
          return own
        })
      )
      expect(count(yield* admin.query("SELECT FROM pg_roles WHERE rolname = $1", [role]))).toBe(0)
      expect(count(yield* admin.query("SELECT FROM pg_namespace WHERE nspname = 'mine'"))).toBe(0)
    })
  )
})

describe("a server of one's own", () => {
  itEffect("keeps its port and its data when it is restarted, fast or by a crash, and takes settings", () =>
    Effect.gen(function* () {
      const server = yield* ownServer({ settings: { max_connections: "17" } })
      const first = yield* rawConnection(server.url)
      yield* first.query("CREATE TABLE log AS SELECT 1 AS number")
      for (const mode of ["fast", "immediate"] as const) {
        yield* server.restart(mode)
        const { query } = yield* rawConnection(server.url)
        expect(yield* query("SELECT number, current_setting('max_connections') AS most FROM log")).toEqual([
          { number: 1, most: "17" }
        ])
      }
      expect(yield* Effect.flip(first.query("SELECT 1"))).toBeInstanceOf(Error)
    })
  )

  itEffect("refuses connections while it is stopped", () =>
    Effect.gen(function* () {
      const server = yield* ownServer()
      yield* server.stop()
      yield* server.stop()
      const refused = yield* Effect.flip(Effect.scoped(rawConnection(server.url)))
      expect(refused.code).toBe("ECONNREFUSED")
      yield* server.start
      yield* rawConnection(server.url)
    })
  )

  itEffect("says what PostgreSQL says when it does not start", () =>
    Effect.gen(function* () {
      const { message } = yield* Effect.flip(Effect.scoped(ownServer({ settings: { max_connections: "none" } })))
      expect(message).toContain('invalid value for parameter "max_connections": "none"')
    })
  )
})

describe("an embedded server", () => {
  beforeAll(compilePrograms, 90_000)

  const program = `
    import * as Effect from "effect/Effect"
    import { embeddedPostgres } from "./build/examples/tickets/embeddedPostgres.js"
    await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
      const { url } = yield* embeddedPostgres()
      console.log(url)
      yield* Effect.never
    })))
  `

  itEffect("ends with the process that started it, though that was killed, and leaves no folder", () =>
    Effect.gen(function* () {
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, ["--input-type=module", "--eval", program], {
            cwd: root,
            stdio: ["ignore", "pipe", "inherit"]
          })
        ),
        (spawned) => Effect.sync(() => spawned.kill("SIGKILL"))
      )
      let url = ""
      createInterface({ input: child.stdout }).on("line", (line) => (url = line))
      yield* eventually("the server has started", () => url !== "")
      const { query } = yield* rawConnection(url)
      const [row] = yield* query<{ folder: string }>("SELECT current_setting('data_directory') AS folder")
      const folder = join(row!.folder, "..")
      expect(existsSync(folder)).toBe(true)
      child.kill("SIGKILL")
      yield* eventually("the folder is deleted", () => !existsSync(folder))
      const refused = yield* Effect.flip(Effect.scoped(rawConnection(url)))
      expect(refused.code).toBe("ECONNREFUSED")
    })
  )
})

describe("the look for a container engine", () => {
  const engine = (status: number) =>
    Effect.gen(function* () {
      const socket = yield* temporaryFile
      const server = createServer((request, response) =>
        response.writeHead(request.url === "/_ping" ? status : 404).end()
      )
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => void server.listen(socket, () => resume(Effect.void))),
        () => Effect.sync(() => server.close())
      )
      return { DOCKER_HOST: `unix://${socket}` }
    })

  itEffect("finds one that answers", () =>
    Effect.gen(function* () {
      expect(yield* dockerAnswers(yield* engine(200))).toBe(true)
    })
  )

  itEffect("takes an error, and nobody there, for none", () =>
    Effect.gen(function* () {
      expect(yield* dockerAnswers(yield* engine(500))).toBe(false)
      expect(yield* dockerAnswers({ DOCKER_HOST: `unix://${yield* temporaryFile}` })).toBe(false)
    })
  )
})
