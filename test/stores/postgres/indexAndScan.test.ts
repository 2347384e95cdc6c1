/**
 * The index is an accelerator and nothing else: however much of the log it holds, whoever wrote it, and however much of the log
 * this process knows, every answer is what the matcher says.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import type { EventQuery } from "../../../src/stores/EventQuery.ts"
import * as Query from "../../../src/stores/EventQuery.ts"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import {
  event,
  inTime,
  logOf,
  numbersOf,
  range,
  recorder,
  times
} from "../../../src/testing/conformance/expectations.ts"
import { query as anyQuery } from "../../support/generated.ts"
import { choices, events, expectedOf, large, regular, wide } from "../../support/indexedLog.ts"
import { itEffect } from "../../support/it.ts"
import { ownDatabase, ownRole, rawConnection } from "../../support/postgres.ts"
import { indexedThrough, ownLog } from "./logs.ts"

/** Fewer than the whole log would be, so that the largest memory still does not hold all of it. */
const size = 2_500

const fill = (store: EventStore, count = size) =>
  Effect.forEach(range(0, count / 250 - 1), (part) => store.append(events.slice(part * 250, part * 250 + 250)))

/** The numbers that a query finds. */
const found = (store: EventStore, asked: EventQuery) =>
  Effect.map(store.query(asked), ({ eventRecords }) => numbersOf(eventRecords))

describe("where the index says that events lie", () => {
  const wrong: ReadonlyArray<readonly [name: string, place: string]> = [
    ["is unknown", "NULL"],
    ["is another event's place", "(SELECT e.ctid FROM events AS e WHERE e.sequence_number = 2501 - i.sequence_number)"],
    ["is the same place for all", "'(0,1)'"],
    ["is a place that does not exist", "'(4294967294,7)'"],
    ["is right for some", "CASE WHEN sequence_number % 3 > 0 THEN place END"]
  ]
  for (const [name, place] of wrong) {
    itEffect(`${name}, and every answer is the same`, () =>
      Effect.gen(function* () {
        const { open, query, schema } = yield* ownLog
        yield* fill(yield* open({ indexEvery: 64 }))
        yield* indexedThrough(query, schema, size - 64)
        yield* query(`SET search_path = "${schema}"`)
        yield* query(`UPDATE event_index AS i SET place = ${place}`)
        const store = yield* open({ indexEvery: 65_536 })
        const log = yield* logOf(store)
        for (let round = 0; round < 20; round++) {
          const asked = regular()
          expect(yield* found(store, asked), JSON.stringify(asked)).toEqual(expectedOf(log, asked, 0).numbers)
        }
      })
    )
  }
})

describe("a store that indexes every", () => {
  for (const indexEvery of [1, 64, 2_048]) {
    itEffect(`${indexEvery} events answers as the matcher does, and so do one opened before and one opened after`, () =>
      Effect.gen(function* () {
        const { open } = yield* ownLog
        const store = yield* open({ indexEvery })
        const before = yield* open({ indexEvery })
        yield* fill(store)
        const after = yield* open({ indexEvery: 65_536 })
        const log = yield* logOf(after)
        expect(numbersOf(log)).toEqual(range(1, size))
        let proper = 0
        for (let round = 0; round < 40; round++) {
          const asked = round % 2 === 0 ? regular() : anyQuery(choices, log.slice(0, 400))
          const from = choices.chance(50) ? 0 : choices.below(size + 2)
          const expected = expectedOf(log, asked, from)
          if (expected.version !== null && expected.numbers.length < size) proper++
          const answers = yield* Effect.forEach([store, before, after], (one) => one.query(Query.after(asked, from)), {
            concurrency: "unbounded"
          })
          for (const { currentContextVersion, eventRecords } of answers) {
            expect(numbersOf(eventRecords), JSON.stringify(asked)).toEqual(expected.numbers)
            expect(currentContextVersion, JSON.stringify(asked)).toBe(expected.version)
          }
        }
        expect(proper).toBeGreaterThan(15)
      })
    )
  }

  itEffect("64 events checks conditions as the matcher does", () =>
    Effect.gen(function* () {
      const { open } = yield* ownLog
      const store = yield* open({ indexEvery: 64 })
      yield* fill(store)
      const log = yield* logOf(store)
      let conflicts = 0
      for (let round = 0; round < 40; round++) {
        const asked = round % 2 === 0 ? regular() : anyQuery(choices, log.slice(0, 400))
        const seen = choices.below(size + 1)
        const { version } = expectedOf(log, asked, 0, seen)
        const expected = expectedOf(log, asked, seen)
        if (expected.numbers.length === 0) continue
        conflicts++
        const { reason } = yield* Effect.flip(
          store.appendIf([event("X")], asked, version, { headSequenceNumber: seen, conflictTail: true })
        )
        expect(reason).toMatchObject({ _tag: "ConditionalAppendConflict", actual: expected.version })
        expect(reason._tag === "ConditionalAppendConflict" && numbersOf(reason.tail!)).toEqual(expected.numbers)
      }
      expect(conflicts).toBeGreaterThan(12)
      expect((yield* store.query()).headSequenceNumber).toBe(size)
    })
  )
})

