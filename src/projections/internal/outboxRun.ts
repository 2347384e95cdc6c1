/**
 * Runs an outbox in a process: its reactors fill the table, and a worker carries out what is in it. The worker works in turns. In one
 * transaction a turn writes down what became of attempts that have ended, and leases as many entries as there is room for.
 *
 * A lease covers the longest time that an attempt may take. Whoever comes back later than that finds the entry's number of attempts
 * changed and can write nothing any more. What was leased and does not begin is given back: also what a turn may have leased, if it
 * has failed and may be committed all the same.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { EventRecord } from "../../stores/Event.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import { EventStoreError, fromReason, InvalidInput } from "../../stores/EventStoreError.ts"
import { isOutage } from "../../stores/isOutage.ts"
import { checkLease, monotonicMillis } from "../../stores/lease.ts"
import type { OutboxEntry } from "../../stores/WorkspaceTables.ts"
import type { Transaction, Workspace } from "../../stores/Workspace.ts"
import type { Outbox, OutboxStatus, RunningOutbox, RunOptions } from "../Outbox.ts"
import { carryOut, givenUp, isGivenUp, newHolder, settle } from "./outboxAttempt.ts"
import type { Settlement } from "./outboxAttempt.ts"
import { listDead, dropDead, reviveDead } from "./outboxDead.ts"
import { OutboxFilling } from "./outboxFilling.ts"
import { ReactedRecords } from "./outboxRecords.ts"

/** Milliseconds. What is due and could not be leased is being leased by somebody else. */
const shortestWait = 10

/** Milliseconds between turns that fail: 50, 100, 200 ... */
const [shortestPause, longestPause] = [50, 5_000]

/** Fills an outbox and carries out what is in it, until the scope ends. */
export const runOutbox = <Reaction, R>(
  { workspace }: EventStore,
  outbox: Outbox<Reaction, R>,
  options: RunOptions = {}
): Effect.Effect<RunningOutbox<Reaction>, EventStoreError, R | Scope.Scope> =>
  Effect.gen(function* () {
    const leaseMs = yield* Effect.mapError(checkLease(outbox.lease), fromReason)
    const pollMs = yield* checkPoll(options.poll)
    const worker = new OutboxWorker<R>(workspace, outbox, leaseMs, pollMs)
    const filling = new OutboxFilling(workspace, outbox, leaseMs, worker.wake)
    yield* filling.start
    yield* Effect.acquireRelease(Effect.forkDetach(worker.work), (fiber) =>
      Effect.all([filling.stop, worker.stop(fiber)], { concurrency: "unbounded" })
    )
    const reactors = outbox.reactor.parts.map(({ name }) => name)
    return {
      status: statusOf(workspace, worker, filling),
      settled: (sequenceNumber) => Effect.andThen(filling.reached(sequenceNumber), worker.settled(sequenceNumber)),
      resume: filling.resume,
      dead: ({ limit = 100 } = {}) => listDead(workspace, reactors, limit),
      revive: (reactions) => Effect.tap(reviveDead(workspace, reactors, reactions), () => Effect.sync(worker.wake)),
      drop: (reactions) => dropDead(workspace, reactors, reactions)
    }
  })

const checkPoll = (poll: Duration.Input = "500 millis"): Effect.Effect<number, EventStoreError> => {
  const millis = Option.map(Duration.fromInput(poll), Duration.toMillis)
  return Option.isSome(millis) && millis.value >= 1 && millis.value <= 86_400_000
    ? Effect.succeed(millis.value)
    : Effect.fail(fromReason(new InvalidInput({ path: "options.poll", problem: "expected 1 millisecond to a day" })))
}

const statusOf = (
  workspace: Workspace,
  worker: Pick<OutboxWorker<never>, "lastError" | "running">,
  filling: OutboxFilling
): Effect.Effect<OutboxStatus, EventStoreError> =>
  Effect.gen(function* () {
    const head = yield* workspace.head
    const streams = yield* filling.statuses
    const counts = yield* workspace.transaction(({ outbox }) =>
      Effect.forEach(streams, ({ reactor }) => outbox.count(reactor))
    )
    const reactors = streams.map(({ failures, lastError, position, reactor, state }, index) => ({
      reactor,
      state,
      position,
      lag: Math.max(0, head - position),
      ...counts[index]!,
      lastError: failures > 0 || state === "stopped" ? lastError : undefined
    }))
    const sum = (what: "waiting" | "dead") => reactors.reduce((total, reactor) => total + reactor[what], 0)
    return {
      waiting: sum("waiting"),
      dead: sum("dead"),
      running: worker.running,
      lastError: worker.lastError,
      reactors
    }
  })

