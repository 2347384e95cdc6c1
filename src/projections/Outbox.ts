/**
 * `Outbox`: a reactor at work, as plain data: which reactions, and the effect that carries one out.
 *
 * The reactions to an event are put into a table of the event store's database in the transaction that moves the reactor's cursor:
 * once each, whatever crashes. From there workers carry them out, at least once: an effect that succeeded just before a crash is
 * repeated, with the same idempotency key.
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Reactor from "../decider/Reactor.ts"
import type { EventRecord } from "../stores/Event.ts"
import type { EventStoreError } from "../stores/EventStoreError.ts"
import type { StreamStatus } from "../stores/EventStream.ts"

/** One attempt to carry out a reaction. */
export interface Occasion {
  /**
   * Unique for reactor, event and place among the reactions to it; the same in every attempt, also after restarts. At most 255 bytes.
   * Hand it on, to `dispatch` or to whatever service is called.
   */
  readonly idempotencyKey: string
  /** What is reacted to. */
  readonly record: EventRecord
  /** From 1. Attempts whose process ended count too. */
  readonly attempt: number
  /** Aborts when the attempt has taken too long: for code that cannot be interrupted otherwise. */
  readonly signal: AbortSignal
}

/** What carrying a reaction out gives: nothing, where it is done when it returns; else an effect or a promise. */
export type Effort<R> = void | PromiseLike<unknown> | Effect.Effect<unknown, unknown, R>

/** How long to wait after failed attempts: at random up to `first`, doubled with each attempt, never more than `most`. */
export interface BackOff {
  /** Default: 1 second. */
  readonly first?: Duration.Input | undefined
  /** Default: 5 minutes. */
  readonly most?: Duration.Input | undefined
}

/** What `make` takes. */
export interface Definition<Reaction, R> {
  /** The names of its parts identify the stored reactions and cursors: keep them. Its reactions have to be JSON. */
  readonly reactor: Reactor.Reactor<Reaction>
  /**
   * Carries one reaction out; runs within `causedBy(record)`. It may be interrupted after `timeout`, and may run again although it
   * has succeeded.
   */
  readonly carryOut: (reaction: NoInfer<Reaction>, occasion: Occasion) => Effort<R>
  /**
   * Where a reactor of a new name starts; one that is known goes on where it was. Default: at the head, because an effect of an event
   * of last year, such as a letter, cannot be taken back.
   */
  readonly start?: "beginning" | "head" | undefined
  /** Attempts before a reaction is dead. With 1, nothing is repeated by itself. Default: 10. */
  readonly attempts?: number | undefined
  readonly backOff?: BackOff | undefined
  /** How long an attempt may take. Default: 1 minute. */
  readonly timeout?: Duration.Input | undefined
  /** Reactions that one process carries out at once. Default: 8. */
  readonly concurrency?: number | undefined
  /**
   * How long after its end, or its last sign of life, a process counts as gone: another one then fills the outbox, and carries out,
   * after `timeout` and this, what was being carried out. 100 milliseconds to a day. Default: 5 seconds.
   */
  readonly lease?: Duration.Input | undefined
}

/** A reactor and how its reactions are carried out. */
export interface Outbox<Reaction, R = never> {
  readonly reactor: Reactor.Reactor<Reaction>
  readonly carryOut: (reaction: Reaction, occasion: Occasion) => Effort<R>
  readonly start: "beginning" | "head"
  readonly attempts: number
  /** Milliseconds. */
  readonly backOff: { readonly first: number; readonly most: number }
  /** Milliseconds. */
  readonly timeout: number
  readonly concurrency: number
  /** Milliseconds, where it is given. */
  readonly lease: Duration.Input | undefined
}

/** Any outbox. */
export type Any = Outbox<any, any>

/** What the effects of an outbox need. */
export type Requirements<O extends Any> = O extends Outbox<any, infer R> ? R : never