describe("an event with more payload scalars than are indexed", () => {
  itEffect("stays findable by each of them, in the store, after opening again, and for stores that are open", () =>
    Effect.gen(function* () {
      const { open, query, schema } = yield* ownLog
      const writer = yield* open({ indexEvery: 1 })
      const before = yield* open({ indexEvery: 1 })
      const narrow = range(1, 50).map((number) => event("Narrow", { number, last: "narrow" }, ["t"]))
      yield* writer.append(narrow)
      yield* query(`SELECT "${schema}".write_index(100)`)
      expect(yield* found(before, Query.withPayload({ last: "wide" }))).toEqual([])
      yield* writer.append([event("Wide", wide("wide"), ["t"]), event("Wide", wide("other"), ["t"])])
      yield* writer.append(narrow)
      yield* query(`SELECT "${schema}".write_index(100)`)
      const after = yield* open({ indexEvery: 1 })
      for (const store of [writer, before, after]) {
        expect(yield* found(store, Query.withPayload({ last: "wide" }))).toEqual([51])
        expect(yield* found(store, Query.withPayload({ many: { key299: 299 } }))).toEqual([51, 52])
        expect(yield* found(store, Query.withPayload({ list: [199, 200] }))).toEqual([51, 52])
        expect(yield* found(store, Query.make({ tags: ["t"], payloadPredicates: [{ last: "other" }] }))).toEqual([52])
        const sevens = Query.make({ eventTypes: ["Narrow"], payloadPredicates: [{ number: 7 }] })
        expect(yield* found(store, sevens)).toEqual([7, 59])
        const { currentContextVersion } = yield* store.query(Query.after(Query.withPayload({ last: "wide" }), 100))
        expect(currentContextVersion).toBe(51)
      }
    })
  )
})

describe("a query as large as the contract allows", () => {
  itEffect("is answered over a log that is indexed, and over one that is not", () =>
    Effect.gen(function* () {
      for (const indexed of [true, false]) {
        const { open, query, schema } = yield* ownLog
        yield* fill(yield* open({ indexEvery: 65_536 }), 1_000)
        if (indexed) yield* query(`SELECT "${schema}".write_index(1000)`)
        const store = yield* open()
        const log = yield* logOf(store)
        for (const [name, asked] of large) {
          const expected = expectedOf(log, asked, 0).numbers
          expect(yield* found(store, asked), name).toEqual(expected)
          expect(expected.length, name).toBeGreaterThan(0)
          const later = yield* store.query(Query.after(asked, 1_000))
          expect(later.currentContextVersion, name).toBe(expected.at(-1))
        }
      }
    })
  )
})

