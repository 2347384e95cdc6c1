/**
 * What is read at once is bounded by the payloads too: a consumer that is behind holds some megabytes, however large the events
 * are, and misses none of them.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect } from "vitest"
import type { EventRecord } from "../../src/stores/Event.ts"
import { EventIndex } from "../../src/stores/internal/EventIndex.ts"
import type { NormalisedQuery } from "../../src/stores/internal/normaliseQuery.ts"
import { everything, normaliseQuery } from "../../src/stores/internal/normaliseQuery.ts"
import type { LogReader } from "../../src/stores/internal/reading.ts"
import { readPage } from "../../src/stores/internal/reading.ts"
import { RecordArray } from "../../src/stores/internal/RecordList.ts"
import { RecordArena } from "../../src/stores/memory/RecordArena.ts"
import { openDatabase } from "../../src/stores/sqlite/database.ts"
import { checkSqliteOptions } from "../../src/stores/sqlite/options.ts"
import { SqliteLog } from "../../src/stores/sqlite/SqliteLog.ts"
import * as SqliteStore from "../../src/stores/sqlite/SqliteStore.ts"
import { event, range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"

const large = "x".repeat(1_000_000)
const count = 40

/** As many of these as it takes to have 8 MiB. */
const fitting = 9

const queries: ReadonlyArray<readonly [name: string, query: NormalisedQuery]> = [
  ["all events", everything],
  ["events by their tag", Result.getOrThrow(normaliseQuery({ filters: [{ tags: ["large"] }] }, "query"))],
  ["events by their type", Result.getOrThrow(normaliseQuery({ filters: [{ eventTypes: ["Large"] }] }, "query"))]
]

/** The sequence numbers of each page, from the beginning of the log to its end. */
const pagesOf = (reader: LogReader, query: NormalisedQuery) =>
  Effect.gen(function* () {
    const pages: Array<ReadonlyArray<number>> = []
    for (let position = 0; position < count;) {
      const page = yield* readPage(reader, query, position, 1_000)
      pages.push(page.batches.flatMap((batch) => batch.map(({ sequenceNumber }) => sequenceNumber)))
      position = page.position
    }
    return pages
  })

const recordOf = (sequenceNumber: number): EventRecord => ({
  sequenceNumber,
  eventId: `0192f0c1-2a3b-7c4d-8e5f-6071829300${sequenceNumber + 10}`,
  eventType: "Large",
  schemaVersion: 1,
  payload: large,
  tags: ["large"],
  metadata: {},
  occurredAt: 0
})

describe("a run in memory", () => {
  for (const [name, list] of [
    ["that holds records", () => new RecordArray()],
    ["that holds their text", () => new RecordArena()]
  ] as const) {
    itEffect(`${name} is read in pages of about 8 MiB`, () =>
      Effect.gen(function* () {
        const run = new EventIndex(0, list())
        for (const number of range(1, count)) run.add(recordOf(number), number, large.length)
        const reader: LogReader = {
          head: Effect.succeed(count),
          up: (query, span, limit) => Effect.succeed(run.up(query, span, limit)),
          down: () => Effect.die("is not asked for")
        }
        for (const [asked, query] of queries) {
          const pages = yield* pagesOf(reader, query)
          expect(pages.flat(), asked).toEqual(range(1, count))
          expect(Math.max(...pages.map(({ length }) => length)), asked).toBeLessThanOrEqual(fitting)
        }
      })
    )
  }
})

describe("a log in SQLite", () => {
  itEffect("is read in pages of about 8 MiB", () =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "evolvent-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const file = join(folder, "log.db")
      const store = yield* SqliteStore.make({ file, indexEvery: 1 })
      for (const _ of range(1, count)) yield* store.append([event("Large", large, ["large"])])
      const settings = Result.getOrThrow(checkSqliteOptions({ file }))
      const database = openDatabase(settings)
      yield* Effect.addFinalizer(() => Effect.sync(() => database.close()))
      const log = new SqliteLog(database, settings.tablePrefix, 1)
      const reader: LogReader = {
        head: Effect.sync(() => log.refresh()),
        up: (query, span, limit) => Effect.sync(() => log.up(query, span, limit)),
        scan: (query, span, rows) => Effect.sync(() => log.scanFor(query, span, rows)),
        down: () => Effect.die("is not asked for")
      }
      log.refresh()
      expect(log.recent.base).toBeGreaterThan(count / 2)
      for (const [asked, query] of queries) {
        const pages = yield* pagesOf(reader, query)
        expect(pages.flat(), asked).toEqual(range(1, count))
        expect(Math.max(...pages.map(({ length }) => length)), asked).toBeLessThanOrEqual(fitting)
      }
      for (let upTo = count; upTo > 0;) {
        const { match, position } = log.down(queries[1]![1], { after: 0, upTo })
        if (match !== undefined) expect(match).toBe(upTo)
        upTo = (match ?? position + 1) - 1
      }
    })
  )
})
