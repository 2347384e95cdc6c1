/** A worker that is frozen past its lease and wakes up: others have taken over, and nothing is counted twice. */
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { beforeAll, describe } from "vitest"
import { inTime, range } from "../../src/testing/conformance/expectations.ts"
import { compilePrograms } from "../support/compiled.ts"
import { itEffect } from "../support/it.ts"
import type { CountingProcess } from "./processes.ts"
import { called, postgresLog, sqliteLog, startCounting } from "./processes.ts"
import { eventuallyEqual } from "./sales.ts"

const lease = 300

const sumTo = (last: number) => [last, (last * (last + 1)) / 2] as const

/** Freezes the process while it has no transaction under way: SQLite would let nobody else write. */
const freezeBetweenTransactions = (worker: CountingProcess, file: string) =>
  inTime(
    Effect.gen(function* () {
      const raw = yield* Effect.acquireRelease(
        Effect.sync(() => new Database(file, { timeout: 0 })),
        (connection) => Effect.sync(() => connection.close())
      )
      const isLocked = () => {
        try {
          raw.exec("BEGIN IMMEDIATE; ROLLBACK")
          return false
        } catch {
          return true
        }
      }
      while (true) {
        yield* worker.signal("SIGSTOP")
        // Signals are carried out in a while.
        yield* Effect.sleep("50 millis")
        if (!isLocked()) return
        yield* worker.signal("SIGCONT")
        yield* Effect.sleep("5 millis")
      }
    }).pipe(Effect.scoped),
    "the worker is frozen between transactions"
  )

describe("a worker that is frozen past its lease", () => {
  beforeAll(compilePrograms, 90_000)

  itEffect(
    "in the middle of a transaction on postgres: it is taken over from, and counts nothing when it wakes up",
    () =>
      Effect.gen(function* () {
        const shared = yield* postgresLog
        yield* shared.store.append([called()])
        const frozen = yield* startCounting(shared, { lease, delay: 100 })
        yield* frozen.prints("that it handles", (line) => line === "handling 1")
        yield* frozen.signal("SIGSTOP")
        const other = yield* startCounting(shared, { lease, delay: 0 })
        yield* other.prints("that it took over", (line) => line === "handling 1")
        for (const _ of range(1, 4)) yield* shared.store.append([called()])
        yield* eventuallyEqual("the other one counts", shared.counted, sumTo(5))
        const before = frozen.lines.length
        yield* frozen.signal("SIGCONT")
        yield* frozen.prints("that it knows", (line) => line === "at 5", before)
        yield* shared.store.append([called()])
        yield* eventuallyEqual("all is counted once", shared.counted, sumTo(6))
        yield* other.kill
        yield* shared.store.append([called()])
        yield* eventuallyEqual("the one that was frozen takes over", shared.counted, sumTo(7))
      }),
    { timeout: 60_000 }
  )

  itEffect(
    "between transactions on sqlite: it is taken over from, and counts nothing when it wakes up",
    () =>
      Effect.gen(function* () {
        const shared = yield* sqliteLog
        yield* shared.store.append([called()])
        const frozen = yield* startCounting(shared, { lease, delay: 0 })
        yield* frozen.prints("that it is done", (line) => line === "at 1")
        yield* freezeBetweenTransactions(frozen, shared.file)
        const other = yield* startCounting(shared, { lease, delay: 0 })
        for (const _ of range(1, 4)) yield* shared.store.append([called()])
        yield* eventuallyEqual("the other one counts", shared.counted, sumTo(5))
        const before = frozen.lines.length
        yield* frozen.signal("SIGCONT")
        yield* frozen.prints("that it knows", (line) => line === "at 5", before)
        yield* shared.store.append([called()])
        yield* eventuallyEqual("all is counted once", shared.counted, sumTo(6))
        yield* other.kill
        yield* shared.store.append([called()])
        yield* eventuallyEqual("the one that was frozen takes over", shared.counted, sumTo(7))
      }),
    { timeout: 60_000 }
  )
})
