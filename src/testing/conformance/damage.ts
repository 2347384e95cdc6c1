/** A log with an event that cannot be read: named by whatever would have to read it, never left out (L2). */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { EventQuery } from "../../stores/EventQuery.ts"
import * as Query from "../../stores/EventQuery.ts"
import { onDamagedLog } from "./ConformanceCase.ts"
import { event, failsWith, times } from "./expectations.ts"

const events = times(9, (index) => event("Counted", { index, kind: "count" }, ["all"]))

const queries: ReadonlyArray<readonly [what: string, query: EventQuery]> = [
  ["all events", Query.all],
  ["a type", Query.ofTypes("Counted")],
  ["a tag", Query.withTags("all")],
  ["a payload", Query.withPayload({ kind: "count" })]
]

export const damage = [
  onDamagedLog("L2", "a query that would return an unreadable event fails and names it", (open) =>
    Effect.gen(function* () {
      for (const number of [1, 5]) {
        const opened = yield* Effect.cached(open(events, number))
        for (const [what, query] of queries) {
          const call = Effect.flatMap(opened, (store) => store.query(query))
          assert.equal((yield* failsWith("CorruptLog", call, `a query for ${what}`)).sequenceNumber, number)
        }
      }
    })
  ),
  onDamagedLog("L2", "a conflict whose tail would hold an unreadable event fails and names it", (open) =>
    Effect.gen(function* () {
      const opened = yield* Effect.cached(open(events, 5))
      for (const [what, query] of queries) {
        const call = Effect.flatMap(opened, (store) =>
          store.appendIf([event("Counted")], query, null, { conflictTail: true })
        )
        assert.equal((yield* failsWith("CorruptLog", call, `an append that depends on ${what}`)).sequenceNumber, 5)
      }
    })
  )
]
