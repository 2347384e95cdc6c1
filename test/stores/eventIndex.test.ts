/** Ids are indexed when somebody asks for one, whatever was added, forgotten and asked for before. */
import assert from "node:assert/strict"
import * as fc from "fast-check"
import { it } from "vitest"
import type { EventRecord } from "../../src/stores/Event.ts"
import { EventIndex } from "../../src/stores/internal/EventIndex.ts"

const recordOf = (sequenceNumber: number, eventId: string): EventRecord => ({
  sequenceNumber,
  eventId,
  eventType: "A",
  schemaVersion: 1,
  payload: null,
  tags: [],
  metadata: {},
  occurredAt: 0
})

const command = fc.oneof(
  fc.record({ kind: fc.constant("add" as const), value: fc.nat(3) }),
  fc.constant({ kind: "ask" as const, value: 0 }),
  fc.record({ kind: fc.constant("truncate" as const), value: fc.nat(5) })
)

it("knows an id exactly while one of its records has it", () => {
  fc.assert(
    fc.property(fc.constantFrom(0, 3, 2 ** 52), fc.array(command, { maxLength: 40 }), (base, commands) => {
      const index = new EventIndex(base)
      const ids: Array<string> = []
      for (const { kind, value } of commands) {
        if (kind === "add") {
          ids.push(`id-${value}`)
          index.add(recordOf(base + ids.length, `id-${value}`), base + ids.length)
        } else if (kind === "truncate") {
          ids.length = Math.max(0, ids.length - value)
          index.truncate(base + ids.length)
        } else {
          for (let id = 0; id <= 3; id++) assert.equal(index.hasId(`id-${id}`), ids.includes(`id-${id}`))
        }
      }
    }),
    { numRuns: 1_000 }
  )
})
