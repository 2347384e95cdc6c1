/** The events, the query models and the workers of these tests, on every store that has what they need. */
import assert from "node:assert/strict"
import { isDeepStrictEqual } from "node:util"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as EventCatalog from "../../src/decider/EventCatalog.ts"
import * as Projection from "../../src/projections/Projection.ts"
import type { ProjectionStatus } from "../../src/projections/ProjectionStatus.ts"
import * as ProjectionWorker from "../../src/projections/ProjectionWorker.ts"
import type { NewEvent } from "../../src/stores/Event.ts"
import { EventStore } from "../../src/stores/EventStore.ts"
import type { EventStoreError } from "../../src/stores/EventStoreError.ts"
import type { SqlRow } from "../../src/stores/Transaction.ts"
import { event, inTime } from "../../src/testing/conformance/expectations.ts"
import { freshName } from "../support/postgres.ts"
import type { StoreUnderTest } from "../support/stores.ts"
import { stores } from "../support/stores.ts"

export const Events = EventCatalog.make({ Sold: Schema.Struct({ buyer: Schema.String }) })

export type Handled = ReadonlyArray<Projection.Occurrence<EventCatalog.Event<typeof Events>>>

export const sold = (buyer = "ann"): NewEvent => event("Sold", { buyer })

/** Every event by its buyer. */
export const byBuyer = ({ payload }: { readonly payload: unknown }): string => (payload as { buyer: string }).buyer

export const numbersOf = (events: Handled): ReadonlyArray<number> => events.map(({ record }) => record.sequenceNumber)

const named = (name: string): StoreUnderTest => stores.find((store) => store.name === name)!

export const postgres = named("postgres")

/** Where a query model can be in the store's database. */
export const databases: ReadonlyArray<StoreUnderTest> = [named("sqlite"), postgres]

export const memory = named("memory")

/** A log that any number of stores open, as processes would. */
export const sharedLog = (under: StoreUnderTest) => under.reopen!

/** Workers that have nothing to wait for. */
export const lease = "500 millis"

/** Milliseconds that a wait may take; far beyond what anything here needs. */
const patience = 20_000

/** A worker that can be stopped before the test ends. */
export interface RunningWorker extends ProjectionWorker.ProjectionWorker {
  readonly stop: Effect.Effect<void>
}

export const startWorker = (
  store: EventStore,
  projections: ReadonlyArray<Projection.Projection>,
  options: Pick<ProjectionWorker.ProjectionWorkerOptions<Projection.Projection>, "lease"> = { lease }
) =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), (own) => Scope.close(own, Exit.void))
    const worker = yield* ProjectionWorker.make({ projections, ...options }).pipe(
      Effect.provideService(EventStore, store),
      Scope.provide(scope)
    )
    return { ...worker, stop: Scope.close(scope, Exit.void) } satisfies RunningWorker
  })

/** A query model of one row per handled event. A second row for the same event is refused. */
export interface Model {
  readonly table: string
  readonly setup: (transaction: Projection.ProjectionTransaction) => Effect.Effect<unknown, unknown>
  readonly reset: (transaction: Projection.ProjectionTransaction) => Effect.Effect<unknown, unknown>
  readonly handle: (events: Handled, transaction: Projection.ProjectionTransaction) => Effect.Effect<unknown, unknown>
  /** The numbers that are there, in the order in which they came. */
  readonly numbers: Effect.Effect<ReadonlyArray<number>, unknown>
  readonly rows: Effect.Effect<ReadonlyArray<SqlRow>, unknown>
}

/** A table of the test's own, dropped with the scope. */
export const makeModel = (store: EventStore): Effect.Effect<Model, never, Scope.Scope> =>
  Effect.gen(function* () {
    const table = freshName()
    const run = (text: string) => store.workspace.transaction(({ sql }) => sql!.execute(text))
    yield* Effect.addFinalizer(() => Effect.ignore(run(`DROP TABLE IF EXISTS ${table}`)))
    const rows = run(`SELECT number, place, buyer FROM ${table} ORDER BY place`)
    return {
      table,
      setup: ({ execute }) =>
        Effect.andThen(
          execute(
            `CREATE TABLE IF NOT EXISTS ${table} (number bigint PRIMARY KEY, place bigint NOT NULL, buyer text NOT NULL)`
          ),
          execute(`CREATE INDEX IF NOT EXISTS ${table}_place ON ${table} (place)`)
        ),
      reset: ({ execute }) => execute(`DROP TABLE ${table}`),
      handle: (events, { execute }) =>
        Effect.forEach(events, ({ event, record }) =>
          execute(`INSERT INTO ${table} SELECT $1, coalesce(max(place), 0) + 1, $2 FROM ${table}`, [
            record.sequenceNumber,
            event.payload.buyer
          ])
        ),
      rows,
      numbers: Effect.map(rows, (all) => all.map((row) => row["number"] as number))
    }
  })

/** A projection that fills the model. */
export const listing = (
  model: Model,
  options: Partial<Projection.TransactionalDefinition<typeof Events, never>> = {}
): Projection.Projection =>
  Projection.make({
    name: model.table,
    events: Events,
    setup: model.setup,
    reset: model.reset,
    handle: model.handle,
    ...options
  })

/** A query model elsewhere: what was handled, call by call. */
export const makeNotes = () => {
  const calls: Array<ReadonlyArray<number>> = []
  return { calls, handle: (events: Handled) => Effect.sync(() => calls.push(numbersOf(events))) }
}

/** Waits until the worker says so of the projection. */
export const eventuallyStatus = (
  worker: ProjectionWorker.ProjectionWorker,
  projection: ProjectionWorker.ProjectionRef,
  what: string,
  condition: (status: ProjectionStatus) => boolean
): Effect.Effect<ProjectionStatus, unknown> =>
  Effect.suspend(() => {
    let last: ProjectionStatus | undefined
    return inTime(
      Effect.gen(function* () {
        while (true) {
          last = yield* worker.status(projection)
          if (condition(last)) return last
          yield* Effect.sleep("5 millis")
        }
      }),
      `${what}`
    )
  })

/** Waits until the effect gives what is wanted; says what it gave last where it never does. */
export const eventuallyEqual = <A, E>(what: string, effect: Effect.Effect<A, E>, wanted: A): Effect.Effect<void, E> =>
  Effect.gen(function* () {
    const until = performance.now() + patience
    while (true) {
      const found = yield* effect
      if (isDeepStrictEqual(found, wanted)) return
      if (performance.now() > until) return assert.deepStrictEqual(found, wanted, what)
      yield* Effect.sleep("5 millis")
    }
  })

/** Appends events, each by itself. */
export const appendEach = (store: EventStore, events: ReadonlyArray<NewEvent>): Effect.Effect<void, EventStoreError> =>
  Effect.forEach(events, (one) => store.append([one]), { discard: true })
