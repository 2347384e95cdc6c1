/** Whatever a record holds, it comes back from the arena's text as it went in, frozen, and with its own id and batch. */
import assert from "node:assert/strict"
import * as Result from "effect/Result"
import { it } from "vitest"
import type { EventRecord, JsonValue, NewEvent } from "../../../src/stores/Event.ts"
import { record } from "../../../src/stores/internal/appending.ts"
import { normaliseEvents } from "../../../src/stores/internal/normaliseEvents.ts"
import { RecordArena } from "../../../src/stores/memory/RecordArena.ts"
import { assertDeeplyFrozen } from "../../../src/testing/conformance/expectations.ts"

const rules = { millis: 1_700_000_000_000, maxPayloadBytes: 8_388_608 }

const events: ReadonlyArray<NewEvent> = [
  { eventType: "A", payload: null },
  { eventType: "A", payload: "[]", tags: [] },
  { eventType: "{}", payload: { a: [1, { b: '\u0001\n"\\' }], "": {} }, tags: ["a", '"', "\\u0000", "{}"] },
  { eventType: "\u{1f39f}", payload: ["\u00e9", "\u4e2d", "\u{1f39f}"], tags: ["\u{1f39f}", "\u00e9"] },
  {
    eventType: "A",
    payload: {},
    metadata: { "": "", actor: "\u00e9\n", b: "{}" },
    schemaVersion: 9_007_199_254_740_991
  },
  {
    eventType: "Plain",
    payload: {
      2: [true, false, null, [], {}],
      a: { b: "", "c d": ["~", " "] },
      n: [0, -1, 1.5, 1e21, 5e-324, 2 ** 53]
    },
    tags: ["a:1", "b c"],
    metadata: { actor: "me", correlationId: "1" }
  },
  { eventType: "A", payload: JSON.parse('{"__proto__":{"toJSON":1},"a":"\u007f"}') as JsonValue },
  { eventType: "A", payload: "\u4e2d".repeat(2_000_000), eventId: "00000000-0000-0000-0000-000000000001" }
]

/** Records of which none is among the newest, which are kept as objects. */
const oldRecords = (): { readonly arena: RecordArena; readonly records: ReadonlyArray<EventRecord> } => {
  const many = Array.from({ length: 1_000 }, () => ({ eventType: "Later", payload: 1 }))
  const normalised = Result.getOrThrow(normaliseEvents([...events, ...many], "events", rules))
  const { eventRecords } = record(normalised, 0, 1_700_000_000_001)
  const arena = new RecordArena()
  for (const each of eventRecords) arena.push(each, each.sequenceNumber + 1)
  return { arena, records: eventRecords.slice(0, events.length) }
}

it("gives back what it was given", () => {
  const { arena, records } = oldRecords()
  for (const [place, expected] of records.entries()) {
    const found = arena.at(place)
    assert.notEqual(found, expected)
    assert.deepStrictEqual(found, expected)
    assertDeeplyFrozen(found, "a record")
    assert.equal(arena.eventId(place), expected.eventId)
    assert.equal(arena.batchEnd(place), expected.sequenceNumber + 1)
  }
})

it("gives back what lies at the end of a buffer and at the beginning of the next", () => {
  const letters = Array.from({ length: 5_000 }, (_, index) => ({ eventType: "A", payload: "x".repeat(1_000 + index) }))
  const { eventRecords } = record(Result.getOrThrow(normaliseEvents(letters, "events", rules)), 0, 1)
  const arena = new RecordArena()
  for (const each of eventRecords) arena.push(each, each.sequenceNumber)
  for (const [place, expected] of eventRecords.entries()) assert.deepStrictEqual(arena.at(place), expected)
})
