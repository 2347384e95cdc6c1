/**
 * `History`: logs that can come about, made by dispatching generated commands one after another through the deciders of an
 * application, in memory. No event is invented. A history shrinks by its commands: they are dropped and made smaller, and
 * dispatched anew.
 */
import * as Result from "effect/Result"
import * as fc from "fast-check"
import type * as Decider from "../../decider/Decider.ts"
import type { Fault } from "../spec/callPure.ts"
import * as Arbitrary from "./Arbitrary.ts"
import type { Decided, Logged } from "./decide.ts"
import { decide } from "./decide.ts"

export type { Decided, Logged }

/** A decider with the commands that it gets. Made by `commands`. */
export interface Commands<D extends Decider.Any = Decider.Any> {
  readonly decider: D
  readonly command: fc.Arbitrary<Decider.CommandOf<D>>
  /** How often it is its turn, compared with the others. */
  readonly weight: number
}

/** The events of deciders. */
export type EventIn<C extends ReadonlyArray<Commands>> = Decider.EventOf<C[number]["decider"]>

/** A command, and what it led to. */
export interface Step {
  readonly decider: Decider.Any
  readonly command: unknown
  /** The last position of the log when it was decided. */
  readonly position: number
  /** Or what must not happen; nothing is recorded then. */
  readonly outcome: Result.Result<Decided, Fault>
}

/** What happened: commands in order, and the log that they made. */
export interface History {
  readonly steps: ReadonlyArray<Step>
  readonly log: ReadonlyArray<Logged>
}

/** A command before it is dispatched; `kind` is the index of its `Commands`. */
export interface Issued {
  readonly kind: number
  readonly command: unknown
}

/** How histories are generated. */
export interface Options {
  /** Of the longest history. Default: 16. */
  readonly maxCommands?: number
}

/** Where the commands of a decider come from: their Schema, or an arbitrary. `weight` is 1 by default. */
export const commands = <D extends Decider.Any>(
  decider: D,
  source: Arbitrary.Source<Decider.CommandOf<D>>,
  options: { readonly weight?: number } = {}
): Commands<D> => ({ decider, command: Arbitrary.from(source), weight: options.weight ?? 1 })

/** Histories of an application. */
export const arbitrary = (of: ReadonlyArray<Commands>, options: Options = {}): fc.Arbitrary<History> =>
  issued(of, options).map((commands) => replay(of, commands))

/** The commands of a history. */
export const issued = (of: ReadonlyArray<Commands>, options: Options = {}): fc.Arbitrary<ReadonlyArray<Issued>> =>
  // With fast-check's bias most histories would be short, and nothing happens in a short one.
  fc.noBias(
    fc.array(
      fc.oneof(
        ...of.map(({ command, weight }, kind) => ({
          weight,
          arbitrary: fc.record({ kind: fc.constant(kind), command }, { noNullPrototype: true })
        }))
      ),
      { maxLength: options.maxCommands ?? 16, size: "max" }
    )
  )

/** Dispatches the commands one after another, on an empty log. */
export const replay = (of: ReadonlyArray<Commands>, commands: ReadonlyArray<Issued>): History => {
  const steps: Array<Step> = []
  let log: ReadonlyArray<Logged> = []
  for (const { command, kind } of commands) {
    const { decider } = of[kind]!
    const outcome = decide(decider, command, log)
    steps.push({ decider, command, position: log.length, outcome })
    if (Result.isSuccess(outcome)) log = [...log, ...outcome.success.emitted]
  }
  return { steps, log }
}
