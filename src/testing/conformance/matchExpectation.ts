/**
 * One expectation for every place where a query is evaluated: reads, context versions, the check of a conditional append,
 * live streams and the pure matcher must agree on which events match.
 */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { NewEvent } from "../../stores/Event.ts"
import * as Query from "../../stores/EventQuery.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import { event, failsWith, inTime, logOf, numbersOf, recorder } from "./expectations.ts"

/** Appends the candidates in one append and gives the check: the query matches exactly the candidates at these indexes. */
export const candidates = Effect.fnUntraced(function* (store: EventStore, events: ReadonlyArray<NewEvent>) {
  const head = (yield* store.query()).headSequenceNumber ?? 0
  yield* store.append(events)
  return (query: Query.EventQuery, indexes: ReadonlyArray<number>) =>
    matchesExactly(
      store,
      query,
      indexes.map((index) => head + 1 + index)
    )
})

const matchesExactly = Effect.fnUntraced(function* (
  store: EventStore,
  query: Query.EventQuery,
  numbers: ReadonlyArray<number>
) {
  const what = JSON.stringify(query).slice(0, 200)
  const version = numbers.at(-1) ?? null
  const result = yield* store.query(query)
  assert.deepStrictEqual(numbersOf(result.eventRecords), numbers, `the query ${what}`)
  assert.equal(result.currentContextVersion, version, `the version of ${what}`)
  const cursor = yield* store.query(Query.after(query, Number.MAX_SAFE_INTEGER))
  assert.equal(cursor.currentContextVersion, version, `the version of ${what} with a read cursor`)

  const beyond = (result.headSequenceNumber ?? 0) + 1
  const conflict = yield* failsWith(
    "ConditionalAppendConflict",
    store.appendIf([event("Probe")], query, beyond, { headSequenceNumber: 0, conflictTail: true })
  )
  assert.equal(conflict.actual, version, `the conflict of ${what}`)
  assert.deepStrictEqual(numbersOf(conflict.tail!), numbers, `the conflict's tail of ${what}`)

  const log = yield* logOf(store)
  const pure = log.filter((record) => Query.matches(query, record))
  assert.deepStrictEqual(numbersOf(pure), numbers, `the matcher of ${what}`)
})

/** Registers a stream, appends the events in one append, and expects exactly those at the indexes as one batch. */
export const streams = Effect.fnUntraced(function* (
  store: EventStore,
  query: Query.EventQuery,
  events: ReadonlyArray<NewEvent>,
  indexes: ReadonlyArray<number>
) {
  const recording = recorder()
  const stream = yield* store.streamTo(query, recording.handler)
  const { eventRecords } = yield* store.append(events)
  yield* inTime(stream.caughtUp, "the stream catches up")
  const expected = indexes.map((index) => eventRecords[index])
  assert.deepStrictEqual(recording.batches, expected.length === 0 ? [] : [expected])
})
