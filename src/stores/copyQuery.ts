/** Queries that are kept for longer than the call that they came with. */
import * as Result from "effect/Result"
import * as EventQuery from "./EventQuery.ts"
import type { EventStoreErrorReason } from "./EventStoreError.ts"
import { normaliseQuery } from "./internal/normaliseQuery.ts"

/** The query as it is now, whatever becomes of what it was made of; without its read cursor. */
export const copyQuery = (query: EventQuery.EventQuery): Result.Result<EventQuery.EventQuery, EventStoreErrorReason> =>
  Result.map(normaliseQuery(query, "query"), ({ filters }) => {
    if (filters === undefined) return EventQuery.all
    return filters.length === 0 ? EventQuery.ofTypes() : { filters }
  })
