/**
 * Runs a projection elsewhere that is slow at first, then fast, up to the event COUNT of the log in FILE. Prints the number of events
 * that were handled and the most megabytes of heap that were in use. To be run with a small heap.
 */
import { EventCatalog, layerProjectionWorker, Projection, ProjectionWorker } from "evolvent"
import { SqliteStore } from "evolvent/sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

const [file, count] = process.argv.slice(2)
let handled = 0
let most = 0

const slow = Projection.elsewhere({
  name: "slow",
  events: EventCatalog.make({ Called: Schema.Struct({ text: Schema.String }) }),
  handle: (events) => {
    handled += events.length
    most = Math.max(most, process.memoryUsage().heapUsed)
    return handled < 5_000 ? Effect.sleep("10 millis") : undefined
  }
})

const program = Effect.gen(function* () {
  const worker = yield* ProjectionWorker
  yield* worker.waitFor(slow, Number(count), { timeout: "1 minute" })
}).pipe(Effect.provide(Layer.provide(layerProjectionWorker({ projections: [slow] }), SqliteStore.layer({ file }))))

void Effect.runPromise(program).then(() => console.log(`${handled} ${Math.ceil(most / 1_048_576)}`))
