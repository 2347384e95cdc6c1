/** What a durable stream makes of what its handler has done (D3). */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { expect } from "vitest"
import * as MemoryStore from "../../src/stores/memory/MemoryStore.ts"
import * as SqliteStore from "../../src/stores/sqlite/SqliteStore.ts"
import { event, eventuallyState, inTime, numbersOf } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { temporaryFile } from "../support/stores.ts"

itEffect("a handler that has succeeded is not called again where only the cursor could not be moved", () =>
  Effect.gen(function* () {
    const store = yield* SqliteStore.make({ file: yield* temporaryFile })
    const execute = (text: string) => store.workspace.transaction(({ sql }) => sql!.execute(text))
    yield* execute(
      "CREATE TRIGGER full BEFORE UPDATE ON evolvent_cursors WHEN NEW.position > OLD.position BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    const handled: Array<ReadonlyArray<number>> = []
    yield* store.append([event("Sold")])
    const stream = yield* store.streamAllDurable(
      { name: "mail" },
      (batch) => Effect.sync(() => handled.push(numbersOf(batch))),
      { retry: Schedule.spaced("5 millis") }
    )
    const { status } = stream
    yield* inTime(
      Effect.repeat(status, { until: ({ failures }) => failures >= 3, schedule: Schedule.spaced("2 millis") }),
      "the move has failed"
    )
    yield* execute("DROP TRIGGER full")
    yield* store.append([event("Sold")])
    yield* inTime(stream.caughtUp, "it has caught up")
    expect(handled).toEqual([[1], [2]])
  })
)

itEffect("a handler may fail with any value", () =>
  Effect.gen(function* () {
    const store = yield* MemoryStore.make()
    yield* store.append([event("Sold")])
    const stream = yield* store.streamAllDurable({ name: "all" }, () => Effect.fail("over"), {
      retry: Schedule.recurs(1)
    })
    yield* eventuallyState(stream, "stopped")
    expect(yield* stream.status).toMatchObject({ failures: 2, lastError: "over" })
  })
)
