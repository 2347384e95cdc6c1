import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { describe, expectTypeOf, it } from "vitest"
import type { Dispatcher } from "../../src/dispatch/Dispatcher.ts"
import { dispatch } from "../../src/dispatch/Dispatcher.ts"
import * as Outbox from "../../src/projections/Outbox.ts"
import { layer, run } from "../../src/projections/OutboxWorker.ts"
import type { EventStore } from "../../src/stores/EventStore.ts"
import type { EventStoreError } from "../../src/stores/EventStoreError.ts"
import { deposit } from "../dispatch/accounts.ts"
import { cards } from "./outboxes.ts"

interface Post {
  readonly send: (to: string) => Effect.Effect<void, "full">
}
const Post = Context.Service<Post>("test/Post")

describe("types of an outbox", () => {
  const mailing = Outbox.make({ reactor: cards, carryOut: ({ to }) => Effect.flatMap(Post, (post) => post.send(to)) })
  const dispatching = Outbox.make({
    reactor: cards,
    carryOut: ({ to }, { idempotencyKey }) => dispatch(deposit, { account: to, amount: 1 }, { idempotencyKey })
  })
  const promising = Outbox.make({ reactor: cards, carryOut: (_, { signal }) => Promise.resolve(signal.aborted) })
  const plain = Outbox.make({ reactor: cards, carryOut: () => undefined })

  it("the reaction and the requirement come from the definition", () => {
    expectTypeOf(mailing).toEqualTypeOf<Outbox.Outbox<{ to: string }, Post>>()
    expectTypeOf(dispatching).toEqualTypeOf<Outbox.Outbox<{ to: string }, Dispatcher>>()
    expectTypeOf(promising).toEqualTypeOf<Outbox.Outbox<{ to: string }>>()
    expectTypeOf(plain).toEqualTypeOf<Outbox.Outbox<{ to: string }>>()
    // @ts-expect-error the reactor decides what a reaction is
    Outbox.make({ reactor: cards, carryOut: (reaction: { from: string }) => Effect.succeed(reaction) })
  })

  it("a run requires what its effects require, a layer of several the union", () => {
    expectTypeOf(run(mailing)).toEqualTypeOf<
      Effect.Effect<Outbox.RunningOutbox<{ to: string }>, EventStoreError, EventStore | Post | Scope.Scope>
    >()
    expectTypeOf(layer(mailing, dispatching, plain)).toEqualTypeOf<
      Layer.Layer<never, EventStoreError, EventStore | Post | Dispatcher>
    >()
  })
})
