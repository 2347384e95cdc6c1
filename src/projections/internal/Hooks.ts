/**
 * The hooks of a projection at work: setting its query model up, putting a version in use, emptying it for a rebuild. One at a time,
 * across processes and versions.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as EventQuery from "../../stores/EventQuery.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import { DurableStreamMismatch, fromReason } from "../../stores/EventStoreError.ts"
import type { HeldLease, Transaction } from "../../stores/Workspace.ts"
import type { Place, Projection } from "../Projection.ts"
import { HookFailed, UnfitProjection } from "../ProjectionError.ts"
import { carriedOut } from "./handling.ts"
import { identityOf, nameOf } from "./names.ts"
import { inTransaction } from "./place.ts"

/** Milliseconds between two looks whether the cursors have been let go. */
const lookInterval = 20

/** Milliseconds that a turn lasts at least: hooks take longer than handlers, and are rarely waited for. */
const leastLease = 5_000

type Hook = "setup" | "reset" | "activate"
type Failure = EventStoreError | HookFailed

export class Hooks<R> {
  private readonly store: EventStore
  private readonly projection: Projection<R>
  private readonly leaseMs: number
  private readonly cursors: ReadonlyArray<string>

  constructor(store: EventStore, projection: Projection<R>, leaseMs: number, cursors: ReadonlyArray<string>) {
    this.store = store
    this.projection = projection
    this.leaseMs = Math.max(leaseMs, leastLease)
    this.cursors = cursors
  }

  /** Makes the cursors and the query model, where they are not there. */
  get setUp(): Effect.Effect<void, Failure | UnfitProjection, R> {
    return this.inTurn((turn) =>
      Effect.gen({ self: this }, function* () {
        yield* this.makeCursors
        yield* this.run(turn, ["setup"], () => Effect.void)
      })
    )
  }

  /** The version in use; 0 when none is. */
  get activeVersion(): Effect.Effect<number, EventStoreError> {
    return Effect.map(
      this.store.workspace.transaction(({ versions }) => versions.active(this.projection.name)),
      (version = 0) => version
    )
  }

  /** Puts the version in use, unless that one or a higher one is. */
  get activate(): Effect.Effect<void, Failure, R> {
    const { name, version } = this.projection
    return this.inTurn((turn) =>
      Effect.gen({ self: this }, function* () {
        if ((yield* this.activeVersion) >= version) return
        yield* this.run(turn, ["activate"], ({ versions }) => Effect.asVoid(versions.activate(name, version)))
      })
    )
  }

  setPaused(paused: boolean): Effect.Effect<void, EventStoreError> {
    return this.inTurn(() =>
      this.store.workspace.transaction((transaction) => setPaused(transaction, this.cursors, paused))
    )
  }

  /**
   * Empties the query model and sets the cursors back, when nobody handles anything any more. `wake` has the streams of this process
   * look at their cursors.
   *
   * A query model in the store's database is either as it was or empty. One that is elsewhere stays paused at the beginning
   * where a hook fails, for nobody knows what is left of it.
   */
  rebuild(wake: Effect.Effect<void, EventStoreError>): Effect.Effect<void, Failure, R> {
    return this.inTurn((turn) =>
      Effect.gen({ self: this }, function* () {
        const { workspace } = this.store
        const rows = yield* workspace.transaction(({ cursors }) => cursors.read(this.cursors))
        const goOn = rows.filter(({ paused }) => !paused).map(({ cursor }) => cursor)
        const resume = (transaction: Transaction) => setPaused(transaction, goOn, false)
        // Where somebody else has the turn they may be in the middle of a rebuild.
        const resumeInTurn = (transaction: Transaction) =>
          Effect.andThen(resume(transaction), turn.confirmIn(transaction))
        let mayGoOn = true
        yield* workspace.transaction((transaction) =>
          Effect.andThen(setPaused(transaction, goOn, true), turn.confirmIn(transaction))
        )
        yield* Effect.gen({ self: this }, function* () {
          yield* this.letGo(wake)
          if (!this.projection.isTransactional) {
            mayGoOn = false
            yield* workspace.transaction((transaction) =>
              Effect.andThen(this.setBack(transaction), turn.confirmIn(transaction))
            )
          }
          yield* this.run(turn, ["reset", "setup"], (transaction) =>
            this.projection.isTransactional
              ? Effect.andThen(this.setBack(transaction), resume(transaction))
              : resume(transaction)
          )
        }).pipe(Effect.onError(() => (mayGoOn ? Effect.ignore(workspace.transaction(resumeInTurn)) : Effect.void)))
      })
    )
  }

