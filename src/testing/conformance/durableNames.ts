/** Names of durable streams: what may be one, which query it belongs to, and that it is active once in a store (D4, D5). */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type { EventQuery } from "../../stores/EventQuery.ts"
import * as Query from "../../stores/EventQuery.ts"
import { onStore } from "./ConformanceCase.ts"
import { event, eventually, failsWith, hostile, inTime, range, recorder, stateOf, times } from "./expectations.ts"

const sold = (buyer: string) => event("Sold", { buyer })
const ignore = () => Effect.void

/** Queries that mean the same, one group a row. */
const equivalent: ReadonlyArray<ReadonlyArray<EventQuery>> = [
  [Query.all, {}, { filters: [] }, { filters: [{}] }, { filters: [{ tags: [] }, { tags: ["a"] }] }],
  [
    { filters: [{ tags: ["a", "b"], eventTypes: ["A", "B"] }, { eventTypes: ["C"] }] },
    { filters: [{ eventTypes: ["C", "C"] }, { eventTypes: ["B", "A"], tags: ["b", "a", "b"] }, { eventTypes: ["C"] }] }
  ],
  [
    { filters: [{ payloadPredicates: [{ b: 1, a: { d: 2, c: 3 } }, "x"] }] },
    { filters: [{ payloadPredicates: ["x", { a: { c: 3, d: 2 }, b: 1 }] }] }
  ],
  [{ filters: [{ eventTypes: [] }] }, { filters: [{ payloadPredicates: [] }, { eventTypes: [], tags: ["a"] }] }]
]

/** Queries that look alike and are not the same. */
const different: ReadonlyArray<EventQuery> = [
  {},
  { filters: [{ eventTypes: [] }] },
  { filters: [{ eventTypes: ["a"] }] },
  { filters: [{ eventTypes: ["A"] }] },
  { filters: [{ eventTypes: ["a", "b"] }] },
  { filters: [{ eventTypes: ["a,b"] }] },
  { filters: [{ eventTypes: ["a"] }, { eventTypes: ["b"], tags: ["a"] }] },
  { filters: [{ tags: ["a"] }] },
  { filters: [{ payloadPredicates: ["a"] }] },
  { filters: [{ payloadPredicates: [{ a: 1 }] }] },
  { filters: [{ payloadPredicates: [{ a: "1" }] }] },
  { filters: [{ payloadPredicates: [[1, 2]] }] },
  { filters: [{ payloadPredicates: [1, 2] }] },
  // Longer than what is kept as it is.
  { filters: [{ tags: times(128, (index) => `a rather long tag ${index}`) }] },
  { filters: [{ tags: times(128, (index) => `a rather long tag ${index + 1}`) }] }
]

/** Different names, each of which means itself only. */
const names = [
  "a",
  "A",
  "a ",
  " a",
  "a\n",
  "\u00e9",
  "e\u0301",
  "%",
  "_",
  "NULL",
  "null",
  "__proto__",
  "constructor",
  "'; DROP TABLE evolvent_cursors; --",
  '"quoted"',
  "back\\slash",
  "{a,b}",
  "stream a",
  "\u{1f3ab}",
  "x".repeat(255),
  "\u00e9".repeat(127)
]

