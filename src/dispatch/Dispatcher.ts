/**
 * `dispatch`: reads the context of a command, folds it, decides, and appends what the decision leads to if the context is
 * still the one that was decided on; otherwise decides again on what has come.
 *
 * Commands of one process that share a context do not race: they go through a lane, in order. Optimistic concurrency is
 * between processes, and between contexts that only overlap. Folded contexts are kept, so a command whose context is known
 * costs no read.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type * as Decider from "../decider/Decider.ts"
import type * as View from "../decider/View.ts"
import { copyQuery } from "../stores/copyQuery.ts"
import * as EventQuery from "../stores/EventQuery.ts"
import { EventStore } from "../stores/EventStore.ts"
import { EventStoreError, fromReason, InvalidInput, StoreClosed } from "../stores/EventStoreError.ts"
import { traced } from "../stores/tracing.ts"
import { CommandMetadata } from "./CommandMetadata.ts"
import { Command } from "./internal/Command.ts"
import { firstOutcome } from "./internal/firstOutcome.ts"
import { FoldCache } from "./internal/FoldCache.ts"
import { checkKey, IdempotencyKey } from "./internal/IdempotencyKey.ts"
import { Lane } from "./internal/Lane.ts"
import { counted } from "./DispatchMetrics.ts"
import type { DispatchError, Done, Outcome, WrongRevision } from "./Outcome.ts"
import { Overloaded } from "./Outcome.ts"

/** How hard one command is tried. */
export interface DispatchOptions {
  /** Times that the command may be decided before `RetriesExhausted`. Default: 10. */
  readonly attempts?: number | undefined
  /** How long it may take before no further attempt is made. Default: 30 seconds. */
  readonly deadline?: Duration.Input | undefined
  /**
   * Makes the command repeatable: once it was accepted under the key, every later call with the same key and the same command
   * is answered with the first outcome and records nothing, however often, from whichever process and at once. What was not
   * accepted is decided anew. Another command under the key is `IdempotencyMismatch`. 1 to 255 bytes of UTF-8, kept as long as
   * the log, as a tag of the command's events. Default: none, every call is a command of its own.
   */
  readonly idempotencyKey?: string | undefined
}

/** Options of `dispatchToStream`. */
export interface StreamDispatchOptions extends DispatchOptions {
  /** The revision that the stream must be at: the number of its last event, `null` for none. Default: any. */
  readonly expectedRevision?: number | null | undefined
}

/** Dispatches commands. */
export interface Dispatcher {
  /**
   * Decides the command and records what it leads to. A rejection of the domain is a typed failure and is never retried.
   * When it is answered, it was true at some moment after the call.
   */
  readonly dispatch: <Command, State, Event, Rejection>(
    decider: Decider.Decider<Command, State, Event, Rejection>,
    command: NoInfer<Command>,
    options?: DispatchOptions
  ) => Effect.Effect<Done<State>, Rejection | DispatchError>

  /** `dispatch`, with a rejection as a value. */
  readonly outcome: <Command, State, Event, Rejection>(
    decider: Decider.Decider<Command, State, Event, Rejection>,
    command: NoInfer<Command>,
    options?: DispatchOptions
  ) => Effect.Effect<Outcome<State, Rejection>, DispatchError>

  /**
   * A special case for decisions whose boundary really is one stream: the context is every event that carries the tag
   * `stream`, whatever the decider's own query. The decider folds those of them that its query matches, and every event
   * that it emits has to carry the tag. With `expectedRevision` the command is for exactly the state that the caller has
   * seen.
   */
  readonly dispatchToStream: <Command, State, Event, Rejection>(
    decider: Decider.Decider<Command, State, Event, Rejection>,
    stream: string,
    command: NoInfer<Command>,
    options?: StreamDispatchOptions
  ) => Effect.Effect<Done<State>, Rejection | WrongRevision | DispatchError>

  /** `dispatchToStream`, with a rejection as a value. */
  readonly outcomeOnStream: <Command, State, Event, Rejection>(
    decider: Decider.Decider<Command, State, Event, Rejection>,
    stream: string,
    command: NoInfer<Command>,
    options?: StreamDispatchOptions
  ) => Effect.Effect<Outcome<State, Rejection>, WrongRevision | DispatchError>
}

