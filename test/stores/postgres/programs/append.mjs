/**
 * Opens the store at STORE_URL in SCHEMA and appends batches of three events, several at once, for ever. Prints `ready`, then the
 * name of each append that was answered.
 */
import { PostgresStore } from "evolvent/postgres"
import * as Effect from "effect/Effect"

const [schema, name] = process.argv.slice(2)

const writer = (store, number) =>
  Effect.gen(function* () {
    for (let n = 1; ; n++) {
      const call = `${name}, writer ${number}, call ${n}`
      yield* store.append([1, 2, 3].map((part) => ({ eventType: "Called", payload: { call, part } })))
      console.log(call)
    }
  })

const program = Effect.gen(function* () {
  const store = yield* PostgresStore.make({ url: process.env.STORE_URL, schema, migrate: false })
  console.log("ready")
  yield* Effect.all(
    [1, 2, 3, 4].map((number) => writer(store, number)),
    { concurrency: "unbounded" }
  )
}).pipe(Effect.scoped)

void Effect.runPromise(program)
