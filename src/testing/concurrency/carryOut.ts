/** Carries a plan out: several processes, each with its dispatcher and its store, on one new log. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { withMetadata } from "../../dispatch/CommandMetadata.ts"
import * as Dispatch from "../../dispatch/Dispatcher.ts"
import type { Outcome } from "../../dispatch/Outcome.ts"
import { EventStore } from "../../stores/EventStore.ts"
import { EventStoreError } from "../../stores/EventStoreError.ts"
import type { StoreHarness } from "../conformance/ConformanceCase.ts"
import * as FaultyStore from "../faulty/FaultyStore.ts"
import type { Answer, Dispatched, History } from "./History.ts"
import { commandEntry } from "./History.ts"
import type { Plan } from "./Plan.ts"
import type { Process, Request } from "./Request.ts"
import { Turns } from "./Turns.ts"
import type { Watching } from "./watchedStore.ts"
import { Journal, watchedStore } from "./watchedStore.ts"

/** Where and how plans are carried out. */
export interface Setting {
  readonly store: Pick<StoreHarness, "make" | "reopen">
  readonly processes: number
  readonly inTurns: boolean
  readonly attempts: number
  readonly tolerates: (error: unknown) => boolean
  /** How long nothing may happen, in turns; how long the commands may take, for real. */
  readonly patience: Duration.Input
}

/** What happened. */
export const carryOut = (plan: Plan, setting: Setting): Effect.Effect<History> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const run = new Run(plan, setting)
    const exit = yield* Effect.exit(Effect.orDie(Scope.provide(run.all, scope)))
    // An append that is never answered cannot be interrupted either: a run that is stuck is left behind.
    const close = Scope.close(scope, Exit.void)
    yield* run.isStuck ? Effect.forkDetach(close) : close
    return yield* exit
  })

/** A process: its dispatcher, and its store on the way to the log. */
interface Worker extends Process {
  readonly watching: Watching
  /** The store without the watch. */
  readonly bare: EventStore
  /** Runs what belongs to the process. */
  readonly inProcess: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** A command on its way to a worker. */
interface Due {
  readonly id: number
  readonly request: Request
  readonly given: boolean
  readonly worker: Worker
  /** Resolves when it may be called. */
  readonly start: Effect.Effect<void>
}

class Run {
  isStuck = false
  private readonly plan: Plan
  private readonly setting: Setting
  private readonly journal = new Journal()
  private readonly turns: Turns
  private readonly commands: Array<Dispatched> = []
  private isGiven = true
  private answered = 0
  /** Opened one after the other, by each command that is answered. */
  private answers: ReadonlyArray<Deferred.Deferred<void>> = []

  constructor(plan: Plan, setting: Setting) {
    this.plan = plan
    this.setting = setting
    this.turns = new Turns(plan.turns)
  }

