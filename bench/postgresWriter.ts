/** A process of the PostgreSQL benchmark: appends with 64 in flight and reports its rate, after half as long to warm up. */
import { PostgresStore } from "evolvent/postgres"
import * as Effect from "effect/Effect"
import { rateOf } from "./measure.ts"
import { conditionalAppends } from "./postgres.ts"

const [, , url, schema, index, millis] = process.argv as [string, string, string, string, string, string]

const rate = await PostgresStore.make({ url, schema }).pipe(
  Effect.flatMap((store) => {
    const next = 1_000_000_000 + Number(index) * 100_000_000 + (process.pid % 10_000) * 10_000
    const operation = conditionalAppends({ store, orders: 1, next })
    return Effect.andThen(rateOf(64, operation, Number(millis) / 2), rateOf(64, operation, Number(millis)))
  }),
  Effect.scoped,
  Effect.runPromise
)
process.send!(rate)
