/** Workers are killed in the middle of their transactions, again and again: what they count is the log, exactly. */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { beforeAll, describe } from "vitest"
import { eventually, inTime, range } from "../../src/testing/conformance/expectations.ts"
import { compilePrograms } from "../support/compiled.ts"
import { itEffect } from "../support/it.ts"
import { called, postgresLog, sqliteLog, startCounting } from "./processes.ts"
import { eventuallyEqual } from "./sales.ts"

const kills = 20

const sumTo = (last: number) => [last, (last * (last + 1)) / 2] as const

for (const [name, log] of [
  ["sqlite", sqliteLog],
  ["postgres", postgresLog]
] as const) {
  describe(`workers on ${name} that are killed`, () => {
    beforeAll(compilePrograms, 90_000)

    itEffect(
      `have counted every event once after ${kills} kills, while others append`,
      () =>
        Effect.gen(function* () {
          const shared = yield* log
          const start = startCounting(shared, { lease: 500, delay: 2 })
          const state = { isOver: false }
          const appending = yield* Effect.forkScoped(
            Effect.gen(function* () {
              while (!state.isOver) {
                yield* shared.store.append([called(), called()])
                yield* Effect.sleep("10 millis")
              }
            })
          )
          const alive = yield* Effect.all([start, start, start], { concurrency: "unbounded" })
          for (const kill of range(1, kills)) {
            // While it catches up, in a transaction of many batches; or later, when each batch has a transaction of its own.
            const least = kill % 4 === 0 ? 1 : 60
            const handling = () =>
              alive.findIndex(({ lines }) => lines.filter((line) => line.startsWith("handling")).length >= least)
            yield* eventually(`somebody handles events, kill ${kill}`, () => handling() >= 0)
            const [victim] = alive.splice(handling(), 1)
            // Wherever it is by then: in a handler, in its COMMIT, behind it, or between two batches.
            yield* Effect.sleep((kill * 7) % 20)
            yield* victim!.kill
            alive.push(yield* start)
          }
          const ended = alive.filter(({ hasEnded }) => hasEnded())
          assert.equal(ended.length, 0, "some workers have ended by themselves")
          state.isOver = true
          yield* inTime(Fiber.join(appending), "appending ends")
          const head = yield* shared.store.workspace.head
          assert.ok(head > 2 * kills)
          // However busy the machine is: as long as something is counted, the rest is waited for.
          for (let before = -1, now = 0; now !== before && now < head; [now] = yield* shared.counted) {
            before = now
            yield* Effect.ignore(
              Effect.timeout(eventuallyEqual("the rest is counted", shared.counted, sumTo(head)), "10 seconds")
            )
          }
          const said = alive.map(
            ({ hasEnded, lines }) => `${hasEnded() ? "ended" : "alive"}: ${lines.slice(-3).join(", ")}`
          )
          assert.deepStrictEqual(yield* shared.counted, sumTo(head), said.join("; "))
        }),
      { timeout: 90_000 }
    )
  })
}
