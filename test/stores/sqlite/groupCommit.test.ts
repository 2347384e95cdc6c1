/** Calls that wait are committed together, and none of them pays for another's bad luck. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { describe, expect } from "vitest"
import * as Query from "../../../src/stores/EventQuery.ts"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import { InvalidInput } from "../../../src/stores/EventStoreError.ts"
import { checkIdempotency } from "../../../src/stores/internal/idempotency.ts"
import { normaliseEvents } from "../../../src/stores/internal/normaliseEvents.ts"
import { everything, normaliseQuery } from "../../../src/stores/internal/normaliseQuery.ts"
import type { AppendCondition } from "../../../src/stores/internal/StoreBackend.ts"
import { commitGroup, prepareRequest } from "../../../src/stores/sqlite/groupCommit.ts"
import * as SqliteStore from "../../../src/stores/sqlite/SqliteStore.ts"
import { event, logOf, numbersOf, range, recorder } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { temporaryFile } from "../../support/stores.ts"
import { ownLog } from "./ownLog.ts"
import { rawConnection } from "./processes.ts"

/** The calls at once; the type of what each recorded, or the tag of what it failed with. */
const atOnce = (calls: ReadonlyArray<ReturnType<EventStore["append"]>>) =>
  Effect.forEach(
    calls,
    (call) =>
      call.pipe(
        Effect.map(({ eventRecords }) => eventRecords.map((record) => record.eventType).join()),
        Effect.catchTag("EventStoreError", ({ reason }) => Effect.succeed(reason._tag))
      ),
    { concurrency: "unbounded" }
  )

for (const indexEvery of [1, 1_024]) {
  describe(`a group of calls on a store that indexes every ${indexEvery}`, () => {
    const setUp = Effect.gen(function* () {
      const file = yield* temporaryFile
      const store = yield* SqliteStore.make({ file, indexEvery })
      return { file, store }
    })

    itEffect("gets a verdict each, later ones seeing earlier ones", () =>
      Effect.gen(function* () {
        const { store } = yield* setUp
        const id = "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5"
        const seats = Query.withTags("seats")
        const sale = (eventType: string) => [event(eventType, 1, ["seats"])]
        const verdicts = yield* atOnce([
          store.append([{ ...event("First"), eventId: id }]),
          store.append([event("Never"), { ...event("Duplicate"), eventId: id.toUpperCase() }]),
          store.appendIf(sale("Sold"), seats, null),
          store.appendIf(sale("SoldTwice"), seats, null),
          store.append([]),
          store.appendIf(sale("SoldNext"), seats, 2),
          store.append([event("Last", "x".repeat(5_000)), event("Very")])
        ])
        expect(verdicts).toEqual([
          "First",
          "InvalidInput",
          "Sold",
          "ConditionalAppendConflict",
          "EmptyAppend",
          "SoldNext",
          "Last,Very"
        ])
        const log = yield* logOf(store)
        expect(log.map((record) => record.eventType)).toEqual(["First", "Sold", "SoldNext", "Last", "Very"])
        expect(numbersOf(log)).toEqual(range(1, 5))
      })
    )

    itEffect("is committed without the one call that the database itself refuses", () =>
      Effect.gen(function* () {
        const { file, store } = yield* setUp
        yield* store.append([event("Before", 0, ["t"])])
        const connection = yield* rawConnection(file)
        connection.exec(`CREATE TRIGGER refuse_bad BEFORE INSERT ON evolvent_events WHEN NEW.event_type = 'Bad'
          BEGIN SELECT RAISE(ABORT, 'no'); END`)
        const received = recorder()
        yield* store.streamAll(received.handler)
        const verdicts = yield* atOnce([
          store.append([event("A", 1, ["t"])]),
          store.append([event("Good", 2, ["t"]), event("Bad", 2, ["t"]), event("Good", 2, ["t"])]),
          store.appendIf([event("B", 3, ["t"])], Query.withTags("t"), 2),
          store.append([event("Bad")]),
          store.append([event("C", 4, ["t"])])
        ])
        expect(verdicts).toEqual(["A", "StoreUnavailable", "B", "StoreUnavailable", "C"])
        yield* received.received(3)
        expect(received.numbers()).toEqual([[2], [3], [4]])
        const { eventRecords } = yield* store.query(Query.withTags("t"))
        expect(eventRecords.map((record) => record.eventType)).toEqual(["Before", "A", "B", "C"])
        expect((yield* store.query(Query.ofTypes("Bad", "Good"))).currentContextVersion).toBe(null)
        yield* store.appendIf([event("Good")], Query.ofTypes("Bad", "Good"), null)
        yield* store.appendIf([event("D", 5, ["t"])], Query.withTags("t"), 4)
        const reopened = yield* SqliteStore.make({ file, indexEvery })
        expect(yield* logOf(reopened)).toEqual(yield* logOf(store))
        expect((yield* reopened.query(Query.withTags("t"))).eventRecords.length).toBe(5)
        expect((yield* reopened.query(Query.ofTypes("Bad"))).eventRecords).toEqual([])
      })
    )

    itEffect("that the database refuses as a whole fails for each, and leaves nothing behind", () =>
      Effect.gen(function* () {
        const { file, store } = yield* setUp
        const connection = yield* rawConnection(file)
        connection.exec(
          `CREATE TRIGGER refuse_all BEFORE INSERT ON evolvent_events BEGIN SELECT RAISE(ROLLBACK, 'no'); END`
        )
        const verdicts = yield* atOnce(range(1, 5).map((number) => store.append([event("A", number, ["t"])])))
        expect(verdicts).toEqual(Array<string>(5).fill("StoreUnavailable"))
        connection.exec("DROP TRIGGER refuse_all")
        expect(yield* atOnce(range(1, 5).map((number) => store.append([event("B", number, ["t"])])))).toEqual(
          Array<string>(5).fill("B")
        )
        expect((yield* store.query(Query.withTags("t"))).eventRecords).toEqual(yield* logOf(store))
        expect(numbersOf(yield* logOf(store))).toEqual(range(1, 5))
      })
    )

    itEffect("larger than one transaction takes is committed in order all the same", () =>
      Effect.gen(function* () {
        const { store } = yield* setUp
        const calls = range(1, 60).map((call) =>
          store.append(range(1, 200).map((number) => event("Many", { call, number })))
        )
        const results = yield* Effect.all(calls, { concurrency: "unbounded" })
        expect(results.map((result) => result.firstSequenceNumber)).toEqual(range(0, 59).map((call) => call * 200 + 1))
        expect((yield* store.query()).headSequenceNumber).toBe(12_000)
      })
    )

    itEffect("loses a call that is interrupted while it waits, and no other", () =>
      Effect.gen(function* () {
        const { store } = yield* setUp
        const waiting = yield* Effect.forEach(range(1, 5), (number) =>
          Effect.forkScoped(store.append([event("A", number)]), { startImmediately: true })
        )
        waiting[2]!.interruptUnsafe()
        const exits = yield* Effect.forEach(waiting, (fiber) => Fiber.await(fiber))
        expect(exits.map(Exit.isSuccess)).toEqual([true, true, false, true, true])
        expect((yield* logOf(store)).map((record) => record.payload)).toEqual([1, 2, 4, 5])
      })
    )
  })
}

