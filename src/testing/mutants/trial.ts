/** Runs cases against a store in memory and says which it fails, and how. */
import { AssertionError } from "node:assert/strict"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ConformanceCase, StoreHarness } from "../conformance/ConformanceCase.ts"
import { applies } from "../conformance/ConformanceCase.ts"
import { EventStoreError } from "../../stores/EventStoreError.ts"
import { inVirtualTime } from "./VirtualTime.ts"

/** A case that a store fails. */
export interface Failure {
  /** The name of the case. */
  readonly name: string
  /** The rule of the contract that it is about. */
  readonly rule: string
  /**
   * - `broken`: something else came than what the case expects
   * - `failed`: a call failed that should have succeeded
   * - `silent`: the case waited in vain
   * - `crashed`: something threw that is no failure of an event store; the mutant itself may be at fault
   */
  readonly how: "broken" | "failed" | "silent" | "crashed"
  /** What the case said. */
  readonly problem: string
}

/** How long a case may take, in virtual time; its own waits are shorter. */
const longest = "2 minutes"

class Silent extends Error {}

/** The cases that the store fails, of those that apply to it, each run by itself in virtual time. */
export const failuresOf = (
  harness: StoreHarness,
  cases: ReadonlyArray<ConformanceCase>
): Effect.Effect<ReadonlyArray<Failure>> =>
  Effect.map(
    Effect.forEach(
      cases.filter((it) => applies(it, harness)),
      (it) => Effect.map(verdict(it, harness), (failure) => (failure === undefined ? [] : [failure]))
    ),
    (failures) => failures.flat()
  )

const verdict = ({ name, rule, run }: ConformanceCase, harness: StoreHarness): Effect.Effect<Failure | undefined> =>
  Effect.suspend(() => run(harness)).pipe(
    Effect.timeoutOrElse({ duration: longest, orElse: () => Effect.die(new Silent("the case did not end")) }),
    Effect.scoped,
    inVirtualTime,
    Effect.exit,
    Effect.map((exit) => {
      if (Exit.isSuccess(exit)) return undefined
      const thrown = Cause.squash(exit.cause)
      return { name, rule, how: howOf(thrown), problem: firstLine(thrown) }
    })
  )

const howOf = (thrown: unknown): Failure["how"] => {
  if (thrown instanceof Silent) return "silent"
  if (thrown instanceof AssertionError) return thrown.message.startsWith("waited in vain") ? "silent" : "broken"
  return thrown instanceof EventStoreError ? "failed" : "crashed"
}

const firstLine = (thrown: unknown): string =>
  (thrown instanceof Error ? thrown.message : String(thrown)).split("\n", 1)[0]!