/** Makes an outbox. Throws where an option is not allowed, which is a mistake in the program. */
export const make = <Reaction, R = never>(definition: Definition<Reaction, R>): Outbox<Reaction, R> => {
  const { backOff, carryOut, lease, reactor, start = "head" } = definition
  const named = reactor.parts.map(({ name }) => JSON.stringify(name)).join(", ")
  const refuse = (problem: string): never => {
    throw new Error(`outbox of ${named}: ${problem}`)
  }
  const count = (what: string, value: number): number =>
    Number.isSafeInteger(value) && value >= 1 ? value : refuse(`${what} must be a whole number from 1`)
  const millis = (what: string, value: Duration.Input, least: number): number => {
    const found = Option.getOrUndefined(Duration.fromInput(value))
    const length = found === undefined ? NaN : Math.round(Duration.toMillis(found))
    return length >= least && length <= mostMillis
      ? length
      : refuse(`${what} must be a duration from ${least} ms to a day`)
  }
  for (const { name } of reactor.parts) {
    const bytes = Buffer.byteLength(name)
    if (bytes < 1 || bytes > mostNameBytes || !name.isWellFormed() || name.includes("\0")) {
      refuse(`a reactor's name must have 1 to ${mostNameBytes} bytes, well-formed, no NUL`)
    }
  }
  return {
    reactor,
    carryOut,
    start: ["beginning", "head"].includes(start) ? start : refuse('start must be "beginning" or "head"'),
    attempts: count("attempts", definition.attempts ?? 10),
    backOff: {
      first: millis("backOff.first", backOff?.first ?? "1 second", 0),
      most: millis("backOff.most", backOff?.most ?? "5 minutes", 0)
    },
    timeout: millis("timeout", definition.timeout ?? "1 minute", 1),
    concurrency: count("concurrency", definition.concurrency ?? 8),
    lease: lease === undefined ? undefined : millis("lease", lease, 100)
  }
}

const mostNameBytes = 200
const mostMillis = 86_400_000

/** Identifies a stored reaction. */
export interface ReactionRef {
  /** Name of the reactor, of the part where reactors are merged. */
  readonly reactor: string
  /** Position of the event that is reacted to. */
  readonly sequenceNumber: number
  /** Place among the reactor's reactions to the event, from 0. */
  readonly place: number
}

/** A reaction that was given up. */
export interface DeadReaction<Reaction> extends ReactionRef {
  readonly reaction: Reaction
  readonly attempts: number
  /** Name and message of the error that the last attempt failed with, at most 1,000 characters. */
  readonly failure: string
}

/** How one reactor of an outbox is doing. */
export interface ReactorStatus {
  readonly reactor: string
  /** Of the filling; `waiting` where another process fills. See `StreamStatus`. */
  readonly state: StreamStatus["state"]
  /** The reactions to every event up to this number are, or were, in the outbox. */
  readonly position: number
  /** Events of the log that were not looked at yet. */
  readonly lag: number
  /** Reactions that are to be carried out, or are being carried out, by whichever process. */
  readonly waiting: number
  readonly dead: number
  /** What the filling failed with last here; never printed by the outbox itself. */
  readonly lastError: unknown
}

/** How an outbox is doing. */
export interface OutboxStatus {
  /** Reactions that are to be carried out, or are being carried out, by whichever process. */
  readonly waiting: number
  readonly dead: number
  /** Reactions that this process is carrying out. */
  readonly running: number
  /** What an attempt, or the store, failed with last in this process; never printed by the outbox itself. */
  readonly lastError: unknown
  readonly reactors: ReadonlyArray<ReactorStatus>
}

/** An outbox that is run. Beside the status, everything concerns the outbox wherever it runs. */
export interface RunningOutbox<Reaction> {
  readonly status: Effect.Effect<OutboxStatus, EventStoreError>
  /**
   * Resolves when the reactions to everything up to the number were carried out, or are dead. Where the filling has stopped here that is
   * when it was resumed, or another process has filled.
   */
  readonly settled: (sequenceNumber: number) => Effect.Effect<void, EventStoreError>
  /** Starts the filling of reactors again that has stopped in this process. */
  readonly resume: Effect.Effect<void, EventStoreError>
  /** The dead reactions, in the order of their events: at most `limit`, 100 if that is left out. */
  readonly dead: (options?: {
    readonly limit?: number | undefined
  }) => Effect.Effect<ReadonlyArray<DeadReaction<Reaction>>, EventStoreError>
  /** Gives dead reactions as many attempts as new ones: these, or all. Says how many. */
  readonly revive: (reactions?: ReadonlyArray<ReactionRef>) => Effect.Effect<number, EventStoreError>
  /** Takes these dead reactions out: they will never be carried out. Says how many. */
  readonly drop: (reactions: ReadonlyArray<ReactionRef>) => Effect.Effect<number, EventStoreError>
}

/** Options of one run. */
export interface RunOptions {
  /** How often to look for reactions that other processes have put in or left behind. Default: 500 milliseconds. */
  readonly poll?: Duration.Input | undefined
}
