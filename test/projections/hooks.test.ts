/** Setups run one at a time, wherever workers start; what fails in a hook is told without its payload. */
import assert from "node:assert/strict"
import { inspect } from "node:util"
import * as Effect from "effect/Effect"
import { describe } from "vitest"
import { HookFailed, UnfitProjection } from "../../src/projections/ProjectionError.ts"
import * as Projection from "../../src/projections/Projection.ts"
import { SqlError } from "../../src/stores/Transaction.ts"
import * as PostgresStore from "../../src/stores/postgres/PostgresStore.ts"
import { range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { ownRole, ownSchema } from "../support/postgres.ts"
import type { RunningWorker } from "./sales.ts"
import {
  appendEach,
  byBuyer,
  databases,
  Events,
  eventuallyStatus,
  listing,
  makeModel,
  makeNotes,
  memory,
  sharedLog,
  sold,
  startWorker
} from "./sales.ts"

for (const under of databases) {
  describe(under.name, () => {
    for (const kind of ["make", "elsewhere"] as const) {
      itEffect(
        `eight workers that start at once run the setup of ${kind} one after the other, and activate it once`,
        () =>
          Effect.gen(function* () {
            const open = yield* sharedLog(under)
            const all = yield* Effect.all(range(1, 8).map(() => open))
            const model = yield* makeModel(all[0]!)
            let running = 0
            let most = 0
            let count = 0
            let activations = 0
            const activate = () => void (activations += 1)
            const setup = <E>(work: Effect.Effect<unknown, E>) =>
              Effect.gen(function* () {
                count += 1
                most = Math.max(most, ++running)
                yield* Effect.sleep("20 millis")
                yield* work
                running -= 1
              })
            const projection =
              kind === "make"
                ? listing(model, {
                    setup: (transaction) => setup(model.setup(transaction)),
                    activate
                  })
                : Projection.elsewhere({
                    name: model.table,
                    events: Events,
                    setup: () => setup(Effect.void),
                    activate,
                    handle: makeNotes().handle
                  })
            const workers = yield* Effect.forEach(all, (store) => startWorker(store, [projection]), {
              concurrency: "unbounded"
            })
            assert.deepStrictEqual([count, most], [8, 1])
            yield* all[3]!.append([sold()])
            yield* workers[5]!.waitFor(projection, 1)
            for (const worker of workers) {
              yield* eventuallyStatus(worker, projection, "it is in use", ({ active }) => active)
            }
            assert.equal(activations, 1)
            const states = yield* Effect.forEach(workers, (worker) => worker.status(projection))
            assert.equal(states.filter(({ state }) => state === "running").length, 1)
            assert.equal(states.filter(({ state }) => state === "waiting").length, 7)
          })
      )
    }

    itEffect("a setup waits for no handler, though both lock the table and a cursor", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const model = yield* makeModel(one)
        const touching = listing(model, {
          setup: (transaction) =>
            Effect.andThen(
              model.setup(transaction),
              transaction.execute(`CREATE INDEX IF NOT EXISTS ${model.table}_by_buyer ON ${model.table} (buyer)`)
            )
        })
        const first = yield* startWorker(one, [touching])
        yield* Effect.forkScoped(
          appendEach(
            one,
            range(1, 60).map(() => sold())
          )
        )
        for (let round = 0; round < 5; round++) {
          const second: RunningWorker = yield* startWorker(other, [touching])
          yield* second.stop
        }
        yield* first.waitFor(touching, 60)
        assert.deepStrictEqual(yield* model.numbers, range(1, 60))
        assert.equal((yield* first.status(touching)).lastError, undefined)
      })
    )

    itEffect("a setup that fails fails the start, undone, with a cause that is never printed", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const model = yield* makeModel(store)
        const secret = "secret_4711"
        const projection = listing(model, {
          setup: (transaction) =>
            Effect.andThen(model.setup(transaction), transaction.execute(`SELECT * FROM ${secret}`))
        })
        const error = yield* Effect.flip(startWorker(store, [projection]))
        assert.ok(error instanceof HookFailed)
        assert.equal(error.hook, "setup")
        assert.ok(error.cause instanceof SqlError)
        assert.match(String(error.cause.cause), new RegExp(secret))
        const printed = [String(error), JSON.stringify(error), inspect(error.toJSON?.() ?? {}), error.message].join(
          "\n"
        )
        assert.ok(!printed.includes(secret), printed)
        const rows = yield* Effect.result(model.rows)
        assert.equal(rows._tag, "Failure")
        // It can be started again, sound.
        const worker = yield* startWorker(store, [listing(model)])
        yield* store.append([sold()])
        yield* worker.waitFor(model.table, 1)
      })
    )

    itEffect("another query or another number of partitions of the same version is refused, and changes nothing", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const model = yield* makeModel(store)
        const first = yield* startWorker(store, [listing(model)])
        yield* first.stop
        let setups = 0
        const setup = () => {
          setups += 1
        }
        for (const change of [
          { query: { filters: [{ eventTypes: ["Sold"], tags: ["x"] }] } },
          { partitions: 2, key: byBuyer }
        ]) {
          const error = yield* Effect.flip(startWorker(store, [listing(model, { setup, ...change })]))
          assert.ok(error._tag === "EventStoreError")
          assert.equal(error.reason._tag, "DurableStreamMismatch")
          assert.match(error.message, /version 1.*number of partitions: .*raise its version/)
        }
        assert.equal(setups, 0)
        const rows = yield* store.workspace.transaction(({ cursors }) =>
          cursors.read([0, 1].map((partition) => `projection ${model.table}\u00011\u0001${partition}`))
        )
        assert.equal(rows.length, 1)
        const again = yield* startWorker(store, [listing(model)])
        yield* store.append([sold()])
        yield* again.waitFor(model.table, 1)
      })
    )

    itEffect("a worker that cannot start all its projections leaves none of them running", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const model = yield* makeModel(one)
        const failing = Projection.elsewhere({
          name: "failing",
          events: Events,
          setup: () => Effect.fail(new Error("no")),
          handle: () => undefined
        })
        const long = { lease: "1 hour" } as const
        yield* Effect.flip(startWorker(one, [listing(model), failing], long))
        // Were it running, it would be active here, and its lease would keep others away.
        const here = yield* startWorker(one, [listing(model)], long)
        yield* here.stop
        const there = yield* startWorker(other, [listing(model)], long)
        yield* eventuallyStatus(there, model.table, "it runs", ({ state }) => state === "running")
      })
    )

    itEffect("the same name and version is not run twice, neither in a worker nor in a process", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const model = yield* makeModel(store)
        const twice = yield* Effect.flip(startWorker(store, [listing(model), listing(model)]))
        assert.ok(twice instanceof UnfitProjection)
        yield* startWorker(store, [listing(model)])
        const active = yield* Effect.flip(startWorker(store, [listing(model)]))
        assert.ok(active._tag === "EventStoreError")
        assert.equal(active.reason._tag, "DurableStreamActive")
      })
    )
  })
}

