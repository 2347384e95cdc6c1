/**
 * Runs a projection that counts the events of the log and adds their numbers up, in the store's database, until it is ended. It reads
 * both, waits, and writes them: whoever counts from what is out of date counts wrong. Prints `ready`, `handling N` within the
 * transaction of the batch that begins with event N, and `at N` whenever everything up to N was handled.
 */
import { EventCatalog, EventStore, layerProjectionWorker, Projection, ProjectionWorker } from "evolvent"
import { PostgresStore } from "evolvent/postgres"
import { SqliteStore } from "evolvent/sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

const { delay, lease, sqlite, postgres, table } = JSON.parse(process.argv[2])

const counted = Projection.make({
  name: "counted",
  events: EventCatalog.make({ Called: Schema.Struct({ text: Schema.String }) }),
  setup: ({ execute }) =>
    Effect.andThen(
      execute(
        `CREATE TABLE IF NOT EXISTS ${table} (only_row int PRIMARY KEY, n bigint NOT NULL, total bigint NOT NULL)`
      ),
      execute(`INSERT INTO ${table} VALUES (1, 0, 0) ON CONFLICT (only_row) DO NOTHING`)
    ),
  handle: (events, { execute }) =>
    Effect.gen(function* () {
      const [row] = yield* execute(`SELECT n, total FROM ${table}`)
      console.log(`handling ${events[0].record.sequenceNumber}`)
      if (delay > 0) yield* Effect.sleep(delay)
      const total = events.reduce((sum, { record }) => sum + record.sequenceNumber, row.total)
      yield* execute(`UPDATE ${table} SET n = $1, total = $2`, [row.n + events.length, total])
    })
})

const store = sqlite === undefined ? PostgresStore.layer({ ...postgres, migrate: false }) : SqliteStore.layer(sqlite)

const program = Effect.gen(function* () {
  const worker = yield* ProjectionWorker
  const { workspace } = yield* EventStore
  console.log("ready")
  for (let position = 0; ;) {
    yield* Effect.ignore(worker.waitFor(counted, position + 1))
    const now = (yield* worker.status(counted)).position
    if (now > position) console.log(`at ${now}`)
    position = Math.max(position, now, 0)
    yield* workspace.awaitChange(position)
  }
}).pipe(Effect.provide(Layer.provideMerge(layerProjectionWorker({ projections: [counted], lease }), store)))

void Effect.runPromise(program)