describe("events too large for one answer", () => {
  /** 16 MiB in 16 events, each under twelve tags. */
  const tags = range(1, 12).map((number) => `tag${number}`)
  const heavy = (number: number) => event("Heavy", { number, text: "x".repeat(1_040_000) }, [...tags, `n:${number}`])
  const heavyLog = (isIndexed: boolean) =>
    Effect.gen(function* () {
      const { open, query, schema } = yield* ownLog
      const writer = yield* open()
      for (const first of [1, 9]) yield* writer.append(range(first, first + 7).map(heavy))
      if (isIndexed) yield* query(`SELECT "${schema}".write_index(16)`)
      return { open, store: yield* open(), writer }
    })

  for (const isIndexed of [true, false]) {
    const name = isIndexed ? "the index" : "a scan"
    itEffect(`come in several, through ${name}, by one way and by many`, () =>
      Effect.gen(function* () {
        const { open, store, writer } = yield* heavyLog(isIndexed)
        const byEach = Query.or(...tags.map((tag) => Query.withTags(tag)))
        for (const asked of [Query.all, Query.withTags("tag1"), byEach, Query.withPayload({})]) {
          expect(yield* inTime(found(store, asked), JSON.stringify(asked))).toEqual(range(1, 16))
        }
        const { currentContextVersion } = yield* store.query(Query.after(byEach, 16))
        expect(currentContextVersion).toBe(16)
        const together = yield* Effect.forEach(range(1, 16), (number) => found(store, Query.withTags(`n:${number}`)), {
          concurrency: "unbounded"
        })
        expect(together).toEqual(range(1, 16).map((number) => [number]))
        const refused = yield* Effect.flip((yield* open()).appendIf([event("X")], byEach, 5, { headSequenceNumber: 5 }))
        expect(refused.reason).toMatchObject({ _tag: "ConditionalAppendConflict", actual: 16 })
        const received = recorder()
        yield* store.streamAll(received.handler)
        yield* writer.append(range(17, 26).map(heavy))
        yield* received.received(1)
        expect(received.numbers()).toEqual([range(17, 26)])
      })
    )
  }
})

describe("a context with many candidates", () => {
  itEffect("is read completely, whether a few hundred or tens of thousands may belong to it", () =>
    Effect.gen(function* () {
      const { open, query, schema } = yield* ownLog
      const writer = yield* open({ indexEvery: 65_536 })
      const scalars = { a: 1, b: 2, c: 3, d: 4 }
      const isSome = (number: number) => number % 35 === 0
      for (const first of [1, 10_001, 20_001]) {
        yield* writer.append(
          range(first, Math.min(first + 9_999, 21_000)).map((number) =>
            event("Many", { ...scalars, e: number % 7_000 }, isSome(number) ? ["many", "some"] : ["many"])
          )
        )
      }
      const rare = Query.make({ tags: ["many"], payloadPredicates: [{ ...scalars, e: 5 }] })
      const cases: ReadonlyArray<readonly [EventQuery, ReadonlyArray<number>]> = [
        [Query.withTags("some"), range(1, 21_000).filter(isSome)],
        [Query.withTags("many"), range(1, 21_000)],
        [rare, [5, 7_005, 14_005]],
        [Query.or(rare, Query.withPayload({ e: 6 })), [5, 6, 7_005, 7_006, 14_005, 14_006]],
        [Query.make({ tags: ["many"], payloadPredicates: [{ ...scalars, e: 7_000 }] }), []]
      ]
      for (const through of [0, 20_500]) {
        yield* query(`SELECT "${schema}".write_index($1)`, [through])
        const store = yield* open({ indexEvery: 65_536 })
        for (const [asked, expected] of cases) {
          expect(yield* found(store, asked)).toEqual(expected)
          const { currentContextVersion } = yield* store.query(Query.after(asked, 21_000))
          expect(currentContextVersion).toBe(expected.at(-1) ?? null)
        }
      }
    })
  )
})

