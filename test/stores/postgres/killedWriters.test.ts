/**
 * Writers are killed in the middle of their appends: whole batches only, no gap, every answer that was given is true, and the lock
 * is free at once.
 */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { beforeAll, describe, expect } from "vitest"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { eventually, inTime, logOf, range, recorder } from "../../../src/testing/conformance/expectations.ts"
import { compilePrograms, root } from "../../support/compiled.ts"
import { itEffect } from "../../support/it.ts"
import type { OwnSchema } from "../../support/postgres.ts"
import { ownSchema } from "../../support/postgres.ts"
import { appended, reasonOf, storedBatches } from "./answers.ts"

/** A process that runs `programs/append.mjs`. */
interface Writer {
  readonly name: string
  /** The calls that it was answered. */
  readonly answered: ReadonlyArray<string>
  readonly isReady: Effect.Effect<void>
  readonly isAnswered: (count: number) => Effect.Effect<void>
  /** Ends it without any warning. */
  readonly kill: Effect.Effect<void>
}

const startWriter = ({ schema, url }: OwnSchema, name: string): Effect.Effect<Writer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const program = join(import.meta.dirname, "programs/append.mjs")
    const env = { ...process.env, STORE_URL: url }
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [program, schema, name], { cwd: root, env, stdio: ["ignore", "pipe", "inherit"] })
      ),
      (spawned) => Effect.sync(() => spawned.kill("SIGKILL"))
    )
    const lines: Array<string> = []
    let hasExited = false
    child.once("close", () => (hasExited = true))
    createInterface({ input: child.stdout }).on("line", (line) => lines.push(line))
    const has = (count: number, what: string) =>
      Effect.andThen(
        eventually(`${name} ${what}`, () => lines.length >= count || hasExited),
        Effect.sync(() => expect(hasExited, `${name} has ended by itself`).toBe(false))
      )
    return {
      name,
      get answered() {
        return lines.slice(1)
      },
      isReady: has(1, "is ready"),
      isAnswered: (count) => has(1 + count, "is answered"),
      kill: Effect.andThen(
        Effect.sync(() => child.kill("SIGKILL")),
        eventually(`${name} has ended`, () => hasExited)
      )
    }
  })

describe("writers that are killed", () => {
  beforeAll(compilePrograms, 90_000)

  itEffect(
    "leave whole batches, the truth of what they were answered, and a free lock",
    () =>
      Effect.gen(function* () {
        const own = yield* ownSchema
        const store = yield* PostgresStore.make({ url: own.url, schema: own.schema, lockTimeout: 2_000 })
        const received = recorder()
        const stream = yield* store.streamAll(received.handler)
        const writers = yield* Effect.forEach(range(1, 10), (n) => startWriter(own, `process ${n}`), {
          concurrency: 1
        })
        const mine = []
        for (const [n, writer] of writers.entries()) {
          // Wherever it happens to be: between two of its appends, before, within or after a commit.
          yield* writer.isReady
          yield* writer.isAnswered(1 + n * 3)
          yield* writer.kill
          mine.push(yield* appended(store, `after ${writer.name}`, 3))
        }
        for (const call of mine) expect(reasonOf(call), call.name).toBeUndefined()
        // What a killed process had sent may still be carried out: not before its sessions have ended is the log at rest.
        yield* inTime(
          Effect.repeat(
            own.query(
              "SELECT FROM pg_stat_activity WHERE application_name = 'evolvent' AND query LIKE $1 AND state <> 'idle'",
              [`%${own.schema}%`]
            ),
            { until: (rows) => rows.length === 0 }
          ),
          "the sessions end"
        )
        const batches = yield* storedBatches(own.query, own.schema)
        for (const { name, parts } of batches) expect(parts, name).toEqual([1, 2, 3])
        const names = batches.map(({ name }) => name)
        expect(new Set(names).size).toBe(names.length)
        const stored = new Set(names)
        const answered = [...writers.flatMap((writer) => writer.answered), ...mine.map(({ name }) => name)]
        expect(answered.filter((name) => !stored.has(name))).toEqual([])
        expect(answered.length).toBeGreaterThan(100)
        yield* inTime(stream.caughtUp, "the stream catches up")
        expect(received.batches.flat()).toEqual(yield* logOf(store))
      }),
    { timeout: 60_000 }
  )
})
