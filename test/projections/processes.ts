/** Workers that are processes of their own, to be killed and frozen; and the counter that they keep. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { EventStore } from "../../src/stores/EventStore.ts"
import * as PostgresStore from "../../src/stores/postgres/PostgresStore.ts"
import * as SqliteStore from "../../src/stores/sqlite/SqliteStore.ts"
import { event, eventually } from "../../src/testing/conformance/expectations.ts"
import { root } from "../support/compiled.ts"
import { ownSchema } from "../support/postgres.ts"
import { temporaryFile } from "../support/stores.ts"

/** A log that processes share, and a table beside it. */
export interface SharedLog {
  readonly store: EventStore
  /** For the programs. */
  readonly place: object
  readonly table: string
  /** The events that were counted, and the sum of their numbers. */
  readonly counted: Effect.Effect<readonly [count: number, total: number]>
}

const countedIn = (store: EventStore, table: string): SharedLog["counted"] =>
  store.workspace
    .transaction(({ sql }) => sql!.execute(`SELECT n, total FROM ${table}`))
    .pipe(
      Effect.map(([row]) => [Number(row?.["n"]), Number(row?.["total"])] as const),
      Effect.orElseSucceed(() => [0, 0] as const)
    )

export const sqliteLog: Effect.Effect<SharedLog & { readonly file: string }, unknown, Scope.Scope> = Effect.gen(
  function* () {
    const file = yield* temporaryFile
    const store = yield* SqliteStore.make({ file })
    return { store, file, place: { sqlite: { file } }, table: "counted", counted: countedIn(store, "counted") }
  }
)

export const postgresLog: Effect.Effect<SharedLog, unknown, Scope.Scope> = Effect.gen(function* () {
  const { schema, url } = yield* ownSchema
  const store = yield* PostgresStore.make({ url, schema })
  const table = `"${schema}".counted`
  return { store, place: { postgres: { url, schema } }, table, counted: countedIn(store, table) }
})

export const called = () => event("Called", { text: "" })

/** A process that runs `programs/count.mjs`. */
export interface CountingProcess {
  /** What it has printed. */
  readonly lines: ReadonlyArray<string>
  readonly prints: (what: string, condition: (line: string) => boolean, from?: number) => Effect.Effect<void>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Whether it has ended, by itself or not. */
  readonly hasEnded: () => boolean
  /** Ends it without any warning. */
  readonly kill: Effect.Effect<void>
}

export const startCounting = (
  { place, table }: SharedLog,
  options: { readonly lease: number; readonly delay: number }
): Effect.Effect<CountingProcess, never, Scope.Scope> =>
  Effect.gen(function* () {
    const program = join(import.meta.dirname, "programs/count.mjs")
    const settings = JSON.stringify({ ...place, ...options, table })
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [program, settings], { cwd: root, stdio: ["ignore", "pipe", "inherit"] })
      ),
      (spawned) => Effect.sync(() => spawned.kill("SIGKILL"))
    )
    const lines: Array<string> = []
    let hasExited = false
    child.once("close", () => (hasExited = true))
    createInterface({ input: child.stdout }).on("line", (line) => lines.push(line))
    return {
      lines,
      prints: (what, condition, from = 0) =>
        eventually(`a worker prints ${what}`, () => lines.slice(from).some(condition)),
      hasEnded: () => hasExited,
      signal: (signal) => Effect.sync(() => child.kill(signal)),
      kill: Effect.andThen(
        Effect.sync(() => child.kill("SIGKILL")),
        eventually("a worker has ended", () => hasExited)
      )
    }
  })
