/** A process that has not heard of the log for long reads what is new before it takes the log's lock, not under it. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { withTags } from "../../../src/stores/EventQuery.ts"
import { event, failsWith } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownLog } from "./logs.ts"

/** Whoever looks through events under the lock fails from here on. */
const refuseToLook = (schema: string): string => `
CREATE OR REPLACE FUNCTION "${schema}".refuse_changed(
  head int8, least_checked int8, checked_through int8[], alternative_requests int4[], alternative_terms int4[], alls text[], anys text[]
) RETURNS int4[] LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'looked through % events', head - least_checked; END $$`

describe("a process that has not appended for long while others have", () => {
  itEffect("has nothing looked through under the lock", () =>
    Effect.gen(function* () {
      const { open, query, schema } = yield* ownLog
      const [silent, busy] = [yield* open({ listen: false }), yield* open({ listen: false })]
      const context = withTags("context")
      const { lastSequenceNumber } = yield* silent.append([event("A", null, ["context"])])
      const vouched = { headSequenceNumber: lastSequenceNumber }
      yield* busy.append([event("B"), event("B")])
      yield* query(refuseToLook(schema))
      yield* Effect.sleep("1100 millis")
      const appended = yield* silent.appendIf([event("C")], context, lastSequenceNumber, vouched)
      expect(appended.firstSequenceNumber).toBe(4)
      yield* busy.append([event("B", null, ["context"])])
      yield* Effect.sleep("1100 millis")
      const conflict = yield* failsWith(
        "ConditionalAppendConflict",
        silent.appendIf([event("C")], context, lastSequenceNumber, vouched)
      )
      expect(conflict).toMatchObject({ actual: 5, headSequenceNumber: 5 })
    })
  )
})
