/** The index is an accelerator and nothing else: however much of the log it holds, every answer is what the matcher says. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import type { EventQuery } from "../../../src/stores/EventQuery.ts"
import * as Query from "../../../src/stores/EventQuery.ts"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import { event, logOf, numbersOf, range } from "../../../src/testing/conformance/expectations.ts"
import { query } from "../../support/generated.ts"
import { choices, events, expectedOf, large, regular, size, wide } from "../../support/indexedLog.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"
import { rawConnection } from "./processes.ts"

const filled = (indexEvery: number, count = size) =>
  Effect.gen(function* () {
    const file = yield* temporaryFile
    const store = yield* SqliteStore.make({ file, indexEvery })
    for (let start = 0; start < count; start += 250) yield* store.append(events.slice(start, start + 250))
    return { file, store }
  })

describe("a store that indexes every", () => {
  for (const indexEvery of [1, 64, 1_024]) {
    itEffect(`${indexEvery} events answers as the matcher does, before and after it is opened again`, () =>
      Effect.gen(function* () {
        const { file, store } = yield* filled(indexEvery)
        const log = yield* logOf(store)
        expect(numbersOf(log)).toEqual(range(1, size))
        const reopened = yield* SqliteStore.make({ file, indexEvery: 65_536 })
        let proper = 0
        for (let round = 0; round < 120; round++) {
          const asked = round % 2 === 0 ? regular() : query(choices, log.slice(0, 400))
          const after = choices.chance(50) ? 0 : choices.below(size + 2)
          const expected = expectedOf(log, asked, after)
          if (expected.version !== null && expected.numbers.length < size) proper++
          for (const one of [store, reopened]) {
            const answer = yield* one.query(Query.after(asked, after))
            expect(numbersOf(answer.eventRecords), JSON.stringify(asked)).toEqual(expected.numbers)
            expect(answer.currentContextVersion, JSON.stringify(asked)).toBe(expected.version)
          }
        }
        expect(proper).toBeGreaterThan(40)
      })
    )
  }

  itEffect("64 events checks conditions as the matcher does", () =>
    Effect.gen(function* () {
      const { store } = yield* filled(64)
      const log = yield* logOf(store)
      for (let round = 0; round < 60; round++) {
        const asked = round % 2 === 0 ? regular() : query(choices, log.slice(0, 400))
        const seen = choices.below(size + 1)
        const { version } = expectedOf(log, asked, 0, seen)
        const expected = expectedOf(log, asked, seen)
        const result = yield* Effect.result(
          store.appendIf([event("", null)], asked, version, { headSequenceNumber: seen, conflictTail: true })
        )
        // The event is refused, so nothing is appended; the condition is asked for on its own.
        expect(result).toMatchObject({ failure: { reason: { _tag: "InvalidInput" } } })
        if (expected.numbers.length === 0) continue
        const conflict = yield* Effect.flip(
          store.appendIf([event("X")], asked, version, { headSequenceNumber: seen, conflictTail: true })
        )
        expect(conflict.reason).toMatchObject({ _tag: "ConditionalAppendConflict", actual: expected.version })
        const { reason } = conflict
        expect(reason._tag === "ConditionalAppendConflict" && numbersOf(reason.tail!)).toEqual(expected.numbers)
      }
      expect((yield* store.query()).headSequenceNumber).toBe(size)
    })
  )
})

describe("the index", () => {
  itEffect("is written for large payloads too, so that few of them wait in memory, and waits again after it", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const store = yield* SqliteStore.make({ file, indexEvery: 65_536, synchronous: "NORMAL" })
      const indexed = (yield* rawConnection(file)).prepare("SELECT indexed_through FROM evolvent_log").pluck()
      const large = range(1, 4).map((number) => event("Large", `${number}`.repeat(1_000_000)))
      const seen: Array<unknown> = []
      for (let head = 4; head <= 44; head += 4) {
        yield* store.append(large)
        seen.push(indexed.get())
      }
      expect(seen).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 36, 36, 36])
    })
  )
})

describe("an event with more payload scalars than are indexed", () => {
  itEffect("stays findable by each of them, in the store, after opening again, and for stores that are open", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const writer = yield* SqliteStore.make({ file, indexEvery: 1 })
      const before = yield* SqliteStore.make({ file, indexEvery: 1 })
      yield* writer.append(range(1, 50).map((number) => event("Narrow", { number, last: "narrow" }, ["t"])))
      expect((yield* before.query(Query.withPayload({ last: "wide" }))).eventRecords).toEqual([])
      yield* writer.append([event("Wide", wide("wide"), ["t"]), event("Wide", wide("other"), ["t"])])
      yield* writer.append(range(1, 50).map((number) => event("Narrow", { number, last: "narrow" }, ["t"])))
      const after = yield* SqliteStore.make({ file, indexEvery: 1 })
      for (const store of [writer, before, after]) {
        const found = (asked: EventQuery) => Effect.map(store.query(asked), (it) => numbersOf(it.eventRecords))
        expect(yield* found(Query.withPayload({ last: "wide" }))).toEqual([51])
        expect(yield* found(Query.withPayload({ many: { key299: 299 } }))).toEqual([51, 52])
        expect(yield* found(Query.withPayload({ list: [199, 200] }))).toEqual([51, 52])
        expect(yield* found(Query.make({ tags: ["t"], payloadPredicates: [{ last: "other" }] }))).toEqual([52])
        expect(yield* found(Query.make({ eventTypes: ["Narrow"], payloadPredicates: [{ number: 7 }] }))).toEqual([
          7, 59
        ])
        const { currentContextVersion } = yield* store.query(Query.after(Query.withPayload({ last: "wide" }), 100))
        expect(currentContextVersion).toBe(51)
      }
    })
  )
})

describe("a query as large as the contract allows", () => {
  itEffect("is answered over a log that is indexed, and over one that is not", () =>
    Effect.gen(function* () {
      for (const indexEvery of [1, 65_536]) {
        const { store } = yield* filled(indexEvery, 1_000)
        const log = yield* logOf(store)
        for (const [name, asked] of large) {
          const expected = expectedOf(log, asked, 0).numbers
          const answer = yield* store.query(asked)
          expect(numbersOf(answer.eventRecords), name).toEqual(expected)
          expect(expected.length, name).toBeGreaterThan(0)
          const later = yield* store.query(Query.after(asked, 1_000))
          expect(later.currentContextVersion, name).toBe(expected.at(-1))
        }
      }
    })
  )
})
