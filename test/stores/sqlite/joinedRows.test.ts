/** Rows are read many at a time, and one by one where a payload is large: the answer is the same. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import type { NewEvent } from "../../../src/stores/Event.ts"
import { joinedColumns } from "../../../src/stores/sqlite/joinedRows.ts"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import { range } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"
import { rawConnection } from "./processes.ts"

/** A payload of so many bytes in all, half of them in characters of two. */
const ofBytes = (bytes: number) => "é".repeat((bytes - 2) / 4) + "x".repeat((bytes - 2) / 2)

const payloads: ReadonlyArray<unknown> = [
  "],[",
  '"],["\\\u2028\n',
  [[], {}, [null]],
  JSON.parse('{"__proto__":[1]}'),
  { "]": "[", "a,b": [true, -0.5, 1e300] },
  "🎟",
  ofBytes(65_534),
  ofBytes(65_538)
]

const eventOf = (number: number): NewEvent => ({
  eventType: number % 5 === 0 ? 'Type "],["' : "Plain",
  schemaVersion: number % 11 === 0 ? number : 1,
  payload: payloads[(number * 3) % 31] ?? { number },
  // Of the numbers from 200 on, plain ones only: short, then long.
  tags: number % 3 === 0 ? [] : [`tag:${number}`, number < 200 ? '"],["' : number < 400 ? "é" : "x".repeat(13)],
  metadata: number % 4 === 0 ? {} : { correlationId: '"},{"' }
})

describe("a log of events large and small", () => {
  itEffect("is read as it was appended", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const batches = [range(1, 64), range(65, 65), range(66, 130), range(131, 500)]
      const appended = yield* Effect.scoped(
        Effect.flatMap(SqliteStore.make({ file, indexEvery: 1 }), (store) =>
          Effect.forEach(batches, (numbers) => store.append(numbers.map(eventOf)))
        )
      )
      const store = yield* SqliteStore.make({ file, indexEvery: 1 })
      const { eventRecords } = yield* store.query()
      expect(eventRecords).toEqual(appended.flatMap((result) => result.eventRecords))
    })
  )

  itEffect("has rows that are joined and rows that are not", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const store = yield* SqliteStore.make({ file })
      yield* store.append(payloads.slice(-2).map((payload) => ({ eventType: "Large", payload })))
      const database = yield* rawConnection(file)
      const joined = database.prepare(`SELECT ${joinedColumns} FROM evolvent_events WHERE sequence_number = ?`).pluck()
      const lengths = [1, 2].map((number) => (JSON.parse((joined.get(number) as string) ?? "[]") as Array<unknown>)[4])
      expect(lengths).toEqual([[payloads.at(-2)], undefined])
    })
  )
})
