/** Reads that wait for the database when the store closes are answered. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe } from "vitest"
import { withTags } from "../../../src/stores/EventQuery.ts"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import type { EventStoreError } from "../../../src/stores/EventStoreError.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { closable, event, eventually, failsWith } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownSchema } from "../../support/postgres.ts"
import { proxyTo } from "../../support/postgresProxy.ts"

const reads: Readonly<Record<string, (store: EventStore) => Effect.Effect<unknown, EventStoreError>>> = {
  "a query": (store) => store.query(withTags("context")),
  "the start of a stream": (store) => store.streamAll(() => Effect.void)
}

describe("closing while the database has not answered", () => {
  for (const [name, read] of Object.entries(reads)) {
    itEffect(`answers ${name}`, () =>
      Effect.gen(function* () {
        const { schema, url } = yield* ownSchema
        const proxy = yield* proxyTo(url)
        const { close, store } = yield* closable(PostgresStore.make({ url: proxy.url, schema, listen: false }))
        yield* store.append([event("A", null, ["context"])])
        let asked = 0
        proxy.setRule(({ direction, text, type }) => {
          if (direction === "toClient" && asked > 0) return { hold: Effect.sleep("200 millis") }
          if (direction === "toServer" && type === "B" && text.includes("_read")) asked++
          return "forward"
        })
        const reading = yield* Effect.forkDetach(read(store), { startImmediately: true })
        yield* eventually("the database is asked", () => asked > 0)
        yield* close
        yield* failsWith("StoreClosed", Fiber.join(reading))
      })
    )
  }
})
