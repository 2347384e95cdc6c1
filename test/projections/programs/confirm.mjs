/**
 * Runs a process manager: every ticket that is sold is confirmed by a command, dispatched under the reaction's key. The store is the
 * SQLite file or the PostgreSQL schema PLACE (its server in STORE_URL). Prints `ready`, and a line of JSON for every command that was
 * accepted, before it is acknowledged; with HOLD it then hangs. Ends when it is killed.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Decider, dispatch, EventCatalog, EventStore, layerDispatcher, Outbox, Reactor, runOutbox } from "evolvent"
import { PostgresStore } from "evolvent/postgres"
import { SqliteStore } from "evolvent/sqlite"

const [place, hold] = process.argv.slice(2)
const url = process.env.STORE_URL

const Tickets = EventCatalog.make({
  TicketSold: Schema.Struct({ ticket: Schema.Int }),
  TicketConfirmed: Schema.Struct({ ticket: Schema.Int })
})

// It would confirm a ticket again and again, were it not for the key.
const confirmTicket = Decider.make({
  name: "ConfirmTicket",
  events: Tickets,
  context: ({ ticket }) => Tickets.queryAll({ ticket }),
  initial: false,
  evolve: { TicketSold: () => true },
  decide: ({ ticket }, isSold) =>
    isSold ? Decider.accept(Tickets.TicketConfirmed({ ticket })) : Decider.reject("unsold")
})

const confirmations = Reactor.make({
  name: "confirmations",
  events: Tickets,
  query: Tickets.query("TicketSold"),
  react: { TicketSold: ({ ticket }) => [{ confirm: ticket }] }
})

const outbox = Outbox.make({
  reactor: confirmations,
  start: "beginning",
  attempts: 1_000,
  concurrency: 4,
  timeout: hold === undefined ? "300 millis" : "1 minute",
  lease: "200 millis",
  backOff: { first: "5 millis", most: "50 millis" },
  carryOut: ({ confirm }, { attempt, idempotencyKey }) =>
    Effect.gen(function* () {
      const { position } = yield* dispatch(confirmTicket, { ticket: confirm }, { idempotencyKey })
      yield* Effect.callback((resume) => {
        const line = JSON.stringify({ ticket: confirm, attempt, idempotencyKey, position })
        process.stdout.write(`${line}\n`, () => resume(Effect.void))
      })
      if (hold !== undefined) return yield* Effect.never
    })
})

const store = Layer.effect(
  EventStore,
  url === undefined ? SqliteStore.make({ file: place }) : PostgresStore.make({ url, schema: place })
)

const program = Effect.gen(function* () {
  yield* runOutbox(outbox, { poll: "50 millis" })
  process.stdout.write("ready\n")
  return yield* Effect.never
})

await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Layer.provideMerge(layerDispatcher(), store))))