/** What a turn has found. */
interface Turn {
  readonly leased: ReadonlyArray<OutboxEntry>
  /** When they were asked for, at the latest, by the clock of this process. */
  readonly askedAt: number
  /** Milliseconds until there is more to do; `undefined` where nothing waits. */
  readonly dueIn: number | undefined
}

class OutboxWorker<R> {
  /** Attempts under way. */
  running = 0
  lastError: unknown
  private readonly workspace: Workspace
  private readonly outbox: Outbox<any, R>
  private readonly leaseMs: number
  private readonly pollMs: number
  private readonly records: ReactedRecords
  /** Tells leases of this worker from those of others under the same number. */
  private readonly holder = newHolder()
  /** What is to be written down. */
  private settlements: ReadonlyArray<Settlement> = []
  /** Open when there is something to do. */
  private readonly calls = Latch.makeUnsafe()
  /** Released when something was written down. */
  private readonly progress = Latch.makeUnsafe()
  private isStopping = false
  /** The reactor whose entries come first: each in its turn, so that none holds up the others. */
  private nextReactor = 0

  constructor(workspace: Workspace, outbox: Outbox<any, R>, leaseMs: number, pollMs: number) {
    this.workspace = workspace
    this.outbox = outbox
    this.leaseMs = leaseMs
    this.pollMs = pollMs
    this.records = new ReactedRecords(workspace, outbox.reactor.parts)
  }

  /** Has the worker look for something to do at once. */
  readonly wake = (): void => void this.calls.openUnsafe()

  /** Turn after turn until it is stopped and nothing is left to write down, or the store is closed. */
  readonly work: Effect.Effect<void, never, R> = Effect.gen({ self: this }, function* () {
    let failures = 0
    while (true) {
      // Attempts that end at the same time are written down together.
      yield* Effect.yieldNow
      this.calls.closeUnsafe()
      const { settlements } = this
      const turn = yield* Effect.exit(this.turn(settlements))
      if (Exit.isFailure(turn)) {
        this.lastError = Cause.squash(turn.cause)
        if (isClosed(this.lastError)) return
        yield* Effect.sleep(Duration.millis(Math.min(shortestPause * 2 ** failures++, longestPause)))
        continue
      }
      failures = 0
      this.settlements = this.settlements.slice(settlements.length)
      if (settlements.length > 0) this.progress.openUnsafe()
      yield* this.begin(turn.value)
      if (this.isStopping && this.running === 0 && this.settlements.length === 0) return
      yield* this.pause(turn.value.dueIn)
    }
  })