  /** All or none: a cursor that belongs to something else leaves no trace of this one. */
  private readonly makeCursors = Effect.gen({ self: this }, function* () {
    const { isTransactional, name, query, start } = this.projection
    const about = EventQuery.identifying(query) + identityOf(this.projection)
    const from = start === "head" ? yield* this.store.workspace.head : 0
    yield* this.store.workspace.transaction((transaction) =>
      Effect.gen({ self: this }, function* () {
        if (isTransactional && transaction.sql === undefined) {
          const problem =
            "its query model is in the store's database, and this store has none; use Projection.elsewhere"
          return yield* new UnfitProjection({ projection: name, problem })
        }
        for (const cursor of this.cursors) {
          if (yield* transaction.cursors.ensure({ cursor, query: about, start: from })) continue
          return yield* fromReason(new DurableStreamMismatch({ stream: nameOf(this.projection) }))
        }
      })
    )
  })

  /** Resolves when no worker holds a cursor, each of which is paused. A worker that is gone lets go when its lease ends. */
  private letGo(wake: Effect.Effect<void, EventStoreError>): Effect.Effect<void, EventStoreError> {
    return Effect.gen({ self: this }, function* () {
      yield* wake
      const rows = this.store.workspace.transaction(({ cursors }) => cursors.read(this.cursors))
      while ((yield* rows).some(({ held }) => held)) yield* Effect.sleep(Duration.millis(lookInterval))
    })
  }

  private setBack({ cursors, deadLetters }: Transaction): Effect.Effect<void, EventStoreError> {
    return Effect.forEach(
      this.cursors,
      (cursor) => Effect.andThen(cursors.reset(cursor, 0), deadLetters.clear(cursor)),
      { discard: true }
    )
  }

  private inTurn<A, E, R = never>(work: (turn: HeldLease) => Effect.Effect<A, E, R>) {
    const { name } = this.projection
    return this.store.workspace.inTurn({ cursor: `hooks ${name}`, name, leaseMs: this.leaseMs }, work)
  }

  /** Runs hooks, and then what is to be noted of them: in one transaction where the query model is in the store's database. */
  private run(
    turn: HeldLease,
    hooks: ReadonlyArray<Hook>,
    note: (transaction: Transaction) => Effect.Effect<void, EventStoreError>
  ): Effect.Effect<void, Failure, R> {
    const { projection, store } = this
    const called = (place: Place) => Effect.forEach(hooks, (hook) => this.hook(hook, place), { discard: true })
    const noted = (transaction: Transaction) => Effect.andThen(note(transaction), turn.confirmIn(transaction))
    return projection.isTransactional
      ? inTransaction(store, projection, this.leaseMs, (transaction, place) =>
          Effect.andThen(called(place), noted(transaction))
        )
      : Effect.andThen(called({ version: projection.version }), store.workspace.transaction(noted))
  }

  private hook(hook: Hook, place: Place): Effect.Effect<void, HookFailed, R> {
    return Effect.mapError(
      carriedOut(() => this.projection[hook]?.(place)),
      (cause) => HookFailed.caused({ projection: this.projection.name, hook }, cause)
    )
  }
}

const setPaused = ({ cursors }: Transaction, names: ReadonlyArray<string>, paused: boolean) =>
  Effect.forEach(names, (cursor) => cursors.setPaused(cursor, paused), { discard: true })
