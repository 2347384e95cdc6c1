/** Appends within the contract's limits that no message to PostgreSQL can hold. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { event, failsWith, logOf, times } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownSchema } from "../../support/postgres.ts"

describe("an append of more JSON than a message holds", () => {
  itEffect("is refused before anything is sent", () =>
    Effect.gen(function* () {
      const { schema, url } = yield* ownSchema
      const store = yield* PostgresStore.make({ url, schema, listen: false })
      const large = event("Large", "€".repeat(349_000))
      const events = times(520, () => large)
      const { path, actual } = yield* failsWith("LimitExceeded", store.append(events))
      expect(path).toBe("events")
      expect(actual).toBeGreaterThan(520 * 1_047_000)
      expect(yield* logOf(store)).toEqual([])
    })
  )
})
