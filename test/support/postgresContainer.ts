/** A PostgreSQL server in a container, and a quick look whether there is an engine to run it. */
import { existsSync } from "node:fs"
import { request } from "node:http"
import type { RequestOptions } from "node:http"
import { homedir } from "node:os"
import { join } from "node:path"
import type { StartedPostgreSqlContainer } from "@testcontainers/postgresql"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Where engines listen, by their own conventions. */
const engines = (environment: NodeJS.ProcessEnv): ReadonlyArray<RequestOptions> => {
  const { DOCKER_HOST: host, XDG_RUNTIME_DIR: runtime } = environment
  if (host?.startsWith("unix://") === true) return [{ socketPath: host.slice("unix://".length) }]
  if (host !== undefined && host !== "") {
    const url = URL.canParse(host) ? new URL(host) : undefined
    return url?.protocol === "tcp:" ? [{ host: url.hostname, port: url.port }] : []
  }
  const sockets = ["/var/run/docker.sock", join(homedir(), ".docker/run/docker.sock")]
  if (runtime !== undefined) sockets.push(join(runtime, "docker.sock"))
  return sockets.filter((socketPath) => existsSync(socketPath)).map((socketPath) => ({ socketPath }))
}

/** Whether an engine answers within a second: at once where there is none. */
export const dockerAnswers = (environment: NodeJS.ProcessEnv = process.env): Effect.Effect<boolean> =>
  Effect.suspend(() => Effect.map(Effect.forEach(engines(environment), ping, { concurrency: "unbounded" }), anyOf))

const anyOf = (answers: ReadonlyArray<boolean>): boolean => answers.includes(true)

const ping = (engine: RequestOptions): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const asked = request({ ...engine, path: "/_ping", signal: AbortSignal.timeout(1_000) }, (response) => {
      response.resume()
      resume(Effect.succeed(response.statusCode === 200))
    })
    asked.once("error", () => resume(Effect.succeed(false)))
    asked.end()
  })

/** Gives the URL; the container is removed with the scope, also when it starts after this was interrupted. */
export const postgresContainer = (
  settings: Readonly<Record<string, string>>
): Effect.Effect<string, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const container = yield* Effect.callback<StartedPostgreSqlContainer, Error>((resume) => {
      let isWanted = true
      start(settings).then(
        (started) => (isWanted ? resume(Effect.succeed(started)) : void started.stop().catch(() => {})),
        (error: unknown) => resume(Effect.fail(error instanceof Error ? error : new Error(String(error))))
      )
      return Effect.sync(() => (isWanted = false))
    })
    yield* Effect.addFinalizer(() => Effect.promise(() => container.stop()))
    return container.getConnectionUri()
  })

const start = async (settings: Readonly<Record<string, string>>): Promise<StartedPostgreSqlContainer> => {
  const { PostgreSqlContainer } = await import("@testcontainers/postgresql")
  return new PostgreSqlContainer("postgres:18")
    .withEnvironment({ POSTGRES_INITDB_ARGS: "--encoding=UTF8 --locale=C" })
    .withCommand(Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]))
    .start()
}
