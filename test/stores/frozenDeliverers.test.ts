/**
 * A process that delivers is frozen past its lease, and thawed when another one has taken over: it moves nothing any more, and waits
 * (D5).
 */
import * as Effect from "effect/Effect"
import { beforeAll, describe, expect } from "vitest"
import { eventually, inTime } from "../../src/testing/conformance/expectations.ts"
import { compilePrograms } from "../support/compiled.ts"
import { itEffect } from "../support/it.ts"
import type { Deliverer } from "./deliverers.ts"
import { appendAlways, delivered, expectComplete, readRecord, sites, startDeliverer } from "./deliverers.ts"

const becomes = (process: Deliverer, state: string) =>
  inTime(Effect.repeat(process.state, { until: (said) => said === state }), `${process.name} is ${state}`)

describe("a process that delivers and is frozen past its lease", () => {
  beforeAll(compilePrograms, 90_000)

  for (const [name, make] of sites) {
    itEffect(
      `moves nothing and waits when it is thawed, on ${name}`,
      () =>
        Effect.gen(function* () {
          const site = yield* make
          // A handler that takes its time: it is frozen in there, and not while it holds SQLite's write lock, as nobody could go on then.
          const at = { ...site.at, pause: 60 }
          const table = site.at.kind === "sqlite" ? "" : site.at.table
          const appends = yield* appendAlways(site.store, 100)
          const one = yield* startDeliverer({ ...at, table }, "one")
          yield* one.isReady
          yield* eventually("one delivers", () => readRecord(at).length >= 3)
          const other = yield* startDeliverer(at, "other")
          yield* other.isReady
          yield* becomes(other, "waiting")
          const before = readRecord(at).length
          yield* delivered(at, before, "one begins a delivery", ({ by }) => by === "one")
          yield* one.signal("SIGSTOP")
          const frozen = readRecord(at).length
          yield* delivered(at, frozen + 3, "the other one delivers", ({ by }) => by === "other")
          yield* one.signal("SIGCONT")
          yield* becomes(one, "waiting")
          const thawed = readRecord(at)
          expect(thawed.slice(frozen).every(({ by }) => by === "other")).toBe(true)
          yield* delivered(at, thawed.length + 3, "the other one goes on", ({ by }) => by === "other")
          expect(yield* other.state).not.toBe("waiting")
          // The other way round: what was fenced is no worse than anybody else.
          yield* other.signal("SIGKILL")
          const killed = readRecord(at).length
          yield* delivered(at, killed + 3, "one takes over again", ({ by }) => by === "one")
          if (table === "") yield* startDeliverer(site.at, "counting")
          yield* expectComplete(site, yield* appends.stop, 2)
        }),
      { timeout: 60_000 }
    )
  }
})
