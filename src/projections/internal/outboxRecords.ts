/** The events that reactions react to, read from the log a few at a time: what is leased lies close together. */
import * as Effect from "effect/Effect"
import type { ReactorPart } from "../../decider/Reactor.ts"
import type { EventRecord } from "../../stores/Event.ts"
import type { EventQuery } from "../../stores/EventQuery.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import type { OutboxKey } from "../../stores/WorkspaceTables.ts"
import type { Workspace } from "../../stores/Workspace.ts"
import { ReactedEventMissing } from "../OutboxError.ts"

/** Records to read at once, about. */
const pageSize = 32

export class ReactedRecords {
  private readonly workspace: Workspace
  private readonly queries: ReadonlyMap<string, EventQuery>
  /** By reactor, the records that were read last. */
  private readonly read = new Map<string, ReadonlyMap<number, EventRecord>>()

  constructor(workspace: Workspace, parts: ReadonlyArray<ReactorPart<unknown>>) {
    this.workspace = workspace
    this.queries = new Map(parts.map(({ name, query }) => [name, query]))
  }

  /** The event that an entry reacts to. */
  find({ reactor, sequenceNumber }: OutboxKey): Effect.Effect<EventRecord, EventStoreError | ReactedEventMissing> {
    const known = this.read.get(reactor)?.get(sequenceNumber)
    if (known !== undefined) return Effect.succeed(known)
    return Effect.flatMap(
      this.workspace.page(this.queries.get(reactor)!, sequenceNumber - 1, pageSize),
      ({ batches }) => {
        const records = new Map(batches.flat().map((record) => [record.sequenceNumber, record]))
        this.read.set(reactor, records)
        const found = records.get(sequenceNumber)
        return found === undefined
          ? Effect.fail(new ReactedEventMissing({ reactor, sequenceNumber }))
          : Effect.succeed(found)
      }
    )
  }
}