export const durableNames = [
  onStore(
    "D4",
    "a name belongs to its query: another one is DurableStreamMismatch, and the store goes on working",
    (store) =>
      Effect.gen(function* () {
        const [first, other, again] = [recorder(), recorder(), recorder()]
        yield* store.append([sold("ann"), event("Paid")])
        const stream = yield* store.streamToDurable({ name: "sales" }, Query.ofTypes("Sold"), first.handler)
        yield* first.received(1)
        yield* stream.unsubscribe
        for (const query of [Query.ofTypes("Paid"), Query.ofTypes("Sold", "Paid"), Query.all]) {
          const reason = yield* failsWith(
            "DurableStreamMismatch",
            store.streamToDurable({ name: "sales" }, query, ignore)
          )
          assert.equal(reason.stream, "sales")
        }
        yield* failsWith("DurableStreamMismatch", store.streamAllDurable({ name: "sales" }, ignore))
        yield* store.append([sold("bob")])
        yield* store.streamToDurable({ name: "payments" }, Query.ofTypes("Paid"), other.handler)
        yield* store.streamToDurable({ name: "sales" }, Query.ofTypes("Sold"), again.handler)
        yield* Effect.all([other.received(1), again.received(1)])
        assert.deepStrictEqual([first.numbers(), other.numbers(), again.numbers()], [[[1]], [[2]], [[3]]])
      })
  ),
  onStore("D4", "queries that differ only in the order or repetition of their parts are the same query", (store) =>
    Effect.gen(function* () {
      for (const [row, queries] of equivalent.entries()) {
        for (const query of queries) {
          const stream = yield* store.streamToDurable({ name: `row ${row}` }, query, ignore, { lease: "1 hour" })
          yield* stream.unsubscribe
        }
      }
    })
  ),
  onStore("D4", "queries that differ are told apart", (store) =>
    Effect.gen(function* () {
      for (const [index, query] of different.entries()) {
        const name = `query ${index}`
        yield* (yield* store.streamToDurable({ name }, query, ignore)).unsubscribe
        yield* Effect.forEach(different, (other, at) =>
          at === index
            ? Effect.void
            : failsWith("DurableStreamMismatch", store.streamToDurable({ name }, other, ignore), `${name} and ${at}`)
        )
      }
    })
  ),
  onStore("D5", "a name is active once in a store, and the one that is goes on", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* store.streamAllDurable({ name: "all" }, recording.handler)
      for (const refused of [
        store.streamAllDurable({ name: "all" }, ignore),
        store.streamToDurable({ name: "all" }, Query.ofTypes("Sold"), ignore)
      ]) {
        assert.equal((yield* failsWith("DurableStreamActive", refused)).stream, "all")
      }
      yield* store.append([sold("ann")])
      yield* recording.received(1)
    })
  ),
  onStore("D5", "of registrations at once exactly one succeeds", (store) =>
    Effect.gen(function* () {
      const recordings = times(8, () => recorder())
      yield* store.append([sold("ann")])
      const results = yield* Effect.all(
        recordings.map(({ handler }) => Effect.result(store.streamAllDurable({ name: "all" }, handler))),
        { concurrency: "unbounded" }
      )
      const reasons = results.filter(Result.isFailure).map((result) => result.failure.reason._tag)
      assert.deepStrictEqual(
        reasons,
        times(7, () => "DurableStreamActive")
      )
      const winner = recordings[results.findIndex(Result.isSuccess)]!
      yield* winner.received(1)
      assert.equal(recordings.flatMap(({ batches }) => batches).length, 1)
    })
  ),
  onStore("D5", "a name is free again when its stream is unsubscribed, at once and however long the lease", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* Effect.forEach(range(1, 5), (index) =>
        Effect.gen(function* () {
          // In the moment in which it is made.
          yield* (yield* store.streamAllDurable({ name: "all" }, recording.handler, { lease: "1 hour" })).unsubscribe
          const stream = yield* store.streamAllDurable({ name: "all" }, recording.handler, { lease: "1 hour" })
          yield* store.append([event("Sold", { index })])
          yield* recording.received(index)
          yield* inTime(stream.caughtUp, "the stream catches up")
          yield* stream.unsubscribe
        })
      )
      assert.deepStrictEqual(
        recording.numbers(),
        range(1, 5).map((number) => [number])
      )
    })
  ),
  onStore("D5", "a stream that takes the name while the old handler runs begins when that has ended", (store) =>
    Effect.gen(function* () {
      const steps: Array<string> = []
      const release = yield* Deferred.make<void>()
      yield* store.append([sold("ann")])
      yield* store.append([sold("bob")])
      const handler = (name: string, until: Effect.Effect<void>) => () =>
        Effect.gen(function* () {
          steps.push(`${name} begins`)
          yield* until
          steps.push(`${name} ends`)
        })
      const options = { lease: "1 second" } as const
      const old = yield* store.streamAllDurable({ name: "all" }, handler("old", Deferred.await(release)), options)
      yield* eventually("the old handler runs", () => steps.length === 1)
      yield* old.unsubscribe
      const next = yield* store.streamAllDurable({ name: "all" }, handler("new", Effect.void), options)
      // Longer than the lease: it is kept for as long as the old handler runs.
      yield* Effect.sleep("1500 millis")
      assert.deepStrictEqual([steps, yield* stateOf(next)], [["old begins"], "waiting"])
      yield* Deferred.succeed(release, undefined)
      yield* inTime(next.caughtUp, "the new stream catches up")
      assert.deepStrictEqual(steps, ["old begins", "old ends", "new begins", "new ends"])
    })
  ),
  onStore("D5", "a registration that is interrupted leaves the name free", (store) =>
    Effect.gen(function* () {
      const recording = recorder()
      yield* store.append([sold("ann")])
      for (const turns of range(0, 12)) {
        const options = { lease: "100 millis" } as const
        const registering = yield* Effect.forkChild(
          store.streamAllDurable({ name: "all" }, () => Effect.fail("no"), options),
          {
            startImmediately: true
          }
        )
        yield* Effect.forEach(range(1, turns), () => Effect.yieldNow)
        yield* Fiber.interrupt(registering)
        const made = registering.pollUnsafe()
        if (made?._tag === "Success") yield* made.value.unsubscribe
      }
      const stream = yield* store.streamAllDurable({ name: "all" }, recording.handler)
      yield* inTime(stream.caughtUp, "the stream catches up")
      assert.deepStrictEqual(recording.numbers(), [[1]])
    })
  ),
  onStore("7", "names of durable streams are matched exactly", (store) =>
    Effect.gen(function* () {
      yield* store.append([sold("ann")])
      const recordings = yield* Effect.forEach(names, (name) => {
        const recording = recorder()
        return Effect.as(store.streamAllDurable({ name }, recording.handler), recording)
      })
      for (const recording of recordings) yield* recording.received(1)
      yield* failsWith("DurableStreamActive", store.streamAllDurable({ name: "__proto__" }, ignore))
      assert.deepStrictEqual(
        recordings.map((recording) => recording.numbers()),
        names.map(() => [[1]])
      )
    })
  ),
  onStore("7", "what cannot be a name is refused", (store) =>
    Effect.gen(function* () {
      for (const name of ["", 7, null, undefined, {}, ["a"], "a\u0000b", "\ud800"]) {
        const reason = yield* failsWith("InvalidInput", store.streamAllDurable({ name: hostile(name) }, ignore))
        assert.equal(reason.path, "stream.name", JSON.stringify(name))
      }
      for (const name of ["x".repeat(256), "\u00e9".repeat(128)]) {
        const reason = yield* failsWith("LimitExceeded", store.streamAllDurable({ name }, ignore))
        assert.deepStrictEqual([reason.path, reason.limit, reason.actual], ["stream.name", 255, 256])
      }
      for (const stream of [undefined, null, "all", 7]) {
        yield* failsWith("InvalidInput", store.streamAllDurable(hostile(stream), ignore))
      }
    })
  ),
  onStore(
    "7",
    "queries and options of durable streams are checked, and what is refused leaves nothing behind",
    (store) =>
      Effect.gen(function* () {
        const recording = recorder()
        yield* store.append([sold("ann")])
        const to = (query: unknown, options?: unknown) =>
          store.streamToDurable({ name: "all" }, hostile(query), ignore, options as never)
        for (const [path, refused] of [
          ["query.minSequenceNumber", to(Query.after(Query.all, 1))],
          ["query", to(null)],
          ["query", to(undefined)],
          ["query.filters", to({ filters: "all" })],
          ["query.filters[0].eventTypes[0]", to({ filters: [{ eventTypes: [""] }] })],
          ["options.start", to({}, { start: "end" })],
          ["options.start", to({}, { start: 0 })],
          ...[0, -1, 99, 86_400_001, Number.NaN, Number.POSITIVE_INFINITY, "soon", {}].map(
            (lease) => ["options.lease", to({}, { lease })] as const
          )
        ] as const) {
          assert.equal((yield* failsWith("InvalidInput", refused)).path, path)
        }
        yield* failsWith("LimitExceeded", to({ filters: times(257, () => ({ tags: ["a"] })) }))
        yield* store.streamToDurable({ name: "all" }, Query.ofTypes("Sold"), recording.handler, {
          lease: 100,
          start: "beginning"
        })
        yield* recording.received(1)
      })
  )
]
