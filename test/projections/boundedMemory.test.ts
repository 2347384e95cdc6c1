/** A slow projection that is 200,000 events behind holds a page of them in memory, not the log. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import { beforeAll, describe, expect } from "vitest"
import * as SqliteStore from "../../src/stores/sqlite/SqliteStore.ts"
import { event, range, times } from "../../src/testing/conformance/expectations.ts"
import { compilePrograms, root } from "../support/compiled.ts"
import { itEffect } from "../support/it.ts"
import { temporaryFile } from "../support/stores.ts"

/** Megabytes: the log has twice as many, before they are parsed. */
const heap = 64

describe("a slow projection", () => {
  beforeAll(compilePrograms, 90_000)

  itEffect(
    `comes through 200,000 events in ${heap} megabytes`,
    () =>
      Effect.gen(function* () {
        const file = yield* temporaryFile
        const store = yield* SqliteStore.make({ file, synchronous: "NORMAL" })
        const batch = times(100, () => event("Called", { text: "x".repeat(500) }))
        yield* Effect.forEach(range(1, 2_000), () => store.append(batch), { concurrency: 32, discard: true })
        const program = join(import.meta.dirname, "programs/fall-behind.mjs")
        const { stdout } = yield* Effect.promise(() =>
          promisify(execFile)(process.execPath, [`--max-old-space-size=${heap}`, program, file, "200000"], {
            cwd: root
          })
        )
        const [handled, most] = stdout.trim().split(" ").map(Number)
        expect(handled).toBe(200_000)
        expect(most).toBeLessThan(heap * 1.5)
      }),
    { timeout: 90_000 }
  )
})
