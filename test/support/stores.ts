/** The stores under test, each with what the conformance suite needs to run it. A new store is one line at the end. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as MemoryStore from "../../src/stores/memory/MemoryStore.ts"
import type { SqliteOptions } from "../../src/stores/sqlite/SqliteStore.ts"
import * as SqliteStore from "../../src/stores/sqlite/SqliteStore.ts"
import type { PostgresOptions } from "../../src/stores/postgres/PostgresStore.ts"
import * as PostgresStore from "../../src/stores/postgres/PostgresStore.ts"
import type { StoreHarness } from "../../src/testing/index.ts"

import { ownLog } from "../stores/postgres/logs.ts"
import { tamper } from "../stores/sqlite/processes.ts"
import { ownSchema } from "./postgres.ts"

export interface StoreUnderTest extends StoreHarness {
  readonly name: string
}

/** The path of a file in a new folder, which is removed with the scope. */
export const temporaryFile: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "evolvent-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  ),
  (folder) => join(folder, "log.sqlite")
)

const memory: StoreUnderTest = {
  name: "memory",
  make: MemoryStore.make(),
  makeWithMaxPayloadBytes: (maxPayloadBytes) => MemoryStore.make({ maxPayloadBytes })
}

const sqlite = (name: string, options: Omit<SqliteOptions, "file">): StoreUnderTest => {
  const make = (more: Omit<SqliteOptions, "file"> = {}) =>
    Effect.flatMap(temporaryFile, (file) => SqliteStore.make({ file, ...options, ...more }))
  return {
    name,
    make: make(),
    makeWithMaxPayloadBytes: (maxPayloadBytes) => make({ maxPayloadBytes }),
    reopen: Effect.map(temporaryFile, (file) => SqliteStore.make({ file, ...options })),
    makeDamaged: (events, number) =>
      Effect.gen(function* () {
        const file = yield* temporaryFile
        const open = SqliteStore.make({ file, ...options })
        yield* Effect.scoped(Effect.flatMap(open, (store) => store.append(events)))
        yield* tamper(file, `UPDATE evolvent_events SET payload = '{' WHERE sequence_number = ${number}`)
        return yield* open
      })
  }
}

const postgres = (name: string, options: PostgresOptions): StoreUnderTest => {
  const make = (more: PostgresOptions = {}) =>
    Effect.flatMap(ownSchema, ({ schema, url }) => PostgresStore.make({ url, schema, ...options, ...more }))
  return {
    name,
    make: make(),
    makeWithMaxPayloadBytes: (maxPayloadBytes) => make({ maxPayloadBytes }),
    reopen: Effect.map(ownSchema, ({ schema, url }) => PostgresStore.make({ url, schema, ...options })),
    makeDamaged: (events, number) =>
      Effect.gen(function* () {
        const log = yield* ownLog
        yield* Effect.scoped(Effect.flatMap(log.open(options), (store) => store.append(events)))
        yield* log.tamper(`UPDATE events SET payload = '{' WHERE sequence_number = ${number}`)
        return yield* log.open(options)
      })
  }
}

export const stores: ReadonlyArray<StoreUnderTest> = [
  memory,
  sqlite("sqlite", {}),
  sqlite("sqlite that indexes every second event", { indexEvery: 2 }),
  postgres("postgres", {}),
  postgres("postgres that indexes every second event", { indexEvery: 2 })
]
