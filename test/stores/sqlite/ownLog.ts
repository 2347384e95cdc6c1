import * as Effect from "effect/Effect"
import { openDatabase, prepareSchema } from "../../../src/stores/sqlite/database.ts"
import { checkSqliteOptions } from "../../../src/stores/sqlite/options.ts"
import { SqliteLog } from "../../../src/stores/sqlite/SqliteLog.ts"
import { temporaryFile } from "../../support/stores.ts"

/** A new log without the store around it, closed with the scope. */
export const ownLog = Effect.gen(function* () {
  const settings = yield* Effect.fromResult(checkSqliteOptions({ file: yield* temporaryFile }))
  const database = yield* Effect.acquireRelease(
    Effect.sync(() => openDatabase(settings)),
    (opened) => Effect.sync(() => opened.close())
  )
  prepareSchema(database, "evolvent", "log")
  return new SqliteLog(database, "evolvent", 512)
})
