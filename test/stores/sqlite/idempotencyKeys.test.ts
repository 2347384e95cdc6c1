/** Idempotency keys in the database (I1): across processes, in groups that fail, and when their table is damaged. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { beforeAll, describe, expect } from "vitest"
import type { AppendResult, EventStore } from "../../../src/stores/EventStore.ts"
import type { EventStoreError } from "../../../src/stores/EventStoreError.ts"
import { checkIdempotency } from "../../../src/stores/internal/idempotency.ts"
import { normaliseEvents } from "../../../src/stores/internal/normaliseEvents.ts"
import { commitGroup, prepareRequest } from "../../../src/stores/sqlite/groupCommit.ts"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import { event, failsWith, logOf, numbersOf, range, times } from "../../../src/testing/conformance/expectations.ts"
import { compilePrograms } from "../../support/compiled.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"
import { ownLog } from "./ownLog.ts"
import { rawConnection, startAppender, tamper } from "./processes.ts"

const underKey = { idempotencyKey: "k" }

/** The calls at once; the number of what each recorded, or the tag of what it failed with. */
const atOnce = (calls: ReadonlyArray<Effect.Effect<AppendResult, EventStoreError>>) =>
  Effect.forEach(
    calls,
    (call) =>
      call.pipe(
        Effect.map((result): unknown => result.firstSequenceNumber),
        Effect.catchTag("EventStoreError", ({ reason }) => Effect.succeed(reason._tag))
      ),
    { concurrency: "unbounded" }
  )

const keysOf = (file: string) =>
  Effect.map(rawConnection(file), (connection) =>
    connection.prepare("SELECT key FROM evolvent_idempotency ORDER BY key").pluck().all()
  )

describe("one key called at once", () => {
  beforeAll(compilePrograms, 90_000)

  itEffect("by two stores on one file is recorded once, and both get its result", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const stores = [yield* SqliteStore.make({ file }), yield* SqliteStore.make({ file, indexEvery: 1 })]
      for (const round of range(1, 20)) {
        const idempotencyKey = `round ${round}`
        const results = yield* Effect.all(
          times(6, (index) => stores[index % 2]!.append([event("A", { round }), event("B")], { idempotencyKey })),
          { concurrency: "unbounded" }
        )
        for (const result of results) expect(result).toEqual(results[0])
        for (const store of stores) expect(numbersOf(yield* logOf(store))).toEqual(range(1, 2 * round))
      }
    })
  )

  itEffect("by four processes is recorded once, and all get its number", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const processes = yield* Effect.forEach(range(1, 4), () =>
        startAppender({ file, type: "A", count: 50, key: "k" })
      )
      for (const process of processes) yield* process.ready
      for (const process of processes) yield* process.go
      for (const process of processes) expect(yield* process.end).toBe("done")
      for (const process of processes) expect(process.numbers).toEqual(range(1, 50))
      expect(numbersOf(yield* logOf(yield* SqliteStore.make({ file })))).toEqual(range(1, 50))
    })
  )
})

for (const indexEvery of [1, 1_024]) {
  describe(`a group of calls on a store that indexes every ${indexEvery}`, () => {
    itEffect("that the database refuses as a whole leaves no key behind", () =>
      Effect.gen(function* () {
        const file = yield* temporaryFile
        const store = yield* SqliteStore.make({ file, indexEvery })
        const connection = yield* rawConnection(file)
        const sale = (number: number) => store.append([event("Sold", number)], { idempotencyKey: `k${number}` })
        connection.exec(
          `CREATE TRIGGER refuse_all BEFORE INSERT ON evolvent_idempotency BEGIN SELECT RAISE(ROLLBACK, 'no'); END`
        )
        expect(yield* atOnce([...range(1, 5).map(sale), sale(1), store.append([event("Alone")])])).toEqual([
          ...times(6, () => "StoreUnavailable"),
          1
        ])
        expect(yield* keysOf(file)).toEqual([])
        connection.exec("DROP TRIGGER refuse_all")
        const other = (number: number) => store.append([event("Other", number)], { idempotencyKey: `k${number}` })
        expect(yield* atOnce([...range(1, 5).map(other), other(1)])).toEqual([2, 3, 4, 5, 6, 2])
        expect(yield* keysOf(file)).toEqual(["k1", "k2", "k3", "k4", "k5"])
      })
    )

    itEffect("keeps the keys of those that succeed, and not of the one that the database refuses", () =>
      Effect.gen(function* () {
        const file = yield* temporaryFile
        const store = yield* SqliteStore.make({ file, indexEvery })
        const connection = yield* rawConnection(file)
        connection.exec(`CREATE TRIGGER refuse_bad BEFORE INSERT ON evolvent_events WHEN NEW.event_type = 'Bad'
          BEGIN SELECT RAISE(ABORT, 'no'); END`)
        const call = (eventType: string, idempotencyKey: string) => store.append([event(eventType)], { idempotencyKey })
        const verdicts = yield* atOnce([
          call("A", "a"),
          call("Bad", "b"),
          call("A", "a"),
          call("B", "b"),
          call("B", "b")
        ])
        expect(verdicts).toEqual([1, "StoreUnavailable", 1, 2, 2])
        expect(yield* keysOf(file)).toEqual(["a", "b"])
        expect(numbersOf(yield* logOf(yield* SqliteStore.make({ file, indexEvery })))).toEqual([1, 2])
      })
    )
  })
}

