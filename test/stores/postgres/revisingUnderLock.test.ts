/**
 * A decision that is made again under the log's lock: it stands on the context as it is there, it is recorded once or not at all
 * whatever happens to its messages, and whoever waits gets the lock afterwards.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { describe, expect } from "vitest"
import type { NewEvent } from "../../../src/stores/Event.ts"
import { withTags } from "../../../src/stores/EventQuery.ts"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { event, inTime } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownSchema } from "../../support/postgres.ts"
import type { Action } from "../../support/postgresProxy.ts"
import { forwardAll, proxyTo } from "../../support/postgresProxy.ts"
import type { Direction } from "../../support/wireProtocol.ts"

const context = withTags("context")
const decidedOn = (version: number | null): ReadonlyArray<NewEvent> => [event("Decided", { version }, ["context"])]

const setUp = Effect.gen(function* () {
  const { schema, url } = yield* ownSchema
  const proxy = yield* proxyTo(url)
  const other = yield* PostgresStore.make({ url, schema })
  const options = { schema, listen: false, answerTimeout: 300, lockTimeout: 2_000, resolveTimeout: 10_000 }
  const store = yield* PostgresStore.make({ url: proxy.url, ...options })
  yield* other.append([event("Begun", 0, ["context"])])
  return { other, proxy, store }
})

/** Decides on a context that somebody else changes just before, so that it is decided again. */
const decide = (store: EventStore, other: EventStore) =>
  Effect.gen(function* () {
    const { currentContextVersion, headSequenceNumber } = yield* other.query(context)
    yield* other.append([event("Disturbed", 0, ["context"])])
    return yield* Effect.exit(
      inTime(
        store.appendBatchesIf([decidedOn(currentContextVersion)], context, currentContextVersion, {
          headSequenceNumber,
          revise: ({ actual }) => [decidedOn(actual)]
        }),
        "the decision is answered"
      )
    )
  })

/** Every decision in the log was made on the event of the context just before it. Gives how many there are. */
const expectSoundDecisions = (store: EventStore) =>
  Effect.map(store.query(context), ({ eventRecords }) => {
    for (const [index, { eventType, payload }] of eventRecords.entries()) {
      if (eventType === "Decided") expect(payload).toEqual({ version: eventRecords[index - 1]!.sequenceNumber })
    }
    return eventRecords.filter(({ eventType }) => eventType === "Decided").length
  })

describe("a decision that is made again under the lock", () => {
  itEffect("is recorded once or not at all, whatever happens to its messages", () =>
    Effect.gen(function* () {
      const { other, proxy, store } = yield* setUp
      yield* decide(store, other)
      const recorded = proxy.record()
      expect(Exit.isSuccess(yield* decide(store, other))).toBe(true)
      const messages = [...recorded]
      let decisions = yield* expectSoundDecisions(other)
      for (const direction of ["toServer", "toClient"] as const) {
        for (let n = 0; n < count(messages, direction); n++) {
          for (const cut of ["before", "after"] as const) {
            proxy.setRule(atMessage(direction, n, { cut }))
            const exit = yield* decide(store, other)
            proxy.setRule(forwardAll)
            const recordedNow = (yield* expectSoundDecisions(other)) - decisions
            expect(recordedNow, `${cut} ${direction} ${n}`).toBe(Exit.isSuccess(exit) ? 1 : 0)
            decisions += recordedNow
          }
        }
      }
      expect(count(messages, "toServer")).toBeGreaterThan(10)
      expect(Exit.isSuccess(yield* decide(store, other))).toBe(true)
    })
  )

  itEffect("of several at once is made on the one before it", () =>
    Effect.gen(function* () {
      const { other, store } = yield* setUp
      const answers = yield* Effect.all(
        Array.from({ length: 6 }, (_, index) => decide(index % 2 === 0 ? store : other, other)),
        { concurrency: "unbounded" }
      )
      expect(answers.every(Exit.isSuccess)).toBe(true)
      expect(yield* expectSoundDecisions(other)).toBe(6)
    })
  )
})

const count = (messages: ReadonlyArray<{ readonly direction: Direction }>, direction: Direction): number =>
  messages.filter((message) => message.direction === direction).length

/** The fault at the `n`th message that way, whatever the connection. */
const atMessage = (direction: Direction, n: number, action: Action) => {
  let seen = 0
  return (message: { readonly direction: Direction }): Action =>
    message.direction === direction && seen++ === n ? action : "forward"
}
