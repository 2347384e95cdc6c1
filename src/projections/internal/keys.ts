/** Which events of a batch are whose: by partition, and by keys behind which something is parked. */
import type { EventBatch, EventRecord } from "../../stores/Event.ts"
import type { Projection } from "../Projection.ts"

/** The key of an event, as the projection gives it. It is stored, so it has to be text that every database takes. */
export const keyOf = ({ key, name }: Projection<unknown>, record: EventRecord): string => {
  const found: unknown = key!(record)
  if (typeof found === "string" && found.isWellFormed() && !found.includes("\0")) return found
  throw new Error(
    `projection ${JSON.stringify(name)}: the key of event ${record.sequenceNumber} must be well-formed text without NUL`
  )
}

/** The events of one partition; batches of which nothing is left are left out. */
export const ofPartition = (
  projection: Projection<unknown>,
  partition: number,
  batches: ReadonlyArray<EventBatch>
): ReadonlyArray<EventBatch> => {
  const { partitions } = projection
  if (partitions === 1) return batches
  return filtered(batches, (record) => hash(keyOf(projection, record)) % partitions === partition)
}

/** Batches without the events that a predicate leaves out; batches of which nothing is left are left out too. */
export const filtered = (
  batches: ReadonlyArray<EventBatch>,
  keep: (record: EventRecord) => boolean
): ReadonlyArray<EventBatch> => batches.map((batch) => batch.filter(keep)).filter((batch) => batch.length > 0)

/** FNV-1a over UTF-16 code units, 32 bits. Part of what is stored: another hash would deal the events out anew. */
const hash = (key: string): number => {
  let value = 0x811c9dc5
  for (let index = 0; index < key.length; index++) {
    value = Math.imul(value ^ key.charCodeAt(index), 0x01000193)
  }
  return value >>> 0
}
