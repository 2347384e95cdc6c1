/**
 * `ProjectionWorker`: runs projections in a process. Any number of processes may run the same ones: each cursor is held by one of them
 * at a time, under a lease, and taken over when that one ends.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { EventStore } from "../stores/EventStore.ts"
import type { EventStoreError } from "../stores/EventStoreError.ts"
import { fromReason, InvalidInput } from "../stores/EventStoreError.ts"
import { checkLease } from "../stores/lease.ts"
import type { DeadLetter } from "../stores/WorkspaceTables.ts"
import { RunningProjection } from "./internal/RunningProjection.ts"
import type { Projection } from "./Projection.ts"
import type { HookFailed } from "./ProjectionError.ts"
import { UnfitProjection, UnknownProjection, WaitTimedOut } from "./ProjectionError.ts"
import type { ProjectionStatus } from "./ProjectionStatus.ts"

/** A projection that the worker runs: itself, or its name, which means its highest version here. */
export type ProjectionRef = Projection<any> | string

/** What can be asked of a worker. Everything but the status concerns the projection wherever it runs. */
export interface ProjectionWorker {
  readonly status: (projection: ProjectionRef) => Effect.Effect<ProjectionStatus, UnknownProjection | EventStoreError>
  /** The status of every projection of the worker. */
  readonly statuses: Effect.Effect<ReadonlyArray<ProjectionStatus>, EventStoreError>
  /**
   * Resolves when the projection has handled everything up to the number, so that a reader sees what was written before: wait for
   * the position of a dispatch. Fails with `WaitTimedOut` after `timeout`, 10 seconds if that is left out.
   */
  readonly waitFor: (
    projection: ProjectionRef,
    sequenceNumber: number,
    options?: { readonly timeout?: Duration.Input | undefined }
  ) => Effect.Effect<void, UnknownProjection | WaitTimedOut | EventStoreError>
  /** Until `resume`, for every worker and over restarts. What is under way may finish. */
  readonly pause: (projection: ProjectionRef) => Effect.Effect<void, UnknownProjection | EventStoreError>
  /** Goes on with what was paused, and tries what has stopped once more. */
  readonly resume: (projection: ProjectionRef) => Effect.Effect<void, UnknownProjection | EventStoreError>
  /**
   * Empties the query model and handles all events again. Readers see it fill; where they must not, raise the version instead and
   * let the new one catch up beside the old one.
   */
  readonly rebuild: (projection: ProjectionRef) => Effect.Effect<void, UnknownProjection | EventStoreError | HookFailed>
  /** Events that were set aside, in ascending order: at most `limit`, 100 if that is left out, after the number `after`. */
  readonly deadLetters: (
    projection: ProjectionRef,
    options?: { readonly after?: number | undefined; readonly limit?: number | undefined }
  ) => Effect.Effect<ReadonlyArray<DeadLetter>, UnknownProjection | EventStoreError>
  /** Tries events that were set aside again, of all keys or of one, in order; says how many. One that fails waits on. */
  readonly replay: (
    projection: ProjectionRef,
    options?: { readonly key?: string | undefined }
  ) => Effect.Effect<number, UnknownProjection | EventStoreError>
  /** Drops events that were set aside: they will never be handled. */
  readonly discard: (
    projection: ProjectionRef,
    sequenceNumbers: ReadonlyArray<number>
  ) => Effect.Effect<void, UnknownProjection | EventStoreError>
}

/** The projection worker as a service. */
export const ProjectionWorker: Context.Service<ProjectionWorker, ProjectionWorker> =
  Context.Service<ProjectionWorker>("evolvent/ProjectionWorker")

/** Options of a worker. */
export interface ProjectionWorkerOptions<P extends Projection<any>> {
  readonly projections: ReadonlyArray<P>
  /** How long after its end, or its last sign of life, a worker counts as gone. 100 milliseconds to a day. Default: 5 seconds. */
  readonly lease?: Duration.Input | undefined
}

/** What the handlers and hooks of projections need. */
export type Requirements<P extends Projection<any>> = P extends Projection<infer R> ? R : never

const defaultWait = Duration.seconds(10)

/**
 * Sets the query models up and runs the projections until the scope ends: then no handler starts any more, and those that run may
 * finish.
 *
 * Fails with `UnfitProjection` where two projections have the same name and version, or where one needs a database and the store
 * has none; with `HookFailed` where a setup fails; with `EventStoreError` for a lease that is not allowed, and with its
 * `DurableStreamMismatch` where the query or the number of partitions of a version has changed: raise the version.
 */
