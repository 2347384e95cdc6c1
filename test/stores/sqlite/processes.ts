/** Other processes on the same file, and raw connections that do what no store would. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { eventually } from "../../../src/testing/conformance/expectations.ts"
import { root } from "../../support/compiled.ts"

/** A process that runs `programs/append.mjs`. */
export interface Appender {
  /** The numbers that it was answered. */
  readonly numbers: ReadonlyArray<number>
  /** Resolves when the program is loaded. */
  readonly ready: Effect.Effect<void>
  readonly go: Effect.Effect<void>
  /** Waits until it has been answered so many times. */
  readonly answered: (count: number) => Effect.Effect<void>
  /** Waits for its end: `done`, or the tag of the reason that it failed with. */
  readonly end: Effect.Effect<string>
  /** Ends it without any warning. */
  readonly kill: Effect.Effect<void>
}

/** What the process appends; `limit` is a shell's `ulimit` for it. */
export interface AppenderOptions {
  readonly file: string
  readonly type: string
  /** 0: until an append fails. */
  readonly count: number
  /** Of the payload's text. Default: 1. */
  readonly bytes?: number
  readonly limit?: string
  /** What the idempotency keys of the appends begin with. Default: no keys. */
  readonly key?: string
}

export const startAppender = (options: AppenderOptions): Effect.Effect<Appender, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { bytes = 1, count, file, key = [], limit, type } = options
    const append = join(import.meta.dirname, "programs/append.mjs")
    const program = [process.execPath, append, file, type, count, bytes].concat(key)
    const [command = "", ...parameters] =
      limit === undefined
        ? program.map(String)
        : ["sh", "-c", `ulimit ${limit}; exec "$@"`, "sh", ...program.map(String)]
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(command, parameters, { cwd: root, stdio: ["pipe", "pipe", "inherit"] })),
      (spawned) => Effect.sync(() => spawned.kill("SIGKILL"))
    )
    const numbers: Array<number> = []
    const words: Array<string> = []
    let hasExited = false
    child.once("close", () => (hasExited = true))
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (/^\d+$/.test(line)) numbers.push(Number(line))
      else words.push(line)
    })
    const exited = eventually("the process ends", () => hasExited)
    return {
      numbers,
      ready: eventually("the process is ready", () => words.includes("ready") || hasExited),
      go: Effect.sync(() => void child.stdin.end("go\n")),
      answered: (least) => eventually("the process is answered", () => numbers.length >= least || hasExited),
      end: Effect.map(exited, () => words.at(-1) ?? ""),
      kill: Effect.andThen(
        Effect.sync(() => child.kill("SIGKILL")),
        exited
      )
    }
  })

/** A connection of its own to the file, without any of the store's settings; closed with the scope. */
export const rawConnection = (file: string): Effect.Effect<Database.Database, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Database(file)),
    (connection) => Effect.sync(() => connection.close())
  )

/** Changes the log behind everybody's back: without the triggers that refuse it, which are there again afterwards. */
export const tamper = (file: string, ...sql: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.sync(() => {
    const connection = new Database(file)
    try {
      const triggers = connection.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all()
      connection.transaction(() => {
        for (const { name } of triggers as Array<{ name: string }>) connection.exec(`DROP TRIGGER "${name}"`)
        for (const statement of sql) connection.exec(statement)
        for (const trigger of triggers as Array<{ sql: string }>) connection.exec(trigger.sql)
      })()
    } finally {
      connection.close()
    }
  })
