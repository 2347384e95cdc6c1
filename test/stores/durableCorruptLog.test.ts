/** A log with a row that is missing or unreadable stops a durable stream with `CorruptLog`: it never skips, and goes on when that is mended (L2, D2). */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { describe, expect } from "vitest"
import { EventStoreError } from "../../src/stores/EventStoreError.ts"
import * as Query from "../../src/stores/EventQuery.ts"
import * as SqliteStore from "../../src/stores/sqlite/SqliteStore.ts"
import {
  closable,
  event,
  eventuallyState,
  inTime,
  range,
  recorder
} from "../../src/testing/conformance/expectations.ts"
import type { OpenStore } from "../../src/testing/index.ts"
import { itEffect } from "../support/it.ts"
import { temporaryFile } from "../support/stores.ts"
import { indexedThrough, ownLog } from "./postgres/logs.ts"
import { tamper } from "./sqlite/processes.ts"

interface Damageable {
  readonly open: OpenStore
  /** Waits until the index reaches so far: a store that opens the log does not read what is in there. */
  readonly indexed: (through: number) => Effect.Effect<void>
  /** Changes rows behind everybody's back; `events` is the log. */
  readonly tamper: (...sql: ReadonlyArray<string>) => Effect.Effect<void>
}

const sqlite: Effect.Effect<Damageable, never, Scope.Scope> = Effect.map(temporaryFile, (file) => ({
  open: SqliteStore.make({ file, indexEvery: 1 }),
  indexed: () => Effect.void,
  tamper: (...sql) => tamper(file, ...sql.map((text) => text.replaceAll(" events", " evolvent_events")))
}))

const postgres: Effect.Effect<Damageable, never, Scope.Scope> = Effect.map(
  ownLog,
  ({ open, query, schema, tamper }) => ({
    open: open({ indexEvery: 1 }),
    indexed: (through) => indexedThrough(query, schema, through),
    tamper
  })
)

const damages = [
  ["is missing", "DELETE FROM events WHERE sequence_number = 8"],
  ["is unreadable", "UPDATE events SET payload = '{' WHERE sequence_number = 8"]
] as const

for (const [name, make] of [
  ["sqlite", sqlite],
  ["postgres", postgres]
] as const) {
  describe(`a durable stream of a log on ${name}`, () => {
    for (const [what, damage] of damages) {
      itEffect(`in which an event ${what} stops before it, and goes on when it is back`, () =>
        Effect.gen(function* () {
          const log: Damageable = yield* make
          const first = yield* closable(log.open)
          for (const index of range(1, 6)) {
            yield* first.store.append([event("Counted", { index }, ["all"]), event("Counted", { index }, ["all"])])
          }
          yield* log.indexed(12)
          yield* first.close
          const streams = [
            ["of everything", Query.all, recorder()],
            ["of a tag", Query.withTags("all"), recorder()]
          ] as const
          yield* log.tamper("CREATE TABLE kept AS SELECT * FROM events WHERE sequence_number = 8", damage)
          for (const [stream, query, received] of streams) {
            const broken = yield* closable(log.open)
            const stopped = yield* broken.store.streamToDurable({ name: stream }, query, received.handler)
            yield* eventuallyState(stopped, "stopped")
            const { lastError, position } = yield* stopped.status
            expect(lastError).toBeInstanceOf(EventStoreError)
            expect((lastError as EventStoreError).reason).toMatchObject({ _tag: "CorruptLog", sequenceNumber: 8 })
            expect(position).toBeLessThan(8)
            expect(received.batches.flat().every(({ sequenceNumber }) => sequenceNumber < 8)).toBe(true)
            yield* broken.close
          }
          yield* log.tamper("DELETE FROM events WHERE sequence_number = 8", "INSERT INTO events SELECT * FROM kept")
          const mended = yield* log.open
          for (const [stream, query, received] of streams) {
            const again = yield* mended.streamToDurable({ name: stream }, query, received.handler)
            yield* inTime(again.caughtUp, "the stream catches up")
            expect(received.numbers()).toEqual(range(1, 6).map((batch) => [2 * batch - 1, 2 * batch]))
          }
        })
      )
    }
  })
}
