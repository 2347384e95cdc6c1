/** A projection that only says when its events have arrived. */
import { EventCatalog, Projection } from "evolvent"
import * as Schema from "effect/Schema"
import { now } from "./measure.ts"

export const arrivals = (arrived: (number: number, at: number) => void) =>
  Projection.make({
    name: "arrivals",
    events: EventCatalog.make({ TicketSold: Schema.Unknown }),
    start: "head",
    handle: (events) => {
      const at = now()
      for (const { record } of events) arrived(record.sequenceNumber, at)
    }
  })