  /** What runs may finish; what became of it is written down, for as long as a lease lasts if the store cannot be had. */
  stop(worker: Fiber.Fiber<void>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      this.isStopping = true
      this.wake()
      const longest = this.outbox.timeout + this.leaseMs
      yield* Effect.raceFirst(Fiber.await(worker), Effect.sleep(Duration.millis(longest)))
      yield* Fiber.interrupt(worker)
    })
  }

  /** Resolves when nothing up to the number waits any more, wherever it is carried out. */
  settled(sequenceNumber: number): Effect.Effect<void, EventStoreError> {
    const reactors = this.outbox.reactor.parts
    return Effect.gen({ self: this }, function* () {
      while (true) {
        this.progress.closeUnsafe()
        const first = yield* this.workspace.transaction(({ outbox }) =>
          Effect.forEach(reactors, ({ name }) => outbox.list(name, false, 1))
        )
        if (first.flat().every((entry) => entry.sequenceNumber > sequenceNumber)) return
        yield* Effect.raceFirst(this.progress.await, Effect.sleep(Duration.millis(this.pollMs)))
      }
    })
  }

  private get room(): number {
    return this.isStopping ? 0 : this.outbox.concurrency - this.running
  }

  private turn(settlements: ReadonlyArray<Settlement>): Effect.Effect<Turn, EventStoreError> {
    if (this.room === 0 && settlements.length === 0) return Effect.succeed({ leased: [], askedAt: 0, dueIn: undefined })
    const leased: Array<OutboxEntry> = []
    return this.workspace
      .transaction((transaction) =>
        Effect.andThen(
          Effect.forEach(settlements, ({ write }) => write(transaction.outbox), { discard: true }),
          // Only now: it may have been stopped while it waited for the transaction.
          Effect.gen(() => this.lease(transaction, this.room, leased))
        )
      )
      .pipe(Effect.onError(() => Effect.sync(() => this.giveBack(leased))))
  }

  /** Adds to what is leased, so that it is known where the transaction fails. */
  private *lease(
    { outbox }: Transaction,
    room: number,
    leased: Array<OutboxEntry>
  ): Effect.fn.Return<Turn, EventStoreError> {
    const { parts } = this.outbox.reactor
    const entryMs = this.outbox.timeout + this.leaseMs
    const askedAt = yield* monotonicMillis
    let dueIn: number | undefined
    for (let index = 0; index < parts.length && leased.length < room; index++) {
      const { name } = parts[(this.nextReactor + index) % parts.length]!
      for (const entry of yield* outbox.lease(name, room - leased.length, entryMs, this.holder)) {
        if (isGivenUp(entry, this.outbox.attempts)) {
          // No attempt is begun: when it is revived it has a whole life before it.
          yield* outbox.giveBack(entry, entry.attempts, this.holder, entry.failure)
          yield* outbox.bury(entry, entry.attempts - 1, givenUp)
        } else leased.push(entry)
      }
      const due = yield* outbox.dueIn(name)
      if (due !== undefined) dueIn = Math.min(due, dueIn ?? due)
    }
    this.nextReactor = (this.nextReactor + 1) % parts.length
    return { leased, askedAt, dueIn }
  }

  /** Starts an attempt for every entry, or gives it back where that cannot be done in time. */
  private begin({ askedAt, leased }: Turn): Effect.Effect<void, never, R> {
    this.running += leased.length
    // An attempt that begins later may not end before its lease does.
    const isLate = Effect.map(monotonicMillis, (now) => this.isStopping || now - askedAt >= this.leaseMs)
    return Effect.forEach(
      leased,
      (entry) =>
        Effect.gen({ self: this }, function* () {
          const found = yield* this.records.find(entry).pipe(
            Effect.tapError((error) => Effect.sync(() => (this.lastError = error))),
            Effect.retry({
              schedule: Schedule.spaced(Duration.millis(shortestPause)),
              while: (error) => Effect.map(isLate, (late) => isOutage(error) && !late)
            }),
            Effect.exit
          )
          if (yield* isLate) {
            this.running -= 1
            return this.giveBack([entry])
          }
          yield* Effect.forkDetach(Effect.gen(() => this.attempt(entry, found)))
        }),
      { discard: true }
    )
  }

  private giveBack(entries: ReadonlyArray<OutboxEntry>): void {
    const settlements = entries.map((entry): Settlement => {
      const { attempts, failure } = entry
      return { entry, write: (table) => table.giveBack(entry, attempts, this.holder, failure) }
    })
    // Turn after turn may fail that leases the same: once is enough.
    const others = this.settlements.filter(({ entry }) => !entries.some((it) => isSameLease(it, entry)))
    this.settlements = [...others, ...settlements]
    this.wake()
  }

  private *attempt(entry: OutboxEntry, found: Exit.Exit<EventRecord, unknown>): Effect.fn.Return<void, never, R> {
    const exit = Exit.isFailure(found) ? found : yield* carryOut(this.outbox, entry, found.value)
    if (Exit.isFailure(exit)) this.lastError = Cause.squash(exit.cause)
    const settlement = yield* settle(this.outbox, entry, Exit.asVoid(exit))
    this.running -= 1
    this.settlements = [...this.settlements, settlement]
    this.wake()
  }

  /** Until there is something to do, as far as this process knows; until it is time to look what others do. */
  private pause(dueIn: number | undefined): Effect.Effect<void> {
    const hasRoom = this.running < this.outbox.concurrency && !this.isStopping
    if (!hasRoom) return this.calls.await
    const millis = Math.max(shortestWait, Math.min(dueIn ?? this.pollMs, this.pollMs))
    return Effect.raceFirst(this.calls.await, Effect.sleep(Duration.millis(millis)))
  }
}

const isSameLease = (a: OutboxEntry, b: OutboxEntry): boolean =>
  a.reactor === b.reactor && a.sequenceNumber === b.sequenceNumber && a.place === b.place && a.attempts === b.attempts

const isClosed = (error: unknown): boolean => error instanceof EventStoreError && error.reason._tag === "StoreClosed"
