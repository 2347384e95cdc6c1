/**
 * Processes that deliver durable streams are killed in the middle of it, again and again: nothing is lost, the order is kept, a batch
 * comes twice at most once a kill, what was counted in the cursor's transaction is the log exactly, and the next one takes over within
 * the lease and a quarter of a second more (D1, D2, D5).
 */
import * as Effect from "effect/Effect"
import { beforeAll, describe, expect } from "vitest"
import { eventually, range } from "../../src/testing/conformance/expectations.ts"
import { compilePrograms } from "../support/compiled.ts"
import { itEffect } from "../support/it.ts"
import type { Deliverer } from "./deliverers.ts"
import { appendAlways, delivered, expectComplete, readRecord, sites, startDeliverer } from "./deliverers.ts"

const kills = 20

/** Milliseconds that a busy machine may add. */
const slack = 3_000

describe("processes that deliver and are killed", () => {
  beforeAll(compilePrograms, 90_000)

  for (const [name, make] of sites) {
    itEffect(
      `lose nothing and keep the order on ${name}`,
      () =>
        Effect.gen(function* () {
          const site = yield* make
          const { at } = site
          const appends = yield* appendAlways(site.store, 20)
          let running: ReadonlyArray<Deliverer> = yield* Effect.forEach(range(0, 1), (n) =>
            startDeliverer(at, `process ${n}`)
          )
          const takeovers: Array<number> = []
          for (const kill of range(1, kills)) {
            for (const { isReady } of running) yield* isReady
            // Wherever it happens to be: within its handler, moving the cursor, renewing its lease, reading.
            const seen = readRecord(at).length
            yield* eventually("some batches are delivered", () => readRecord(at).length > seen + (kill % 5))
            const active = readRecord(at).at(-1)!.by
            const victim = running.find((it) => it.name === active)!
            yield* victim.signal("SIGKILL")
            const killed = performance.now()
            running = [...running.filter((it) => it !== victim), yield* startDeliverer(at, `process ${kill + 1}`)]
            yield* delivered(at, readRecord(at).length, "the other one takes over", ({ by }) => by !== active)
            takeovers.push(performance.now() - killed)
          }
          yield* expectComplete(site, yield* appends.stop, kills)
          expect(Math.max(...takeovers)).toBeLessThan(at.lease + 250 + slack)
        }),
      { timeout: 180_000 }
    )
  }
})
