/** A request: a command with the decider that decides it, and the way on which the application dispatches it. */
import type * as Effect from "effect/Effect"
import type * as fc from "fast-check"
import type * as Decider from "../../decider/Decider.ts"
import type { Dispatcher } from "../../dispatch/Dispatcher.ts"
import type { Outcome } from "../../dispatch/Outcome.ts"
import type { EventStore } from "../../stores/EventStore.ts"

/** What a process of the application has at hand. */
export interface Process {
  readonly dispatcher: Dispatcher
  /** The process's own store on the log. */
  readonly store: EventStore
}

/** How a command is dispatched, where it is not simply `dispatcher.outcome(decider, command)`. */
export type Via<Command> = (process: Process, command: Command) => Effect.Effect<Outcome<any, any>, unknown>

/** A command with its decider. */
export interface Request {
  /** Decides what is right: what the log and the answer are compared with. */
  readonly decider: Decider.Any
  readonly command: unknown
  /** The handler that is tested against the decider; the decider itself is dispatched where there is none. */
  readonly via: Via<any> | undefined
}

/**
 * A request. With `via` it is dispatched as the application does it, with reads of its own for instance; what comes of it
 * still has to be what the decider decides. The state of the answer is not looked at then.
 */
export const request = <Command, State, Event, Rejection>(
  decider: Decider.Decider<Command, State, Event, Rejection>,
  command: NoInfer<Command>,
  via?: Via<NoInfer<Command>>
): Request => ({ decider, command, via })

/** Requests with generated commands. */
export const requests = <Command, State, Event, Rejection>(
  decider: Decider.Decider<Command, State, Event, Rejection>,
  commands: fc.Arbitrary<NoInfer<Command>>,
  via?: Via<NoInfer<Command>>
): fc.Arbitrary<Request> => commands.map((command) => request(decider, command, via))
