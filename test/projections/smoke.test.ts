import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import * as EventCatalog from "../../src/decider/EventCatalog.ts"
import * as Projection from "../../src/projections/Projection.ts"
import * as ProjectionWorker from "../../src/projections/ProjectionWorker.ts"
import { EventStore } from "../../src/stores/EventStore.ts"
import { event } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"

const Events = EventCatalog.make({ Sold: Schema.Struct({ seat: Schema.Int }) })

const sold = Projection.make({
  name: "sold",
  events: Events,
  setup: (sql) => sql.execute("CREATE TABLE IF NOT EXISTS sold_seats (seat bigint PRIMARY KEY, at bigint NOT NULL)"),
  reset: (sql) => sql.execute("DROP TABLE sold_seats"),
  handle: (events, sql) =>
    Effect.forEach(events, ({ event, record }) =>
      sql.execute("INSERT INTO sold_seats VALUES ($1, $2)", [event.payload.seat, record.sequenceNumber])
    )
})

for (const under of stores.slice(1)) {
  describe(under.name, () => {
    itEffect("projects", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        yield* store.workspace.transaction(({ sql }) => sql!.execute("DROP TABLE IF EXISTS sold_seats"))
        for (let seat = 1; seat <= 2_500; seat += 5) {
          yield* store.append([0, 1, 2, 3, 4].map((more) => event("Sold", { seat: seat + more })))
        }
        const worker = yield* Effect.provideService(ProjectionWorker.make({ projections: [sold] }), EventStore, store)
        yield* worker.waitFor("sold", 2_500)
        assert.equal((yield* worker.status(sold)).lag, 0)
        const count = store.workspace.transaction(({ sql }) => sql!.execute("SELECT count(*) AS n FROM sold_seats"))
        assert.deepStrictEqual({ ...(yield* count)[0] }, { n: 2_500 })
        const { lastSequenceNumber } = yield* store.append([event("Sold", { seat: 9_999 })])
        yield* worker.waitFor("sold", lastSequenceNumber)
        assert.deepStrictEqual({ ...(yield* count)[0] }, { n: 2_501 })
        yield* worker.rebuild("sold")
        yield* worker.waitFor("sold", lastSequenceNumber)
        assert.deepStrictEqual({ ...(yield* count)[0] }, { n: 2_501 })
      })
    )
  })
}
