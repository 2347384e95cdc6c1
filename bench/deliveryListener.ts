/** A process that runs a projection and says when events have arrived; `deliveryTimes.ts` starts it. It ends when it is let go. */
import { layerProjectionWorker } from "evolvent"
import { PostgresStore } from "evolvent/postgres"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { arrivals } from "./arrivals.ts"

const [url, schema] = process.argv.slice(2) as [string, string]
const projection = arrivals((number, at) => void process.send?.({ number, at }))
const layer = Layer.provide(layerProjectionWorker({ projections: [projection] }), PostgresStore.layer({ url, schema }))

const disconnected = Effect.callback<void>((resume) => void process.once("disconnect", () => resume(Effect.void)))
const ready = Effect.sync(() => void process.send?.("ready"))
await Effect.runPromise(Effect.provide(Effect.andThen(ready, disconnected), layer))