/** The dispatcher as a service. */
export const Dispatcher: Context.Service<Dispatcher, Dispatcher> = Context.Service<Dispatcher>("evolvent/Dispatcher")

/** Options of a dispatcher. */
export interface DispatcherOptions {
  /** Contexts whose fold is kept, the least recently used goes first; 0 for none. Default: 10,000. */
  readonly cachedContexts?: number | undefined
  /** Commands that may wait for the same context before `Overloaded`. Default: 10,000. */
  readonly waitingPerContext?: number | undefined
}

/** A dispatcher on the event store at hand. With the scope it ends; commands that still wait fail with `StoreClosed`. */
export const make = (
  options: DispatcherOptions = {}
): Effect.Effect<Dispatcher, EventStoreError, EventStore | Scope.Scope> =>
  Effect.gen(function* () {
    const cachedContexts = yield* count(options.cachedContexts ?? 10_000, "options.cachedContexts", 0)
    const waitingPerContext = yield* count(options.waitingPerContext ?? 10_000, "options.waitingPerContext", 1)
    const store = yield* EventStore
    const clock = yield* Clock.Clock
    const now = () => clock.currentTimeMillisUnsafe()
    const run = yield* FiberSet.makeRuntime<never>()
    const environment = { store, cache: new FoldCache(cachedContexts), now }
    const lanes = new Map<string, Lane>()
    const closed = Effect.fail(fromReason(new StoreClosed()))
    let isClosed = false
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isClosed = true
        for (const lane of lanes.values()) lane.abandon(closed)
      })
    )

    /** The lane of the context, running. */
    const laneOf = (context: string, query: EventQuery.EventQuery): Lane => {
      const existing = lanes.get(context)
      if (existing !== undefined) return existing
      const lane = new Lane(environment, context, query)
      lanes.set(context, lane)
      const leave = () => void lanes.delete(context)
      run(
        lane.drain(leave).pipe(
          Effect.onError((cause) =>
            Effect.sync(() => {
              leave()
              lane.abandon(isClosed ? closed : Effect.failCause(cause))
            })
          )
        )
      )
      return lane
    }

    const enter = Effect.fnUntraced(
      function* (decider: Decider.Any, command: unknown, target: Target, options: DispatchOptions = {}) {
        if (isClosed) return yield* closed
        const expected = target.expected
        if (expected !== undefined && expected !== null) yield* count(expected, "options.expectedRevision", 0)
        const found = yield* contextOf(decider, command, target)
        const { context, query, stream, view } = found
        const given = options.idempotencyKey
        const key = given === undefined ? undefined : yield* keyOf(store, decider, command, found, given)
        const travelling = yield* CommandMetadata
        const metadata = key === undefined ? travelling : { ...travelling, ...key.metadata }
        const mostAttempts = yield* count(options.attempts ?? 10, "options.attempts", 1)
        const deadline = now() + (yield* millis(options.deadline ?? Duration.seconds(30), "options.deadline"))
        return yield* Effect.callback<Outcome<any, any>, any>((resume) => {
          // The fiber may have yielded since it was asked the first time.
          if (isClosed) return resume(closed)
          const lane = laneOf(context, query)
          if (lane.length >= waitingPerContext) {
            return resume(Effect.fail(new Overloaded({ decider: decider.name, waiting: lane.length })))
          }
          const fields = { decider, command, view, metadata, stream, expected, mostAttempts, deadline, key }
          const entered = new Command(fields, resume)
          lane.add(entered)
          return Effect.sync(() => lane.remove(entered))
        })
      },
      (dispatched, { name }) => counted(dispatched, name),
      (dispatched, { name }) => traced("evolvent.dispatch", { "evolvent.decider": name }, () => dispatched)
    )

    const outcome: Dispatcher["outcome"] = (decider, command, options) => enter(decider, command, {}, options)
    const outcomeOnStream: Dispatcher["outcomeOnStream"] = (decider, stream, command, options) =>
      enter(decider, command, { stream, expected: options?.expectedRevision }, options)
    return {
      outcome,
      outcomeOnStream,
      dispatch: (...parameters) => Effect.flatMap(outcome(...parameters), unlessRejected),
      dispatchToStream: (...parameters) => Effect.flatMap(outcomeOnStream(...parameters), unlessRejected)
    }
  })

