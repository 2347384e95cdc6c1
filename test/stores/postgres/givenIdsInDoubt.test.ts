/** An append with an id that another event has is refused, whatever becomes of its first try: it is nobody's earlier try. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { event, failsWith, logOf } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownSchema } from "../../support/postgres.ts"
import { proxyTo } from "../../support/postgresProxy.ts"

const eventId = "01a202cf-5ca4-700c-81a1-1c76227b317f"
const paid = { ...event("Paid", { amount: 1 }), eventId }
const refunded = { ...event("Refunded", { amount: 2 }), eventId }

describe("an append with a taken id whose first try is lost", () => {
  for (const [name, events] of [
    ["is refused though the taken id is the first of its ids", [refunded]],
    ["is refused though it would reach past the log's end", [paid, event("Shipped")]]
  ] as const) {
    itEffect(name, () =>
      Effect.gen(function* () {
        const { schema, url } = yield* ownSchema
        const proxy = yield* proxyTo(url)
        const options = { url: proxy.url, schema, listen: false, answerTimeout: 2_000 }
        const store = yield* PostgresStore.make(options)
        yield* store.append([paid])
        let isCut = false
        proxy.setRule(({ direction, text, type }) => {
          if (isCut || direction === "toClient" || type !== "B" || !text.includes("_append")) return "forward"
          isCut = true
          return { cut: "before" }
        })
        const { path } = yield* failsWith("InvalidInput", store.append(events))
        expect([isCut, path]).toEqual([true, "events[0].eventId"])
        expect((yield* logOf(store)).map(({ eventType }) => eventType)).toEqual(["Paid"])
      })
    )
  }
})