describe("what is stored of a key", () => {
  itEffect("is what other versions store as well: the SHA-256 of a canonical text, and the range", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const store = yield* SqliteStore.make({ file })
      yield* store.append([event("Opened")])
      const sold = {
        eventType: "Sold",
        payload: { a: { c: "\u00e9", b: 1 }, '"': [null, 0.1] },
        tags: ["x", "t"],
        eventId: "0192F0C1-2A3B-7C4D-8E5F-60718293A4B5",
        metadata: { actor: "ann" }
      }
      yield* store.append([sold, { eventType: "Paid", payload: null, schemaVersion: 3 }], underKey)
      const rows = (yield* rawConnection(file)).prepare("SELECT * FROM evolvent_idempotency").raw().all()
      expect(rows).toEqual([["k", "bc2fe2b524334e14730d6370cea0dcbd8d6e1db3b01b90a74a7b4066a9bc6283", 2, 3]])
    })
  )
})

describe("a lost answer to a commit", () => {
  itEffect("leaves in doubt what was new, under the id of its first copy, and nothing that was known before", () =>
    Effect.gen(function* () {
      const log = yield* ownLog
      const request = (eventType: string, key: string) => {
        const events = Result.getOrThrow(
          normaliseEvents([{ eventType, payload: 1 }], "events", { millis: 1, maxPayloadBytes: 100 })
        )
        const idempotency = Result.getOrThrow(checkIdempotency(key, events))
        return prepareRequest({ batches: [events], condition: undefined, idempotency, pathOf: () => "events" })
      }
      const verdictsOf = (...group: Parameters<typeof commitGroup>[1]) =>
        commitGroup(log, group, 1) as Exclude<ReturnType<typeof commitGroup>, { readonly _tag: "Locked" }>
      const [known] = verdictsOf(request("A", "a"))
      log.commit = () => {
        throw Object.assign(new Error("the answer is lost"), { code: "SQLITE_IOERR_FSYNC" })
      }
      const first = request("B", "b")
      const [again, lost, copy, refused] = verdictsOf(
        request("A", "a"),
        first,
        request("B", "b"),
        request("Other", "a")
      )
      expect(again).toEqual(known)
      const commitId = first.request.batches[0]![0]!.eventId
      for (const verdict of [lost, copy]) {
        expect(verdict).toMatchObject({ failure: { _tag: "CommitUnknown", commitId } })
      }
      expect(refused).toMatchObject({ failure: { _tag: "IdempotencyMismatch" } })
    })
  )
})

describe("a damaged key", () => {
  const keyed = (file: string, use: (store: EventStore) => Effect.Effect<unknown, EventStoreError>) =>
    Effect.scoped(Effect.flatMap(SqliteStore.make({ file, indexEvery: 2 }), use))

  /** Four events in batches of two, the second one under a key, and what was done to that. */
  const damagedBy = (sql: string) =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      yield* keyed(file, (store) =>
        Effect.andThen(
          store.append([event("A"), event("B")]),
          Effect.andThen(store.append([event("C"), event("D")], underKey), store.append([event("E"), event("F")]))
        )
      )
      yield* tamper(file, sql)
      return file
    })

  const set = (columns: string) => `UPDATE evolvent_idempotency SET ${columns}`
  const range = (first: number, last: number) => set(`first_sequence_number = ${first}, last_sequence_number = ${last}`)
  const damages: ReadonlyArray<readonly [name: string, number: number, sql: string]> = [
    ["names events after the log's end", 7, range(7, 8)],
    ["names events across the log's end", 5, range(5, 7)],
    ["names an event before the log", 0, range(0, 2)],
    ["names a negative number", -3, range(-3, 4)],
    ["names more than exists anywhere", 3, set(`last_sequence_number = ${Number.MAX_SAFE_INTEGER}`)],
    ["names a range that ends before it begins", 3, range(3, 2)],
    ["names a part of an append", 3, range(3, 3)],
    ["names the end of an append", 4, range(4, 4)],
    ["names two appends", 3, range(3, 6)],
    [
      "names events after the log's end, as their append does",
      3,
      `${range(3, 9)}; UPDATE evolvent_events SET batch_end = 9 WHERE sequence_number IN (3, 4)`
    ],
    ["has an empty fingerprint", 3, set("fingerprint = ''")],
    ["has a fingerprint that is none", 3, set("fingerprint = upper(fingerprint)")],
    ["names an event that cannot be read", 4, "UPDATE evolvent_events SET payload = '{' WHERE sequence_number = 4"]
  ]
  for (const [name, number, sql] of damages) {
    itEffect(`that ${name} is CorruptLog, and nothing is recorded`, () =>
      Effect.gen(function* () {
        const file = yield* damagedBy(sql)
        const repeat = keyed(file, (store) => store.append([event("C"), event("D")], underKey))
        expect((yield* failsWith("CorruptLog", repeat)).sequenceNumber).toBe(number)
        const heads = (yield* rawConnection(file)).prepare("SELECT max(sequence_number) FROM evolvent_events")
        expect(heads.pluck().get()).toBe(6)
      })
    )
  }

  itEffect("does not disturb other appends", () =>
    Effect.gen(function* () {
      const file = yield* damagedBy(range(7, 8))
      const store = yield* SqliteStore.make({ file })
      const verdicts = yield* atOnce([
        store.append([event("G")]),
        store.append([event("C"), event("D")], underKey),
        store.append([event("H")], { idempotencyKey: "other" })
      ])
      expect(verdicts).toEqual([7, "CorruptLog", 8])
    })
  )
})
