/** The text that is written byte by byte is the one that JSON has, and the terms made on the way are those of the record. */
import * as fc from "fast-check"
import { expect, it } from "vitest"
import type { EventRecord, JsonValue } from "../../../src/stores/Event.ts"
import { termsOf } from "../../../src/stores/internal/terms.ts"
import { PlainWriter } from "../../../src/stores/memory/PlainWriter.ts"

const plain = fc.string({ maxLength: 12 }).filter((text) => /^[ !#-[\]-~]*$/.test(text))
const anyText = fc.oneof({ weight: 20, arbitrary: plain }, fc.string({ unit: "binary", maxLength: 3 }))
const number = fc.oneof(fc.nat(), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }))
const { payload } = fc.letrec<{ payload: JsonValue }>((tie) => ({
  payload: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(anyText, number, fc.boolean(), fc.constant(null)),
    fc.array(tie("payload"), { maxLength: 4 }),
    fc.dictionary(anyText, tie("payload"), { maxKeys: 6 })
  )
}))

const records: fc.Arbitrary<EventRecord> = fc.record({
  sequenceNumber: fc.constant(1),
  eventId: fc.uuid(),
  eventType: anyText,
  schemaVersion: fc.constant(1),
  payload,
  tags: fc.array(anyText, { maxLength: 3 }),
  metadata: fc.dictionary(anyText, anyText, { maxKeys: 2 }),
  occurredAt: fc.constant(0)
})

/** Every text of the record, keys too. */
const textsOf = ({ eventType, metadata, payload, tags }: EventRecord): ReadonlyArray<string> => {
  const texts: Array<string> = [eventType, ...tags]
  const gather = (value: JsonValue): void => {
    if (typeof value === "string") texts.push(value)
    else if (Array.isArray(value)) value.forEach(gather)
    else if (value !== null && typeof value === "object") {
      for (const [key, member] of Object.entries(value)) {
        texts.push(key)
        gather(member as JsonValue)
      }
    }
  }
  gather(payload)
  gather(metadata)
  return texts
}

it("writes plain records, and only those", () => {
  const writer = new PlainWriter()
  const bytes = Buffer.alloc(65_536)
  let written = 0
  fc.assert(
    fc.property(records, fc.nat(9), (record, offset) => {
      const terms: Array<number> = []
      const end = writer.write(bytes, offset, record, terms)
      expect(end < bytes.length).toBe(textsOf(record).every((text) => /^[ !#-[\]-~]*$/.test(text)))
      if (end === bytes.length) return
      written++
      const { eventId, eventType, metadata, payload, tags } = record
      const metadataText = Object.keys(metadata).length === 0 ? "" : JSON.stringify(metadata)
      const parts = [eventId, eventType, JSON.stringify(payload), metadataText, ...tags]
      expect(bytes.toString("latin1", offset, end)).toBe(parts.map((part) => `${part}\0`).join(""))
      expect(terms.toSorted()).toEqual([...termsOf(record)].sort())
    }),
    { numRuns: 2_000 }
  )
  expect(written).toBeGreaterThan(500)
})

it("writes nothing past the end of the bytes", () => {
  const writer = new PlainWriter()
  fc.assert(
    fc.property(records, fc.nat(200), (record, room) => {
      const roomy = Buffer.alloc(65_536)
      const end = writer.write(roomy, 0, record, [])
      const bytes = Buffer.alloc(room + 8, 0xff)
      const tight = writer.write(bytes.subarray(0, room), 0, record, [])
      expect(tight).toBe(end < room ? end : room)
      expect(bytes.subarray(room).equals(Buffer.alloc(8, 0xff))).toBe(true)
    })
  )
})
