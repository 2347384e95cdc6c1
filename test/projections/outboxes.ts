/** What tests of outboxes share: events to react to, a reactor, effects that are watched and that fail on demand. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as EventCatalog from "../../src/decider/EventCatalog.ts"
import * as Reactor from "../../src/decider/Reactor.ts"
import type { Definition, Occasion, Outbox, RunningOutbox, RunOptions } from "../../src/projections/Outbox.ts"
import * as Outboxes from "../../src/projections/Outbox.ts"
import { run } from "../../src/projections/OutboxWorker.ts"
import type { NewEvent } from "../../src/stores/Event.ts"
import { EventStore } from "../../src/stores/EventStore.ts"
import type { EventStoreError } from "../../src/stores/EventStoreError.ts"
import type { OutboxEntry } from "../../src/stores/WorkspaceTables.ts"
import { event, inTime } from "../../src/testing/conformance/expectations.ts"

export const Guests = EventCatalog.make({
  Invited: Schema.Struct({ guest: Schema.String }),
  Excused: Schema.Struct({ guest: Schema.String })
})

/** A letter to every guest that is invited, and a copy to the host; nothing to a guest named "nobody". */
export const letters = Reactor.make({
  name: "letters",
  events: Guests,
  query: Guests.query("Invited"),
  react: { Invited: ({ guest }) => (guest === "nobody" ? [] : [{ to: guest }, { to: "host", about: guest }]) }
})

/** A card to every guest that is invited. */
export const cards = Reactor.make({
  name: "cards",
  events: Guests,
  query: Guests.query("Invited"),
  react: { Invited: ({ guest }) => [{ to: `${guest} by card` }] }
})

export interface Letter {
  readonly to: string
}

export const invited = (...guests: ReadonlyArray<string>): ReadonlyArray<NewEvent> =>
  guests.map((guest) => event("Invited", { guest }))

/** An attempt as an effect saw it. */
export interface Attempt extends Occasion {
  readonly to: string
}

/** Its message is computed, and that fails. */
export class Unreadable extends Error {
  override get message(): string {
    throw new TypeError("no message")
  }
}

/** Quick to give up and quick to try again. */
export const impatient = {
  start: "beginning",
  timeout: "300 millis",
  lease: "200 millis",
  backOff: { first: "1 millis", most: "4 millis" }
} as const

/** An outbox of letters that keeps its attempts; `send` is what an attempt does. */
export const watched = <R = never>(
  options: Partial<Definition<Letter, R>> = {},
  send: (attempt: Attempt) => Effect.Effect<unknown, unknown, R> = () => Effect.void
) => {
  const attempts: Array<Attempt> = []
  const outbox: Outbox<Letter, R> = Outboxes.make<Letter, R>({
    reactor: letters,
    ...impatient,
    ...options,
    carryOut: ({ to }, occasion) =>
      Effect.suspend(() => {
        const attempt = { to, ...occasion }
        attempts.push(attempt)
        return send(attempt)
      })
  })
  return { attempts, outbox, to: () => attempts.map(({ to }) => to) }
}

/** Runs an outbox on a store; it ends with the scope. */
export const running = <Reaction, R>(
  store: EventStore,
  outbox: Outbox<Reaction, R>,
  options: RunOptions = { poll: "20 millis" }
): Effect.Effect<RunningOutbox<Reaction>, EventStoreError, Exclude<R, EventStore> | Scope.Scope> =>
  Effect.provideService(run(outbox, options), EventStore, store)

/** Runs an outbox until it has settled everything that is in the log. */
export const runToEnd = <Reaction>(store: EventStore, outbox: Outbox<Reaction>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const outboxRun = yield* running(store, outbox)
      yield* settledNow(store, outboxRun)
    })
  )

/** Waits until everything that is in the log is settled. */
export const settledNow = (store: EventStore, { settled }: RunningOutbox<unknown>) =>
  Effect.flatMap(store.workspace.head, (head) => inTime(settled(head), "the outbox is settled"))

/** What is stored. */
export const entriesOf = (
  store: EventStore,
  reactor = "letters",
  dead = false
): Effect.Effect<ReadonlyArray<OutboxEntry>, EventStoreError> =>
  store.workspace.transaction(({ outbox }) => outbox.list(reactor, dead, 10_000))

/** Waits until the effect gives something that the condition holds for. */
export const until = <A, E, R>(
  what: string,
  effect: Effect.Effect<A, E, R>,
  holds: (value: A) => boolean
): Effect.Effect<A, E, R> =>
  inTime(
    Effect.gen(function* () {
      while (true) {
        const value = yield* effect
        if (holds(value)) return value
        yield* Effect.sleep("2 millis")
      }
    }),
    what
  )