const unlessRejected = <State, Rejection>(outcome: Outcome<State, Rejection>): Effect.Effect<Done<State>, Rejection> =>
  outcome._tag === "Rejected" ? Effect.fail(outcome.rejection) : Effect.succeed(outcome)

/** The dispatcher as a layer. */
export const layer = (options: DispatcherOptions = {}): Layer.Layer<Dispatcher, EventStoreError, EventStore> =>
  Layer.effect(Dispatcher, make(options))

/** `Dispatcher.dispatch` of the dispatcher at hand. */
export const dispatch = <Command, State, Event, Rejection>(
  decider: Decider.Decider<Command, State, Event, Rejection>,
  command: NoInfer<Command>,
  options?: DispatchOptions
): Effect.Effect<Done<State>, Rejection | DispatchError, Dispatcher> =>
  Effect.flatMap(Dispatcher, (dispatcher) => dispatcher.dispatch(decider, command, options))

/** `Dispatcher.dispatchToStream` of the dispatcher at hand. */
export const dispatchToStream = <Command, State, Event, Rejection>(
  decider: Decider.Decider<Command, State, Event, Rejection>,
  stream: string,
  command: NoInfer<Command>,
  options?: StreamDispatchOptions
): Effect.Effect<Done<State>, Rejection | WrongRevision | DispatchError, Dispatcher> =>
  Effect.flatMap(Dispatcher, (dispatcher) => dispatcher.dispatchToStream(decider, stream, command, options))

/** Where a command is decided: on its view's own context, or on a stream. */
interface Target {
  readonly stream?: string
  readonly expected?: number | null | undefined
}

interface CommandContext {
  readonly view: View.Any
  readonly query: EventQuery.EventQuery
  /** The canonical text of the query. */
  readonly context: string
  readonly stream: string | undefined
}

/** A query that is refused, because of what the command holds, is the typed error; what else user code throws is a bug. */
const contextOf = (
  decider: Decider.Any,
  command: unknown,
  { stream }: Target
): Effect.Effect<CommandContext, EventStoreError> => {
  const context = Result.try({
    try: (): CommandContext => {
      const view: View.Any = decider.view(command)
      const live = stream === undefined ? view.query : EventQuery.withTags(stream)
      const query = Result.getOrThrowWith(copyQuery(live), fromReason)
      // The command may change after the call. A fold is kept under the text of its query, so that the view has to match by the
      // same query: what it makes of it when first asked, it makes now.
      for (const part of view.parts) void part.matcher
      void view.key
      return { view, query, context: EventQuery.canonical(query), stream }
    },
    catch: (thrown) => thrown
  })
  if (Result.isSuccess(context)) return Effect.succeed(context.success)
  return context.failure instanceof EventStoreError ? Effect.fail(context.failure) : Effect.die(context.failure)
}

const keyOf = (
  store: EventStore,
  decider: Decider.Any,
  command: unknown,
  context: CommandContext,
  given: string
): Effect.Effect<IdempotencyKey, EventStoreError> =>
  Effect.fromResult(checkKey(given)).pipe(
    Effect.mapError(fromReason),
    Effect.map((key) => new IdempotencyKey(key, decider.name, command, context.stream, firstOutcome(store, context)))
  )

const millis = (duration: Duration.Input, path: string): Effect.Effect<number, EventStoreError> =>
  Option.match(Duration.fromInput(duration), {
    onSome: (valid) => Effect.succeed(Duration.toMillis(valid)),
    onNone: () =>
      Effect.fail(fromReason(new InvalidInput({ path, problem: 'expected a duration such as "5 seconds"' })))
  })

const count = (value: number, path: string, least: number): Effect.Effect<number, EventStoreError> =>
  Number.isSafeInteger(value) && value >= least
    ? Effect.succeed(value)
    : Effect.fail(fromReason(new InvalidInput({ path, problem: `expected a whole number of at least ${least}` })))
