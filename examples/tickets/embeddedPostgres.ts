/**
 * A throw-away PostgreSQL server from npm, for those who have none: data in a temporary folder, a port on 127.0.0.1 only, a
 * random password, nothing printed. It ends with its scope, and with this process however that ends: a guard process waits for
 * the end of a pipe that only this process holds, then stops the server and deletes the folder.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort } from "./freePort.ts"
import type { PostgresPrograms, ServerUser } from "./postgresPrograms.ts"
import { EmbeddedPostgresError, postgresPrograms, run, serverEnvironment, serverUser } from "./postgresPrograms.ts"

export interface EmbeddedPostgresOptions {
  /** Settings of the server, such as `max_connections`. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface EmbeddedPostgres {
  /** `postgres://` with the password, for the database `postgres` and its superuser. */
  readonly url: string
  /**
   * Ends the server and keeps its data: `fast` disconnects everybody and shuts down cleanly, `immediate` is a crash that the
   * next start recovers from. Nothing happens where it does not run.
   */
  readonly stop: (mode?: "fast" | "immediate") => Effect.Effect<void>
  /** Starts the server again, on the same port. Resolves when it accepts connections. */
  readonly start: Effect.Effect<void, EmbeddedPostgresError>
}

/** Starts a server of its own, in about a second. */
export const embeddedPostgres = (
  options: EmbeddedPostgresOptions = {}
): Effect.Effect<EmbeddedPostgres, EmbeddedPostgresError, Scope.Scope> =>
  Effect.gen(function* () {
    if (process.platform === "win32") {
      const message = "The embedded server needs Linux or macOS: set DATABASE_URL to a PostgreSQL server."
      return yield* new EmbeddedPostgresError({ message })
    }
    const user = yield* serverUser
    const folder = yield* guardedFolder(user)
    const programs = yield* postgresPrograms(folder, user)
    const password = randomBytes(16).toString("hex")
    yield* initialise(programs, { folder, user, password })
    const server: Server = { program: programs.postgres, folder, user, settings: options.settings ?? {} }
    yield* Effect.addFinalizer(() => stop(server, "fast"))
    const port = yield* startOnFreePort(server, 10)
    return {
      url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
      stop: (mode = "fast") => stop(server, mode),
      start: start(server, port)
    }
  })

interface Server {
  readonly program: string
  readonly folder: string
  readonly user: ServerUser
  readonly settings: Readonly<Record<string, string>>
  process?: ChildProcess | undefined
}

/**
 * Reads until this process is gone or has closed the pipe. A server that ends removes its file; it may go on as a zombie where
 * nobody reaps it, so its process number says nothing.
 */
const guard = `
read -r _
if read -r server < "$1/data/postmaster.pid" && kill -INT "$server"; then
  for _ in $(seq 100); do
    test -e "$1/data/postmaster.pid" || break
    sleep 0.1
  done
fi
rm -rf "$1"
`

/** A new folder of the server's user, which its guard deletes. Detached: a terminal's Ctrl-C does not reach the guard. */
const guardedFolder = (user: ServerUser): Effect.Effect<string, EmbeddedPostgresError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const folder = mkdtempSync(join(tmpdir(), "evolvent-postgres-"))
        if (user.uid !== undefined) chownSync(folder, user.uid, user.gid)
        const child = spawn("sh", ["-c", guard, "sh", folder], {
          ...user,
          cwd: tmpdir(),
          detached: true,
          stdio: ["pipe", "ignore", "ignore"]
        })
        child.on("error", () => {})
        return { folder, child }
      },
      catch: (error) =>
        new EmbeddedPostgresError({ message: `No folder for the server in ${tmpdir()}: ${String(error)}` })
    }),
    ({ child, folder }) =>
      Effect.callback<void>((resume) => {
        whenEnded(child, () => {
          // What is inside was the server's user's to delete; the folder itself may be out of that user's reach.
          rmSync(folder, { recursive: true, force: true })
          resume(Effect.void)
        })
        child.stdin.end()
      })
  ).pipe(Effect.map(({ folder }) => folder))

const whenEnded = (child: ChildProcess, listener: () => void): void => {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) listener()
  else child.once("exit", listener)
}

const initialise = (
  { initdb }: PostgresPrograms,
  { folder, password, user }: { readonly folder: string; readonly password: string; readonly user: ServerUser }
) =>
  Effect.gen(function* () {
    const passwordFile = join(folder, "password")
    writeFileSync(passwordFile, password, { mode: 0o600 })
    if (user.uid !== undefined) chownSync(passwordFile, user.uid, user.gid)
    const text = ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"]
    const files = [`--pgdata=${join(folder, "data")}`, `--pwfile=${passwordFile}`, "--no-sync", "--no-instructions"]
    yield* run(initdb, ["--username=postgres", ...text, ...files], { ...user, cwd: folder })
    rmSync(passwordFile)
  })

const startOnFreePort = (server: Server, attempts: number): Effect.Effect<number, EmbeddedPostgresError> =>
  Effect.gen(function* () {
    const port = yield* freePort
    return yield* Effect.as(start(server, port), port)
  }).pipe(
    Effect.catchIf(
      ({ message }) => attempts > 1 && message.includes("could not bind"),
      () => startOnFreePort(server, attempts - 1)
    )
  )

const start = (server: Server, port: number): Effect.Effect<void, EmbeddedPostgresError> =>
  Effect.callback((resume) => {
    if (server.process !== undefined) return resume(Effect.void)
    const settings = { ...server.settings, port, listen_addresses: "127.0.0.1", unix_socket_directories: "" }
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])
    const child = spawn(server.program, ["-D", join(server.folder, "data"), ...flags], {
      ...server.user,
      cwd: server.folder,
      env: serverEnvironment,
      detached: true,
      stdio: ["ignore", "ignore", "pipe"]
    })
    server.process = child
    let log = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      log = (log + text).slice(-8_192)
      if (log.includes("database system is ready to accept connections")) resume(Effect.void)
    })
    const failed = (problem: string) => {
      if (server.process === child) server.process = undefined
      resume(Effect.fail(new EmbeddedPostgresError({ message: `The PostgreSQL server ${problem}` })))
    }
    child.once("error", (error) => failed(`did not start: ${error.message}`))
    child.once("close", (code, signal) => failed(`ended (${code ?? signal}): ${log.trim()}`))
    return undefined
  })

const stop = (server: Server, mode: "fast" | "immediate"): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const child = server.process
    if (child === undefined) return resume(Effect.void)
    const late = setTimeout(() => child.kill("SIGQUIT"), 10_000)
    whenEnded(child, () => {
      clearTimeout(late)
      if (server.process === child) server.process = undefined
      resume(Effect.void)
    })
    child.kill(mode === "fast" ? "SIGINT" : "SIGQUIT")
    return undefined
  })