export const make = <P extends Projection<any>>(
  options: ProjectionWorkerOptions<P>
): Effect.Effect<
  ProjectionWorker,
  EventStoreError | HookFailed | UnfitProjection,
  EventStore | Scope.Scope | Requirements<P>
> =>
  Effect.gen(function* () {
    const store = yield* EventStore
    const leaseMs = yield* Effect.mapError(checkLease(options.lease), fromReason)
    const context = yield* Effect.context<Requirements<P>>()
    const scope = yield* Scope.fork(yield* Effect.scope)
    const running: Array<RunningProjection<Requirements<P>>> = []
    for (const projection of options.projections) {
      const { name, version } = projection
      if (running.some((other) => other.projection.name === name && other.projection.version === version)) {
        return yield* new UnfitProjection({ projection: name, problem: `version ${version} is there twice` })
      }
      running.push(new RunningProjection(store, projection, leaseMs))
    }
    const stop = Effect.forEach(running, (projection) => projection.stop, { concurrency: "unbounded", discard: true })
    yield* Effect.gen(function* () {
      for (const projection of running) yield* projection.start
      yield* Effect.addFinalizer(() => stop)
    }).pipe(
      Effect.onError((cause) => Effect.andThen(stop, Scope.close(scope, Exit.failCause(cause)))),
      Scope.provide(scope)
    )
    return worker(running, (effect) => Effect.provideContext(effect, context))
  })

/** The worker as a layer. */
export const layer = <P extends Projection<any>>(
  options: ProjectionWorkerOptions<P>
): Layer.Layer<
  ProjectionWorker,
  EventStoreError | HookFailed | UnfitProjection,
  EventStore | Exclude<Requirements<P>, Scope.Scope>
> => Layer.effect(ProjectionWorker, make(options))

const worker = <R>(
  running: ReadonlyArray<RunningProjection<R>>,
  provided: <A, F>(effect: Effect.Effect<A, F, R>) => Effect.Effect<A, F>
): ProjectionWorker => {
  const on = <A, F>(ref: ProjectionRef, run: (projection: RunningProjection<R>) => Effect.Effect<A, F, R>) =>
    Effect.flatMap(find(running, ref), (found) => provided(run(found)))
  return {
    status: (ref) => on(ref, (projection) => projection.status),
    statuses: Effect.forEach(running, (projection) => projection.status),
    waitFor: (ref, sequenceNumber, options) =>
      on(ref, (projection) =>
        Effect.timeoutOrElse(Effect.andThen(checkNumbers({ sequenceNumber }), projection.reached(sequenceNumber)), {
          duration: Duration.fromInputUnsafe(options?.timeout ?? defaultWait),
          orElse: () =>
            Effect.flatMap(projection.position, (position) =>
              Effect.fail(new WaitTimedOut({ projection: projection.projection.name, sequenceNumber, position }))
            )
        })
      ),
    pause: (ref) => on(ref, (projection) => projection.pause),
    resume: (ref) => on(ref, (projection) => projection.resume),
    rebuild: (ref) => on(ref, (projection) => projection.rebuild),
    deadLetters: (ref, { after = 0, limit = 100 } = {}) =>
      on(ref, (projection) =>
        Effect.andThen(
          checkNumbers({ after, limit }),
          Effect.suspend(() => projection.deadLetters(after, limit))
        )
      ),
    replay: (ref, options) => on(ref, (projection) => projection.replay(options?.key)),
    discard: (ref, sequenceNumbers) =>
      on(ref, (projection) =>
        Effect.andThen(
          Effect.forEach(sequenceNumbers, (sequenceNumber) => checkNumbers({ sequenceNumber })),
          projection.discard(sequenceNumbers)
        )
      )
  }
}

const checkNumbers = (numbers: Readonly<Record<string, number>>): Effect.Effect<void, EventStoreError> => {
  const wrong = Object.keys(numbers).find((path) => !Number.isSafeInteger(numbers[path]) || numbers[path]! < 0)
  return wrong === undefined
    ? Effect.void
    : Effect.fail(fromReason(new InvalidInput({ path: wrong, problem: "expected a whole number from 0" })))
}

const find = <R>(running: ReadonlyArray<RunningProjection<R>>, ref: ProjectionRef) => {
  const [name, version] = typeof ref === "string" ? [ref, undefined] : [ref.name, ref.version]
  const found = running
    .filter(({ projection }) => projection.name === name && (version ?? projection.version) === projection.version)
    .sort((a, b) => b.projection.version - a.projection.version)[0]
  return found === undefined ? Effect.fail(new UnknownProjection({ projection: name })) : Effect.succeed(found)
}
