/**
 * `ProjectionCheck`: whatever happens on the way, a projection has to come to the same query model. A worker is made to crash at every
 * step of its work, and another one goes on; batches come one by one, many at once, and again after a rebuild. The query model has
 * to be the one of an undisturbed run each time, and the one that the events fold to.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as fc from "fast-check"
import { isDeepStrictEqual } from "node:util"
import type { Projection } from "../../projections/Projection.ts"
import * as ProjectionWorker from "../../projections/ProjectionWorker.ts"
import type { EventRecord, NewEvent } from "../../stores/Event.ts"
import { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import { CrashPoint, crashing } from "./crashing.ts"
import { explain } from "./explain.ts"

/** What `check` takes. */
export interface Definition<Model, R> {
  readonly projection: Projection<R>
  /** Opens a store on a new, empty log, and clears away what earlier query models have left. */
  readonly open: Effect.Effect<EventStore, EventStoreError, Scope.Scope | R>
  /** Appends, one after the other. Histories of reachable events make the best ones. */
  readonly appends: fc.Arbitrary<ReadonlyArray<ReadonlyArray<NewEvent>>>
  /** Reads the query model, as a value that can be compared. */
  readonly model: (store: EventStore) => Effect.Effect<Model, unknown, R>
  /** What the query model should be, from all records that the projection follows. Default: what an undisturbed run comes to. */
  readonly fold?: ((records: ReadonlyArray<EventRecord>) => NoInfer<Model>) | undefined
  /** Generated lists of appends; each is projected once for every step that a worker can crash at. Default: 20. */
  readonly runs?: number | undefined
  readonly seed?: number | undefined
}

/** What the check comes to. */
export interface Verdict<Model> {
  readonly holds: boolean
  /** What is wrong and under what circumstances, or what was looked at. */
  readonly explanation: string
  /** Lists of appends that were looked at. */
  readonly runs: number
  /** Gives the same lists again. */
  readonly seed: number
  readonly counterExample: CounterExample<Model> | undefined
}

export interface CounterExample<Model> {
  /** The smallest list of appends that was found. */
  readonly appends: ReadonlyArray<ReadonlyArray<NewEvent>>
  /** How it was disturbed, for example `the worker crashed at step 4, after a COMMIT, before its answer`. */
  readonly disturbance: string
  readonly expected: Model
  /** What the query model was instead; `undefined` where the projection did not catch up. */
  readonly found: Model | undefined
  /** Why it did not catch up. */
  readonly failure: unknown
}

/** The projection does not come to the same query model. */
export class ProjectionBroken extends Error {
  override readonly name = "ProjectionBroken"
  readonly verdict: Verdict<unknown>

  constructor(verdict: Verdict<unknown>) {
    super(verdict.explanation)
    this.verdict = verdict
  }
}

/** Throws `ProjectionBroken` where the verdict is not that it holds. */
export const assert = (verdict: Verdict<unknown>): void => {
  if (verdict.holds) return
  const error = new ProjectionBroken(verdict)
  Error.captureStackTrace(error, assert)
  throw error
}

const defaultRuns = 20

/** Judges a projection. */
export const check = <Model, R>(definition: Definition<Model, R>): Effect.Effect<Verdict<Model>, never, R> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<R>()
    const { appends, projection, runs = defaultRuns, seed = defaultSeed } = definition
    let smallest: CounterExample<Model> | undefined
    let disturbances = 0
    const property = fc.asyncProperty(appends, (list) =>
      Effect.runPromise(
        Effect.provideContext(
          Effect.map(judge(definition, list), (judged) => {
            disturbances += judged.disturbances
            if (judged.broken !== undefined) smallest = judged.broken
            return judged.broken === undefined
          }),
          context
        )
      )
    )
    const details = yield* Effect.promise(() => fc.check(property, { numRuns: runs, seed }))
    if (details.errorInstance !== null && smallest === undefined) return yield* Effect.die(details.errorInstance)
    const looked = { name: projection.name, runs: details.numRuns, disturbances }
    return {
      holds: !details.failed,
      explanation: explain(looked, smallest),
      runs: details.numRuns,
      seed: details.seed,
      counterExample: smallest
    }
  })