describe("memory", () => {
  itEffect("a projection that needs a database is unfit for a store without one", () =>
    Effect.gen(function* () {
      const store = yield* memory.make
      const projection = Projection.make({ name: "sold", events: Events, handle: () => undefined })
      const error = yield* Effect.flip(startWorker(store, [projection]))
      assert.ok(error instanceof UnfitProjection)
      assert.match(error.message, /elsewhere/)
    })
  )
})

describe("postgres", () => {
  itEffect("a role that may not write what projections need is told so, with the server's code", () =>
    Effect.gen(function* () {
      const own = yield* ownSchema
      yield* PostgresStore.migrate({ url: own.url, schema: own.schema })
      const role = yield* ownRole(own.url)
      yield* own.query(`GRANT USAGE ON SCHEMA "${own.schema}" TO "${role.role}"`)
      yield* own.query(`GRANT SELECT ON ALL TABLES IN SCHEMA "${own.schema}" TO "${role.role}"`)
      yield* own.query(`GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA "${own.schema}" TO "${role.role}"`)
      const store = yield* PostgresStore.make({ url: role.url, schema: own.schema, migrate: false })
      const start = startWorker(store, [
        Projection.make({
          name: "sold",
          events: Events,
          setup: ({ execute }) => execute(`CREATE TABLE "${own.schema}".mine (n int)`),
          handle: () => undefined
        })
      ])
      const reader = yield* Effect.flip(start)
      assert.ok(reader._tag === "EventStoreError")
      assert.ok(reader.reason._tag === "StoreUnavailable")
      assert.deepStrictEqual([reader.reason.code, reader.reason.retryable], ["42501", false])
      for (const table of ["cursors", "dead_letters", "outbox", "projection_versions"]) {
        yield* own.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON "${own.schema}".${table} TO "${role.role}"`)
      }
      const writer = yield* Effect.flip(start)
      assert.ok(writer instanceof HookFailed)
      assert.equal((writer.cause as SqlError).code, "42501")
    })
  )
})
