/**
 * One PostgreSQL server for a test run, as vitest's global setup: the one that DATABASE_URL names, else a container where Docker
 * answers, else the embedded one. It is started when a test first asks for its URL, so a run without such tests pays nothing.
 */
import { randomUUID } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { TestProject } from "vitest/node"
import { embeddedPostgres } from "../../examples/tickets/embeddedPostgres.ts"
import { dockerAnswers, postgresContainer } from "./postgresContainer.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** Answers with the server's URL; the path is a secret of this run, the server's password is behind it. */
    readonly postgresServer: string
  }
}

/** Quick rather than safe from power failures: nothing here outlives the run. */
const settings = { fsync: "off", full_page_writes: "off", max_connections: "200" }

/** Below a test's own time, which the first of them spends here: an image may have to be pulled. */
const containerPatience = "20 seconds"

const startServer: Effect.Effect<string, Error, Scope.Scope> = Effect.gen(function* () {
  const given = process.env.DATABASE_URL
  if (given !== undefined && given !== "") return given
  const embedded = Effect.map(embeddedPostgres({ settings }), (server) => server.url)
  if (!(yield* dockerAnswers())) return yield* embedded
  return yield* Effect.timeout(postgresContainer(settings), containerPatience).pipe(
    Effect.catch((ofContainer) =>
      Effect.mapError(
        embedded,
        (ofEmbedded) => new Error(`no container: ${ofContainer.message}; no server: ${ofEmbedded.message}`)
      )
    )
  )
})

export default async ({ provide }: TestProject): Promise<() => Promise<void>> => {
  const scope = Scope.makeUnsafe()
  const secret = `/${randomUUID()}`
  let url: Promise<string> | undefined
  const door = createServer((request, response) => {
    if (request.url !== secret) return void response.writeHead(404).end()
    url ??= Effect.runPromise(Scope.provide(startServer, scope))
    url.then(
      (answer) => response.end(answer),
      (error) => response.writeHead(503).end(String(error))
    )
  })
  await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve))
  provide("postgresServer", `http://127.0.0.1:${(door.address() as AddressInfo).port}${secret}`)
  return async () => {
    door.close()
    door.closeAllConnections()
    await Promise.allSettled([url])
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