const defaultSeed = 42
const noRetries = Schedule.recurs(0)

/** Everything that may disturb one list of appends, until something goes wrong. */
const judge = <Model, R>(definition: Definition<Model, R>, appends: ReadonlyArray<ReadonlyArray<NewEvent>>) =>
  Effect.gen(function* () {
    const { fold } = definition
    const undisturbed = new CrashPoint(Number.POSITIVE_INFINITY)
    const first = yield* run(definition, appends, undisturbed, "all at once")
    const expected = fold === undefined ? first.model : fold(first.records)
    let disturbances = 0
    const brokenBy = (disturbance: string, { failure, model }: Run<Model>): CounterExample<Model> | undefined => {
      disturbances++
      return failure === undefined && isDeepStrictEqual(model, expected)
        ? undefined
        : { appends, disturbance, expected: expected as Model, found: model, failure }
    }
    let broken = brokenBy("none: the events came all at once", first)
    for (const manner of ["one by one", "rebuilt"] as const) {
      broken ??= brokenBy(descriptions[manner], yield* run(definition, appends, new CrashPoint(Infinity), manner))
    }
    for (let step = 1; broken === undefined && step <= undisturbed.steps; step++) {
      const crash = new CrashPoint(step)
      const disturbed = yield* run(definition, appends, crash, "all at once")
      broken = brokenBy(`the worker crashed at step ${step}, ${crash.crashedAt ?? "which it did not reach"}`, disturbed)
    }
    return { broken, disturbances }
  })

/** How the events come. */
type Manner = "all at once" | "one by one" | "rebuilt"

const descriptions = {
  "one by one": "none: every batch came by itself, while the worker was running",
  rebuilt: "the query model was rebuilt after it had caught up"
}

interface Run<Model> {
  readonly model: Model | undefined
  readonly records: ReadonlyArray<EventRecord>
  readonly failure: unknown
}

/** Projects a list of appends on a new log: by a worker that may crash, then by one that does not. */
const run = <Model, R>(
  { model, open, projection }: Definition<Model, R>,
  appends: ReadonlyArray<ReadonlyArray<NewEvent>>,
  crash: CrashPoint,
  manner: Manner
): Effect.Effect<Run<Model>, never, R> =>
  Effect.gen(function* () {
    const store = yield* Effect.orDie(open)
    const append = (events: ReadonlyArray<NewEvent>) => Effect.orDie(store.append(events))
    const worker = (target: EventStore, followed: Projection<R>) =>
      Effect.provideService(ProjectionWorker.make({ projections: [followed] }), EventStore, target)
    const head = Effect.orDie(store.workspace.head)
    if (manner !== "one by one") yield* Effect.forEach(appends, append, { discard: true })
    if (manner === "all at once") {
      const crashed = Effect.flatMap(worker(crashing(store, crash), withoutRetries(projection)), (first) =>
        Effect.flatMap(head, (last) => first.waitFor(projection, last))
      )
      yield* Effect.exit(Effect.scoped(crashed))
    }
    const work = Effect.gen(function* () {
      const running = yield* worker(store, projection)
      if (manner === "one by one") {
        for (const events of appends) {
          yield* append(events)
          yield* running.waitFor(projection, yield* head)
        }
      }
      yield* running.waitFor(projection, yield* head)
      if (manner === "rebuilt") {
        yield* running.rebuild(projection)
        yield* running.waitFor(projection, yield* head)
      }
      return yield* model(store)
    })
    const result = yield* Effect.result(Effect.scoped(work))
    const { eventRecords: records } = yield* Effect.orDie(store.query(projection.query))
    return result._tag === "Success"
      ? { model: result.success, records, failure: undefined }
      : { model: undefined, records, failure: result.failure }
  }).pipe(Effect.scoped) as Effect.Effect<Run<Model>, never, R>

/** A worker that has crashed tries nothing again and parks nothing. */
const withoutRetries = <R>(projection: Projection<R>): Projection<R> => ({
  ...projection,
  retry: noRetries,
  onFailure: "stop"
})
