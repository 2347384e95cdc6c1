/**
 * What happened in one run: the commands with their answers, every step in the order in which it happened, and the log. The
 * number of a step is the time: a command that was answered before another one was called comes before it.
 */
import type { Outcome } from "../../dispatch/Outcome.ts"
import type { EventRecord } from "../../stores/Event.ts"
import type { EventQuery } from "../../stores/EventQuery.ts"
import type { AppendResult, QueryResult } from "../../stores/EventStore.ts"
import type { Request } from "./Request.ts"

/** The entry of the metadata that says which command led to an event. */
export const commandEntry = "evolvent.testing.command"

/** A command, and what came of it. */
export interface Dispatched {
  /** From 1. */
  readonly id: number
  readonly request: Request
  /** From 0. */
  readonly process: number
  /** Whether it was dispatched before those that were dispatched at once. */
  readonly given: boolean
  /** The step in which it was called. */
  readonly called: number
  /** The step in which it was answered; infinite where it never was. */
  readonly answered: number
  readonly answer: Answer
}

/** What came of a command. */
export type Answer = Outcome<unknown, unknown> | Failed | Unanswered

/** It failed for another reason than a rejection. */
export interface Failed {
  readonly _tag: "Failed"
  readonly error: unknown
  /** Whether its events may be in the log all the same. */
  readonly mayHaveCommitted: boolean
  /** Whether the user of the check said that such a failure may happen. */
  readonly isTolerated: boolean
}

export interface Unanswered {
  readonly _tag: "Unanswered"
}

/** What a call to a store came to. */
export type Came<A> =
  { readonly _tag: "Gave"; readonly value: A } | { readonly _tag: "Refused"; readonly error: unknown }

/** A read of the log. */
export interface Read {
  readonly _tag: "Read"
  readonly process: number
  /** The commands that it was for, as far as that is known. */
  readonly ids: ReadonlyArray<number>
  readonly query: EventQuery
  readonly came: Came<QueryResult> | undefined
}

/** An append. */
export interface Appended {
  readonly _tag: "Appended"
  readonly process: number
  readonly ids: ReadonlyArray<number>
  /** The version that the context must be at; `undefined` where there is no condition. */
  readonly expected: number | null | undefined
  /** The version at which the store found the context, where it had the commands decided again under its lock. */
  readonly revisedAt: number | null | undefined
  readonly came: Came<ReadonlyArray<AppendResult>> | undefined
}

/** One step of a run. A call to a store that is `under way` comes to its end in a later step of its own. */
export type Step =
  | Read
  | Appended
  | { readonly _tag: "Called"; readonly id: number; readonly process: number }
  | { readonly _tag: "Answered"; readonly id: number; readonly answer: Answer }
  | { readonly _tag: "BackedOff"; readonly process: number }

/** One run. */
export interface History {
  readonly commands: ReadonlyArray<Dispatched>
  readonly steps: ReadonlyArray<Step>
  readonly log: ReadonlyArray<EventRecord>
}