  get all(): Effect.Effect<History, unknown, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      const { log, workers } = yield* this.open
      yield* this.dispatchGiven(workers)
      this.isGiven = false
      if (!this.isStuck) yield* this.setting.inTurns ? this.inTurns(workers) : this.forReal(workers)
      const { eventRecords } = yield* log.query()
      const commands = this.commands.toSorted((a, b) => a.id - b.id)
      return { commands, steps: [...this.journal.steps], log: eventRecords }
    })
  }

  private get open(): Effect.Effect<{ log: EventStore; workers: ReadonlyArray<Worker> }, unknown, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      const { processes, store } = this.setting
      const open = store.reopen === undefined ? Effect.succeed(yield* store.make) : yield* store.reopen
      const stores = yield* Effect.replicateEffect(open, processes)
      const workers = yield* Effect.forEach(stores, (right, process) => this.worker(right, process))
      return { log: stores[0]!, workers }
    })
  }

  private worker(right: EventStore, process: number): Effect.Effect<Worker, unknown, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      const { journal, turns } = this
      const { keepsFolds, revises } = this.plan
      const watching = { journal, turns, process, revises, id: undefined }
      const bare = this.faulty(right, process)
      const store = watchedStore(bare, watching)
      const clock = turns.clock(yield* Clock.Clock, () => journal.add({ _tag: "BackedOff", process }))
      const inProcess: Worker["inProcess"] = (effect) =>
        this.setting.inTurns
          ? effect.pipe(
              Effect.provideService(Scheduler.Scheduler, turns.quiet),
              Effect.provideService(Clock.Clock, clock)
            )
          : effect
      const make = Effect.provideService(Dispatch.make(keepsFolds ? {} : { cachedContexts: 0 }), EventStore, store)
      return { dispatcher: yield* inProcess(make), store, watching, bare, inProcess }
    })
  }

  /** Faults strike what is dispatched at once, and are counted from there. */
  private faulty(store: EventStore, process: number): EventStore {
    const plan = this.plan.faults[process]
    if (plan === undefined) return store
    const fromNow = <F>(choice: FaultyStore.Choice<F> = () => undefined): FaultyStore.Choice<F> => {
      let before = 0
      return (call) => {
        if (this.isGiven) before = call.nth
        return this.isGiven ? undefined : choice({ ...call, nth: call.nth - before })
      }
    }
    return FaultyStore.make(store, { appends: fromNow(plan.appends), queries: fromNow(plan.queries) })
  }

  private dispatchGiven(workers: ReadonlyArray<Worker>): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      for (const [index, request] of this.plan.given.entries()) {
        const worker = workers[index % workers.length]!
        yield* this.expectAnswers(1)
        yield* Effect.forkScoped(this.dispatch({ id: index + 1, request, given: true, worker, start: Effect.void }))
        yield* this.awaitAnswers
        if (this.isStuck) return
      }
    })
  }

  private inTurns(workers: ReadonlyArray<Worker>): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      const due = this.due(workers, () => this.turns.turn)
      yield* this.expectAnswers(due.length)
      this.turns.take()
      // The one that waits last goes first.
      for (const it of due.toReversed()) yield* Effect.forkScoped(this.dispatch(it), { startImmediately: true })
      const areAnswered = yield* this.turns.giveUntil(() => this.answered === due.length, this.setting.patience)
      this.isStuck = !areAnswered
      this.turns.release()
    })
  }

  /** At once; some start only when so many others have been answered. */
  private forReal(workers: ReadonlyArray<Worker>): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      yield* this.expectAnswers(this.plan.commands.length)
      const due = this.due(workers, (earlier) =>
        earlier === 0 ? Effect.void : Deferred.await(this.answers[earlier - 1]!)
      )
      for (const it of due) yield* Effect.forkScoped(this.dispatch(it))
      yield* this.awaitAnswers
    })
  }

  private due(workers: ReadonlyArray<Worker>, start: (earlier: number) => Effect.Effect<void>): ReadonlyArray<Due> {
    const { commands, given } = this.plan
    return commands.map(({ after, process, request }, index) => ({
      id: given.length + index + 1,
      request,
      given: false,
      worker: workers[process]!,
      start: start(Math.min(after, index))
    }))
  }

  private expectAnswers(count: number): Effect.Effect<void> {
    return Effect.map(Effect.replicateEffect(Deferred.make<void>(), count), (answers) => {
      this.answers = answers
      this.answered = 0
    })
  }

  private get awaitAnswers(): Effect.Effect<void> {
    const orElse = () => Effect.sync(() => void (this.isStuck = true))
    return Effect.timeoutOrElse(Deferred.await(this.answers.at(-1)!), { duration: this.setting.patience, orElse })
  }

  private dispatch({ given, id, request, start, worker }: Due): Effect.Effect<void> {
    const { process } = worker.watching
    return Effect.gen({ self: this }, function* () {
      yield* start
      this.journal.opened(id, process, contextOf(request))
      const called = this.journal.add({ _tag: "Called", id, process })
      const dispatched = { id, request, process, given, called }
      const place = this.commands.push({ ...dispatched, answered: Infinity, answer: { _tag: "Unanswered" } }) - 1
      const answer = this.answerOf(yield* Effect.exit(this.outcome(worker, request, id)))
      this.journal.closed(id)
      const answered = this.journal.add({ _tag: "Answered", id, answer })
      this.commands[place] = { ...dispatched, answered, answer }
      yield* Deferred.succeed(this.answers[this.answered++]!, undefined)
    }).pipe(withMetadata({ [commandEntry]: String(id) }), worker.inProcess)
  }

  private outcome(
    { bare, dispatcher, watching }: Worker,
    { command, decider, via }: Request,
    id: number
  ): Effect.Effect<Outcome<any, any>, unknown> {
    const { attempts } = this.setting
    return via === undefined
      ? dispatcher.outcome(decider, command, { attempts })
      : Effect.suspend(() => via({ dispatcher, store: watchedStore(bare, { ...watching, id }) }, command))
  }

  private answerOf(exit: Exit.Exit<Outcome<unknown, unknown>, unknown>): Answer {
    if (Exit.isSuccess(exit)) return exit.value
    const error = Cause.squash(exit.cause)
    const mayHaveCommitted = error instanceof EventStoreError && error.mayHaveCommitted
    const isTolerated = !Cause.hasDies(exit.cause) && this.setting.tolerates(error)
    return { _tag: "Failed", error, mayHaveCommitted, isTolerated }
  }
}

/** The canonical text of the context, where there is one: a query that is refused comes up again in dispatch. */
const contextOf = ({ command, decider }: Request): string | undefined =>
  Result.getOrUndefined(Result.try(() => decider.view(command).canonicalQuery))