describe("a log that others write and index", () => {
  itEffect("is read as one prefix while it grows, by two readers of which one has long not looked", () =>
    Effect.gen(function* () {
      const { open } = yield* ownLog
      const reader = yield* open({ indexEvery: 8 })
      const sleeper = yield* open({ indexEvery: 8 })
      const writers = yield* Effect.all([open({ indexEvery: 8 }), open({ indexEvery: 65_536 })])
      const writing = yield* Effect.forkScoped(
        Effect.forEach(
          writers,
          (writer) =>
            Effect.forEach(range(1, 80), (round) =>
              writer.append(times(1 + (round % 5), () => event("A", round, [`round:${round % 10}`, "all"])))
            ),
          { concurrency: "unbounded" }
        ),
        { startImmediately: true }
      )
      let looks = 0
      let last = 0
      while (writing.pollUnsafe() === undefined || looks < 5) {
        looks++
        const { eventRecords, headSequenceNumber } = yield* reader.query(Query.withTags("all"))
        expect(numbersOf(eventRecords)).toEqual(range(1, headSequenceNumber ?? 0))
        expect(headSequenceNumber ?? 0).toBeGreaterThanOrEqual(last)
        last = headSequenceNumber ?? 0
        const third = yield* reader.query(Query.withTags("round:3"))
        const expected = (yield* logOf(reader)).filter(({ tags }) => tags.includes("round:3"))
        expect(third.eventRecords).toEqual(expected.slice(0, third.eventRecords.length))
      }
      yield* Fiber.join(writing)
      const log = yield* logOf(reader)
      expect(log).toHaveLength(480)
      for (const round of range(0, 9)) {
        const expected = numbersOf(log.filter(({ tags }) => tags.includes(`round:${round}`)))
        expect(yield* found(sleeper, Query.withTags(`round:${round}`))).toEqual(expected)
      }
    })
  )

  itEffect("is indexed by whoever appends, for those too who never do", () =>
    Effect.gen(function* () {
      const { open, query, schema } = yield* ownLog
      const lazy = yield* open({ indexEvery: 65_536 })
      yield* lazy.append(range(1, 30).map((number) => event("A", number, [`n:${number % 3}`])))
      const eager = yield* open({ indexEvery: 1 })
      yield* eager.append([event("A", 31, ["n:1"])])
      yield* indexedThrough(query, schema, 31)
      const expected = range(1, 31).filter((number) => number % 3 === 1)
      for (const store of [lazy, eager]) expect(yield* found(store, Query.withTags("n:1"))).toEqual(expected)
      yield* lazy.appendIf([event("B", 32, ["n:1"])], Query.withTags("n:1"), 31)
      expect(yield* found(eager, Query.withTags("n:1"))).toEqual([...expected, 32])
    })
  )
})

describe("an index that cannot be written", () => {
  const appendMany = (store: EventStore) =>
    inTime(
      Effect.forEach(range(1, 60), (number) => store.append([event("A", number, [`n:${number % 6}`])])),
      "appends go on"
    )

  itEffect("for want of rights holds up no append, spoils no answer, and is made up for later", () =>
    Effect.gen(function* () {
      const { url } = yield* ownDatabase
      yield* PostgresStore.migrate({ url })
      const { query } = yield* rawConnection(url)
      const { role, url: theirs } = yield* ownRole(url)
      yield* query(`GRANT USAGE ON SCHEMA evolvent TO "${role}"`)
      yield* query(`GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA evolvent TO "${role}"`)
      yield* query(`GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA evolvent TO "${role}"`)
      yield* query(`REVOKE EXECUTE ON FUNCTION evolvent.write_index FROM "${role}"`)
      const store = yield* PostgresStore.make({ url: theirs, indexEvery: 2 })
      yield* appendMany(store)
      const expected = range(1, 60).filter((number) => number % 6 === 1)
      for (const one of [store, yield* PostgresStore.make({ url: theirs })]) {
        expect(yield* found(one, Query.withTags("n:1"))).toEqual(expected)
      }
      expect(yield* query("SELECT FROM evolvent.event_index")).toEqual([])
      yield* query(`GRANT EXECUTE ON FUNCTION evolvent.write_index TO "${role}"`)
      yield* indexedThrough(query, "evolvent", 59)
      expect(yield* found(store, Query.withTags("n:1"))).toEqual(expected)
    })
  )

  itEffect("because somebody holds its lock for ever holds up no append for ever", () =>
    Effect.gen(function* () {
      const { open, query, schema } = yield* ownLog
      const store = yield* open({ indexEvery: 1 })
      yield* query(`SELECT pg_advisory_lock('"${schema}".events'::regclass::oid::int4, 2)`)
      yield* appendMany(store)
      expect(yield* query(`SELECT FROM "${schema}".event_index`)).toEqual([])
      yield* query("SELECT pg_advisory_unlock_all()")
      yield* indexedThrough(query, schema, 60)
    })
  )
})
