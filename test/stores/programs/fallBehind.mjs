/**
 * Opens the store of KIND at PLACE (a file, or a schema at STORE_URL), and delivers BATCHES batches of a long log to a handler that takes
 * two milliseconds for each. Prints how many came.
 */
import * as Effect from "effect/Effect"

const [kind, place, batches] = process.argv.slice(2)

const open = Effect.gen(function* () {
  if (kind === "sqlite") {
    const { SqliteStore } = yield* Effect.promise(() => import("evolvent/sqlite"))
    return yield* SqliteStore.make({ file: place, cacheKibibytes: 1_024 })
  }
  const { PostgresStore } = yield* Effect.promise(() => import("evolvent/postgres"))
  return yield* PostgresStore.make({ url: process.env.STORE_URL, schema: place, migrate: false })
})

const program = Effect.gen(function* () {
  const store = yield* open
  let delivered = 0
  const stream = yield* store.streamAllDurable({ name: "slow" }, () => {
    delivered++
    return Effect.sleep(2)
  })
  while (delivered < Number(batches)) yield* Effect.sleep(5)
  yield* stream.unsubscribe
  yield* Effect.promise(() => new Promise((resolve) => process.stdout.write(`${delivered}\n`, resolve)))
}).pipe(Effect.scoped)

void Effect.runPromise(program)
