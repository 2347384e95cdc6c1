/** The write-ahead log of what projections write is carried over by a thread, and by commits where none can be had. */
import type Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { existsSync, renameSync } from "node:fs"
import { describe, expect } from "vitest"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import { closable, event, logOf, range } from "../../../src/testing/conformance/expectations.ts"
import { root } from "../../support/compiled.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"
import { rawConnection } from "./processes.ts"

/** Commits so many pages and a few more. Gives the pages from which the connection's commits do checkpoints themselves. */
const commitPages = (store: EventStore, pages: number) =>
  store.workspace.transaction(({ sql }) =>
    Effect.sync(() => {
      const database = sql!.native as Database.Database
      database.exec("CREATE TABLE IF NOT EXISTS filler (content blob)")
      const insert = database.prepare("INSERT INTO filler VALUES (zeroblob(4000))")
      for (const _ of range(1, pages)) insert.run()
      return database.pragma("wal_autocheckpoint", { simple: true }) as number
    })
  )

/** Pages in the write-ahead log, and how many of them are in the file. */
const walOf = (connection: Database.Database) => {
  const [wal] = connection.pragma("wal_checkpoint(NOOP)") as [{ readonly log: number; readonly checkpointed: number }]
  return wal
}

/** What another process gets that writes to the file. */
const writtenElsewhere = (file: string) =>
  Effect.sync(() => {
    const program = `
      const database = new (require("better-sqlite3"))(process.argv[1], { timeout: 0 })
      try {
        database.exec("DELETE FROM filler")
        console.log("written")
      } catch ({ code }) {
        console.log(code)
      }`
    return execFileSync(process.execPath, ["-e", program, file], { cwd: root, encoding: "utf8" }).trim()
  })

describe("what projections write to a SQLite file", () => {
  itEffect("is carried over beside the commits, and is complete when the store is closed", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const { close, store } = yield* closable(SqliteStore.make({ file }))
      const connection = yield* rawConnection(file)
      yield* store.append([event("A")])
      // None of these commits is one that does it itself: there are not as many pages.
      expect(yield* commitPages(store, 4_100)).toBe(16_000)
      let rows = 4_100
      for (; walOf(connection).checkpointed < 4_000; rows++) {
        yield* Effect.sleep("5 millis")
        yield* commitPages(store, 1)
      }
      connection.close()
      yield* close
      expect(existsSync(`${file}-wal`)).toBe(false)
      const after = yield* rawConnection(file)
      expect(after.pragma("integrity_check", { simple: true })).toBe("ok")
      expect(after.prepare("SELECT count(*) FROM filler").pluck().get()).toBe(rows)
    })
  )

  itEffect("is carried over by commits where a thread cannot open the file", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const store = yield* SqliteStore.make({ file })
      const connection = yield* rawConnection(file)
      // Everything that is used later has its files open.
      yield* commitPages(store, 1)
      walOf(connection)
      renameSync(file, `${file}.moved`)
      while ((yield* commitPages(store, 4_100)) !== 1_000) yield* Effect.sleep("5 millis")
      yield* commitPages(store, 4_100)
      const { checkpointed, log } = walOf(connection)
      expect([log > 1_000, checkpointed]).toEqual([true, log])
      yield* store.append([event("A")])
      expect((yield* logOf(store)).length).toBe(1)
    })
  )

  itEffect("leaves the locks of others in the process alone when the store is closed", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const { close, store } = yield* closable(SqliteStore.make({ file }))
      const other = yield* SqliteStore.make({ file })
      yield* commitPages(store, 4_100)
      const written = yield* other.workspace.transaction(() => Effect.andThen(close, writtenElsewhere(file)))
      expect([written, yield* writtenElsewhere(file)]).toEqual(["SQLITE_BUSY", "written"])
    })
  )
})
