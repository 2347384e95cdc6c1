/** How the database is opened: who may read it, in which mode, and which options are refused. */
import { existsSync, readdirSync, statSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import type { SqliteOptions } from "../../../src/stores/sqlite/SqliteStore.ts"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import { event, failsWith, logOf } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"
import { rawConnection } from "./processes.ts"

describe("a new database", () => {
  itEffect("is readable for its owner alone, and so are the files beside it", () =>
    Effect.gen(function* () {
      const umask = process.umask(0)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.umask(umask)))
      const file = yield* temporaryFile
      const store = yield* SqliteStore.make({ file })
      yield* store.append([event("A")])
      for (const path of [file, `${file}-wal`, `${file}-shm`]) {
        expect((statSync(path).mode & 0o777).toString(8), path).toBe("600")
      }
    })
  )

  itEffect("is in WAL mode, with strict tables", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const store = yield* SqliteStore.make({ file })
      yield* store.append([event("A")])
      const connection = yield* rawConnection(file)
      expect(connection.pragma("journal_mode", { simple: true })).toBe("wal")
      const tables = connection.prepare("SELECT name FROM pragma_table_list WHERE strict = 1 ORDER BY name").pluck()
      expect(tables.all()).toEqual(
        ["cursors", "dead_letters", "events", "idempotency", "log", "outbox", "projection_versions"].map(
          (name) => `evolvent_${name}`
        )
      )
      expect(connection.pragma("integrity_check", { simple: true })).toBe("ok")
    })
  )

  itEffect("is not created where the options are refused", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      yield* failsWith("InvalidInput", Effect.scoped(SqliteStore.make({ file, tablePrefix: "No" })))
      expect(existsSync(file)).toBe(false)
    })
  )

  itEffect("stays the same file when the process changes its folder", () =>
    Effect.gen(function* () {
      const [file, elsewhere] = [yield* temporaryFile, dirname(yield* temporaryFile)]
      const folder = process.cwd()
      yield* Effect.addFinalizer(() => Effect.sync(() => process.chdir(folder)))
      process.chdir(dirname(file))
      const store = yield* SqliteStore.make({ file: basename(file) })
      process.chdir(elsewhere)
      yield* store.workspace.transaction(({ cursors }) => cursors.read(["mine"]))
      expect(readdirSync(elsewhere)).toEqual([])
    })
  )

  itEffect("works with NORMAL, and goes on with FULL", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      yield* Effect.scoped(
        Effect.flatMap(SqliteStore.make({ file, synchronous: "NORMAL" }), (store) => store.append([event("A")]))
      )
      const store = yield* SqliteStore.make({ file, synchronous: "FULL" })
      yield* store.append([event("B")])
      expect((yield* logOf(store)).length).toBe(2)
    })
  )
})

const longest = `p${"x".repeat(47)}`
const refused: ReadonlyArray<readonly [option: string, values: ReadonlyArray<unknown>]> = [
  ["file", [undefined, null, "", 5, ":memory:", ":", "a\0b", {}]],
  [
    "tablePrefix",
    ["", "A", "1a", "a-b", "a.b", 'a"b', "a'b", "a b", "a;b", "ü", `${longest}x`, "x".repeat(64), "sqlite_x"]
      .concat(["pg_catalog", "a\n", "a\0"])
      .concat([null, 5, ["a"]] as never)
  ],
  ["synchronous", ["OFF", "full", "EXTRA", "", 2, null]],
  ["maxPayloadBytes", [0, -1, 1.5, Number.NaN, 67_108_865, "1", Number.POSITIVE_INFINITY]],
  ["busyTimeout", [-1, 0.5, Number.NaN, "5", 86_400_001]],
  ["pollInterval", [0, -1, 0.5, Number.NaN, 86_400_001]],
  ["cacheKibibytes", [0, 1_023, 1e12, "64"]],
  ["indexEvery", [0, -1, 1.5, 65_537, Number.NaN]]
]

describe("an option", () => {
  for (const [option, values] of refused) {
    itEffect(`${option} is refused when it is not allowed`, () =>
      Effect.gen(function* () {
        const file = yield* temporaryFile
        for (const value of values) {
          if (option !== "file" && value === null) continue
          const options = { file, [option]: value } as unknown as SqliteOptions
          const { path } = yield* failsWith(
            "InvalidInput",
            Effect.scoped(SqliteStore.make(options)),
            `${option} ${JSON.stringify(value)}`
          )
          expect(path).toBe(`options.${option}`)
        }
        expect(existsSync(file)).toBe(false)
      })
    )
  }

  itEffect("takes the most and the least that is allowed", () =>
    Effect.gen(function* () {
      for (const options of [
        {
          tablePrefix: longest,
          busyTimeout: 0,
          pollInterval: 1,
          cacheKibibytes: 1_024,
          indexEvery: 1,
          maxPayloadBytes: 9
        },
        { tablePrefix: "_", busyTimeout: 86_400_000, indexEvery: 65_536, maxPayloadBytes: 67_108_864 },
        { tablePrefix: "select" }
      ]) {
        const store = yield* SqliteStore.make({ file: yield* temporaryFile, ...options })
        yield* store.append([event("A")])
        expect((yield* logOf(store)).length).toBe(1)
      }
    })
  )

  itEffect("names a file in a folder that exists", () =>
    Effect.gen(function* () {
      const folder = dirname(yield* temporaryFile)
      const nowhere = SqliteStore.make({ file: join(folder, "missing", "log.sqlite") })
      expect((yield* failsWith("InvalidInput", Effect.scoped(nowhere))).path).toBe("options.file")
      expect((yield* failsWith("InvalidInput", Effect.scoped(SqliteStore.make({ file: folder })))).path).toBe(
        "options.file"
      )
    })
  )
})
