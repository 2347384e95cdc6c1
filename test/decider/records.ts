import * as Result from "effect/Result"
import type * as EventCatalog from "../../src/decider/EventCatalog.ts"
import type { EventRecord } from "../../src/stores/Event.ts"

/** Records as a store would hold them, numbered from `first`. */
export const record = <C extends EventCatalog.Any>(
  catalog: C,
  events: ReadonlyArray<EventCatalog.Event<C>>,
  first = 1
): ReadonlyArray<EventRecord> =>
  events.map((event, index) => ({
    ...Result.getOrThrow(catalog.encode(event)),
    sequenceNumber: first + index,
    eventId: `00000000-0000-7000-8000-${String(first + index).padStart(12, "0")}`,
    metadata: {},
    occurredAt: 0
  }))

/** A record whose content is given as it is. */
export const rawRecord = (fields: Partial<EventRecord> & Pick<EventRecord, "eventType" | "payload">): EventRecord => ({
  sequenceNumber: 1,
  eventId: "00000000-0000-7000-8000-000000000001",
  schemaVersion: 1,
  tags: [],
  metadata: {},
  occurredAt: 0,
  ...fields
})
