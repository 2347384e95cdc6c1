/**
 * The shape of the conformance suite: cases as data, and what a store has to bring to be run through them.
 *
 * The suite knows no test runner. A case succeeds, or dies with an `AssertionError`; how it is named, timed out and
 * reported is the runner's business. Waits inside a case are bounded by themselves.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { NewEvent } from "../../stores/Event.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"

/** Opens a store; closing the scope closes the store. */
export type OpenStore = Effect.Effect<EventStore, EventStoreError, Scope.Scope>

/** What the suite needs of a store under test. */
export interface StoreHarness {
  /** Opens a store on a new, empty log; each time another one. */
  readonly make: OpenStore
  /** The same with a limit of its own for payloads (the contract's "Limits"). */
  readonly makeWithMaxPayloadBytes: (maxPayloadBytes: number) => OpenStore
  /**
   * Creates a new, empty log that outlives the stores opened on it, and gives what opens a store on it: any number of times,
   * one after the other or at once. Left out by stores whose log ends with the instance; the cases that need it are
   * marked `needs: "reopen"` and do not apply to them.
   */
  readonly reopen?: Effect.Effect<OpenStore, unknown, Scope.Scope>
  /**
   * Opens a store on a log of these events, recorded by one append, of which the one with this number can no longer be
   * read: its payload was overwritten with bytes that are no JSON, for instance. Left out by stores whose log cannot be
   * damaged; the cases that need it are marked `needs: "makeDamaged"`.
   */
  readonly makeDamaged?: (events: ReadonlyArray<NewEvent>, sequenceNumber: number) => OpenStore
}

/** One promise of the contract, and how to find out whether a store keeps it. */
export interface ConformanceCase {
  /** What holds, as a sentence. */
  readonly name: string
  /** The rule of the contract, for example `A3`; `3.4` is rule 4 of its "Matching", `5`, `6` and `7` are its tables of errors, limits and input. */
  readonly rule: string
  /** What the harness must bring beyond `make`. */
  readonly needs: "reopen" | "makeDamaged" | undefined
  /** Dies with an `AssertionError` when the store breaks the promise. */
  readonly run: (harness: StoreHarness) => Effect.Effect<void, unknown, Scope.Scope>
}

/** A case on a store of its own, with an empty log. */
export const onStore = (
  rule: string,
  name: string,
  run: (store: EventStore) => Effect.Effect<void, unknown, Scope.Scope>
): ConformanceCase => onHarness(rule, name, (harness) => Effect.flatMap(harness.make, run))

/** A case that opens its stores itself. */
export const onHarness = (
  rule: string,
  name: string,
  run: (harness: StoreHarness) => Effect.Effect<void, unknown, Scope.Scope>
): ConformanceCase => ({ rule, name, needs: undefined, run })

/** A case on a log of its own that can be opened more than once. */
export const onLog = (
  rule: string,
  name: string,
  run: (open: OpenStore) => Effect.Effect<void, unknown, Scope.Scope>
): ConformanceCase => ({
  rule,
  name,
  needs: "reopen",
  run: (harness) =>
    harness.reopen === undefined
      ? Effect.die(new Error("this case does not apply: the harness cannot reopen a log"))
      : Effect.flatMap(harness.reopen, run)
})

/** A case on a log with an event that cannot be read. */
export const onDamagedLog = (
  rule: string,
  name: string,
  run: (open: NonNullable<StoreHarness["makeDamaged"]>) => Effect.Effect<void, unknown, Scope.Scope>
): ConformanceCase => ({
  rule,
  name,
  needs: "makeDamaged",
  run: (harness) =>
    harness.makeDamaged === undefined
      ? Effect.die(new Error("this case does not apply: the harness cannot damage a log"))
      : run(harness.makeDamaged)
})

/** Whether the store brings what the case needs. */
export const applies = (conformanceCase: ConformanceCase, harness: StoreHarness): boolean =>
  conformanceCase.needs === undefined || harness[conformanceCase.needs] !== undefined
