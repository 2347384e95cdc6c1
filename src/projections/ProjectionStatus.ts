/** How a projection is doing. */
import type { StreamStatus } from "../stores/EventStream.ts"

/** One cursor of a projection, as this worker sees it. */
export interface PartitionStatus {
  /** From 0. */
  readonly partition: number
  /** See `StreamStatus`; `waiting` where another worker runs it. */
  readonly state: StreamStatus["state"]
  /** Every event up to this number was handled, parked, or does not concern the partition. */
  readonly position: number
  /** How often the batch that is due has failed so far. */
  readonly failures: number
  /** What it failed with last here; never printed by the worker itself. */
  readonly lastError: unknown
}

export interface ProjectionStatus {
  readonly name: string
  readonly version: number
  /** Whether this version is the one in use. */
  readonly active: boolean
  /** The state of the partition that is worst off: stopped, retrying, paused, waiting, running, in this order. */
  readonly state: StreamStatus["state"]
  /** Of the partition that is furthest behind. */
  readonly position: number
  /** The log's last number when the status was asked for, or a later one that has been looked at; 0 when it is empty. */
  readonly headSequenceNumber: number
  /** Events of the log that were not looked at yet. */
  readonly lag: number
  /** Age of the first of them in milliseconds, by this process's clock; 0 when there is none. */
  readonly lagMs: number
  /** Events a second that this worker has handled, over the last ten seconds. */
  readonly rate: number
  /** What the projection failed with last here, if it has not succeeded since. */
  readonly lastError: unknown
  readonly partitions: ReadonlyArray<PartitionStatus>
}
