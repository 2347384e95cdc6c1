/** A vouched head is checked from under the log's lock, which nobody else gets meanwhile: only where few events came after it. */
import { expect, it } from "vitest"
import { withTags } from "../../../src/stores/EventQuery.ts"
import { normaliseQuery } from "../../../src/stores/internal/normaliseQuery.ts"
import { RecentEvents } from "../../../src/stores/internal/RecentEvents.ts"
import { normaliseEvents } from "../../../src/stores/internal/normaliseEvents.ts"
import { checkRecent, prepareRequest } from "../../../src/stores/postgres/groupCommit.ts"
import { event } from "../../../src/testing/conformance/expectations.ts"
import * as Result from "effect/Result"

const vouchedFor = (seenHead: number) =>
  prepareRequest({
    batches: [Result.getOrThrow(normaliseEvents([event("A")], "events", { millis: 0, maxPayloadBytes: 1_024 }))],
    condition: {
      query: Result.getOrThrow(normaliseQuery(withTags("context"), "query")),
      expected: 1,
      seenHead,
      conflictTail: false,
      revise: undefined
    },
    idempotency: undefined,
    pathOf: () => "events[0]"
  })

it("a context is looked up through the index where its vouched head is far behind the log's last known number", () => {
  const nothing = new RecentEvents(0)
  expect(checkRecent(vouchedFor(90_000), nothing, 100_000)).toBe(false)
  expect(checkRecent(vouchedFor(10), nothing, 100_000)).toBe(true)
})