describe("a COMMIT that fails", () => {
  const seats = Result.getOrThrow(normaliseQuery(Query.withTags("seats"), "query"))
  const batchOf = (eventType: string) =>
    Result.getOrThrow(
      normaliseEvents([event(eventType, null, ["seats"])], "events", { millis: 1, maxPayloadBytes: 100 })
    )
  const request = (eventType: string, condition?: Partial<AppendCondition>) =>
    prepareRequest({
      batches: [batchOf(eventType)],
      condition: condition && {
        query: seats,
        expected: null,
        seenHead: undefined,
        conflictTail: false,
        revise: undefined,
        ...condition
      },
      idempotency: undefined,
      pathOf: () => "events"
    })

  /** A log whose next COMMITs fail with these codes. */
  const setUp = (codes: Array<string>) =>
    Effect.gen(function* () {
      const log = yield* ownLog
      const commit = log.commit.bind(log)
      log.commit = () => {
        const code = codes.shift()
        if (code !== undefined) throw Object.assign(new Error("no"), { code })
        commit()
      }
      return {
        log,
        typesOf: () => log.collect(everything, { after: 0, upTo: log.refresh() }).map((it) => it.eventType)
      }
    })

  itEffect("for want of room never records what a call had before it was revised in the same transaction", () =>
    Effect.gen(function* () {
      const { log, typesOf } = yield* setUp(["SQLITE_FULL", "SQLITE_FULL"])
      const revise = () => Result.succeed([batchOf("Second")])
      const verdicts = commitGroup(log, [request("Large"), request("First", { revise })], 1)
      expect(verdicts).toMatchObject([{ failure: { _tag: "StorageFull" } }, { failure: { _tag: "StoreBusy" } }])
      expect(typesOf()).toEqual([])
    })
  )

  itEffect("for want of room records what a call becomes when it is revised again", () =>
    Effect.gen(function* () {
      const { log, typesOf } = yield* setUp(["SQLITE_FULL"])
      let revisions = 0
      const revise = () => Result.succeed([batchOf(`Revision ${++revisions}`)])
      const verdicts = commitGroup(log, [request("Small"), request("First", { revise })], 1)
      expect(verdicts).toMatchObject([{ _tag: "Success" }, { _tag: "Success" }])
      expect(typesOf()).toEqual(["Small", "Revision 2"])
    })
  )

  itEffect(
    "with its outcome unknown leaves in doubt what stands on its events, and nothing that came before them",
    () =>
      Effect.gen(function* () {
        const { log } = yield* setUp(["SQLITE_IOERR_FSYNC"])
        const verdicts = commitGroup(
          log,
          [
            request("Refused", { expected: 7 }),
            request("Sold"),
            request("SoldTwice", {}),
            request("SoldTwice", { revise: () => Result.succeed([]) }),
            request("SoldNext", { revise: () => Result.succeed([batchOf("Revised")]) })
          ],
          1
        )
        expect(verdicts).toMatchObject([
          { failure: { _tag: "ConditionalAppendConflict" } },
          { failure: { _tag: "CommitUnknown" } },
          { failure: { _tag: "StoreUnavailable", retryable: true } },
          { failure: { _tag: "StoreUnavailable", retryable: true } },
          { failure: { _tag: "CommitUnknown" } }
        ])
      })
  )

  /** An append with an id of its own, under a key. */
  const named = (eventType: string, eventId: string, key?: string) => {
    const limits = { millis: 1, maxPayloadBytes: 100 }
    const events = Result.getOrThrow(normaliseEvents([{ ...event(eventType), eventId }], "events", limits))
    const idempotency = Result.getOrThrow(checkIdempotency(key, events))
    return prepareRequest({ batches: [events], condition: undefined, idempotency, pathOf: () => "events" })
  }
  const [one, two, three] = range(1, 3).map((digit) => `0192f0c1-2a3b-7c4d-8e5f-60718293a4b${digit}`)
  const inDoubt = { failure: { _tag: "StoreUnavailable", retryable: true } }

  itEffect(
    "with its outcome unknown leaves in doubt who was refused for a key or an id of its events, and no others",
    () =>
      Effect.gen(function* () {
        const codes: Array<string> = []
        const { log } = yield* setUp(codes)
        commitGroup(log, [named("Known", one!, "known")], 1)
        codes.push("SQLITE_IOERR_FSYNC")
        const verdicts = commitGroup(
          log,
          [
            named("Lost", two!, "lost"),
            named("Other", three!, "lost"),
            named("Other", two!),
            named("Other", three!, "known"),
            named("Other", one!)
          ],
          1
        )
        expect(verdicts).toMatchObject([
          { failure: { _tag: "CommitUnknown" } },
          inDoubt,
          inDoubt,
          { failure: { _tag: "IdempotencyMismatch" } },
          { failure: { _tag: "InvalidInput" } }
        ])
      })
  )

  itEffect("with its outcome unknown leaves in doubt what a revision that saw its events was refused for", () =>
    Effect.gen(function* () {
      const { log } = yield* setUp(["SQLITE_IOERR_FSYNC"])
      const refused = new InvalidInput({ path: "options.revise", problem: "no" })
      const refusing = (expected: number | null) => request("Refused", { expected, revise: () => Result.fail(refused) })
      const dropping = (expected: number | null) => request("Dropped", { expected, revise: () => Result.succeed([]) })
      const verdicts = commitGroup(log, [refusing(7), dropping(7), request("Sold"), refusing(null), dropping(null)], 1)
      expect(verdicts).toMatchObject([
        { failure: { _tag: "InvalidInput" } },
        { success: [] },
        { failure: { _tag: "CommitUnknown" } },
        inDoubt,
        inDoubt
      ])
    })
  )

  itEffect("with its outcome unknown refuses again what stood on the events before it as well", () =>
    Effect.gen(function* () {
      const { log } = yield* setUp(["SQLITE_IOERR_FSYNC"])
      const verdicts = commitGroup(log, [request("Sold"), request("Refused", { expected: 7 })], 1)
      expect(verdicts).toMatchObject([
        { failure: { _tag: "CommitUnknown" } },
        { failure: { _tag: "ConditionalAppendConflict", actual: null, headSequenceNumber: 0 } }
      ])
    })
  )

  itEffect("for want of room refuses nobody for a key or an id that was not taken after all", () =>
    Effect.gen(function* () {
      const { log, typesOf } = yield* setUp(["SQLITE_FULL", "SQLITE_FULL"])
      const verdicts = commitGroup(log, [named("Large", one!, "k"), named("Small", two!, "k"), named("Small", one!)], 1)
      expect(verdicts).toMatchObject([{ failure: { _tag: "StorageFull" } }, { _tag: "Success" }, { _tag: "Success" }])
      expect(typesOf()).toEqual(["Small", "Small"])
    })
  )
})
