/** The metadata of the command at hand is recorded with every event that it leads to. */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { causedBy, CommandMetadata, withMetadata } from "../../src/dispatch/CommandMetadata.ts"
import type { Accepted } from "../../src/dispatch/Outcome.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"
import { deposit, depositEvent } from "./accounts.ts"
import { atOnce, dispatcherOn } from "./watchedStore.ts"

const command = { account: "a", amount: 1 }

for (const { name, make } of stores) {
  describe(`command metadata on ${name}`, () => {
    const setUp = Effect.gen(function* () {
      const store = yield* make
      const { dispatch } = yield* dispatcherOn(store)
      const recorded = Effect.map(dispatch(deposit, command), (done) => (done as Accepted<unknown>).eventRecords[0]!)
      return { store, recorded }
    })

    itEffect("is empty where nobody said anything", () =>
      Effect.gen(function* () {
        const { recorded } = yield* setUp
        expect((yield* recorded).metadata).toEqual({})
        expect(yield* CommandMetadata).toEqual({})
      })
    )

    itEffect("is what withMetadata says, the inner one over the outer one", () =>
      Effect.gen(function* () {
        const { recorded, store } = yield* setUp
        const outer = withMetadata({ actor: "ada", correlationId: "c1" })
        const inner = withMetadata({ actor: "bob", tenant: "t" })
        expect((yield* outer(inner(recorded))).metadata).toEqual({ actor: "bob", correlationId: "c1", tenant: "t" })
        expect((yield* outer(recorded)).metadata).toEqual({ actor: "ada", correlationId: "c1" })
        expect((yield* recorded).metadata).toEqual({})
        const { eventRecords } = yield* store.query()
        expect(eventRecords.map(({ metadata }) => metadata["actor"])).toEqual(["bob", "ada", undefined])
      })
    )

    itEffect("is each command's own where commands are committed together", () =>
      Effect.gen(function* () {
        const { recorded, store } = yield* setUp
        yield* atOnce(["ada", "bob", "eve"].map((actor) => withMetadata({ actor })(recorded)))
        const { eventRecords } = yield* store.query()
        expect(eventRecords.map(({ metadata }) => metadata)).toEqual([
          { actor: "ada" },
          { actor: "bob" },
          { actor: "eve" }
        ])
      })
    )

    itEffect("names the event that a command was caused by, and hands on its correlation", () =>
      Effect.gen(function* () {
        const { recorded, store } = yield* setUp
        yield* store.append([depositEvent("a", 1)])
        const first = (yield* store.query()).eventRecords[0]!
        const second = yield* causedBy(first)(recorded)
        expect(second.metadata).toEqual({ causationId: first.eventId, correlationId: first.eventId })
        const third = yield* causedBy(second)(recorded)
        expect(third.metadata).toEqual({ causationId: second.eventId, correlationId: first.eventId })
        const fourth = yield* withMetadata({ actor: "ada" })(causedBy(third)(recorded))
        expect(fourth.metadata).toEqual({
          causationId: third.eventId,
          correlationId: first.eventId,
          actor: "ada"
        })
      })
    )
  })
}
