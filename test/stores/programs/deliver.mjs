/**
 * Opens the store of KIND at PLACE (a file, or a schema at STORE_URL) and delivers under leases of LEASE milliseconds, for ever:
 *
 * - the durable stream `all`, whose handler writes `NAME FIRST LAST` to the file RECORD and then takes PAUSE milliseconds,
 * - where a TABLE is named, a cursor that moves in the transaction in which the table counts the events.
 *
 * Prints `ready`, and for every line of its input the state of the stream.
 */
import { appendFileSync } from "node:fs"
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"

const [kind, place, record, name, lease, pause, table] = process.argv.slice(2)

const open = Effect.gen(function* () {
  if (kind === "sqlite") {
    const { SqliteStore } = yield* Effect.promise(() => import("evolvent/sqlite"))
    return yield* SqliteStore.make({ file: place })
  }
  const { PostgresStore } = yield* Effect.promise(() => import("evolvent/postgres"))
  return yield* PostgresStore.make({ url: process.env.STORE_URL, schema: place, migrate: false })
})

const countEvents = (store) =>
  store.workspace.follow({
    cursor: "counting",
    name: "counting",
    query: {},
    start: "beginning",
    leaseMs: Number(lease),
    retry: undefined,
    together: true,
    deliver: (batches, { moveIn }) =>
      store.workspace.transaction((transaction) =>
        Effect.gen(function* () {
          const events = batches.flat()
          yield* transaction.sql.execute(`UPDATE ${table} SET events = events + $1, total = total + $2`, [
            events.length,
            events.reduce((sum, { sequenceNumber }) => sum + sequenceNumber, 0)
          ])
          yield* moveIn(transaction)
        })
      )
  })

const program = Effect.gen(function* () {
  const store = yield* open
  const stream = yield* store.streamAllDurable(
    { name: "all" },
    (batch) => {
      appendFileSync(record, `${name} ${batch[0].sequenceNumber} ${batch.at(-1).sequenceNumber}\n`)
      return Effect.sleep(Number(pause))
    },
    { lease: Number(lease) }
  )
  if (table !== "") yield* countEvents(store)
  createInterface({ input: process.stdin }).on("line", () => {
    void Effect.runPromise(stream.status).then(({ state }) => console.log(state))
  })
  console.log("ready")
  yield* Effect.never
}).pipe(Effect.scoped)

void Effect.runPromise(program)
