/**
 * A lane: the commands of this process that share a context. They do not race each other: round by round all that wait are
 * decided in order and committed under one check, every command with its own batch and its own answer. When somebody
 * else got in between, the tail that the conflict brings is folded and they are decided again.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type { EventRecord, NewEvent } from "../../stores/Event.ts"
import * as EventQuery from "../../stores/EventQuery.ts"
import type { AppendResult, EventStore } from "../../stores/EventStore.ts"
import type { ConditionalAppendConflict, EventStoreError } from "../../stores/EventStoreError.ts"
import type { Command } from "./Command.ts"
import { ContextFold } from "./ContextFold.ts"
import type { FoldCache } from "./FoldCache.ts"
import { countConflict } from "../DispatchMetrics.ts"
import { haveKeys, missingKeys, mostKeys, noteKeys, withKeys } from "./keys.ts"
import type { InContext, Judgement } from "./round.ts"
import { decideRound } from "./round.ts"

/** What all lanes of a dispatcher share. */
export interface LaneEnvironment {
  readonly store: EventStore
  readonly cache: FoldCache
  readonly now: () => number
}

/** Commands decided in one round at the most: what one append holds up. */
const largestRound = 256

/** Views of one context whose states are carried along when another one is read. */
const mostViews = 16

/** The longest a back-off can get, in milliseconds. */
const longestBackOff = 250

export class Lane {
  private readonly environment: LaneEnvironment
  /** The canonical text of the context. */
  private readonly context: string
  private readonly query: EventQuery.EventQuery
  private readonly inContext: InContext
  private readonly waiting = new Set<Command>()
  private committing: ReadonlySet<Command> = new Set()
  private fold: ContextFold | undefined
  /** Conflicts since the last success: drives the back-off. */
  private conflicts = 0
  /** Halved while a round fails for what one of its commands brought, until that one is alone; doubled when one succeeds. */
  private roundSize = largestRound

  constructor(environment: LaneEnvironment, context: string, query: EventQuery.EventQuery) {
    this.environment = environment
    this.context = context
    this.query = query
    this.inContext = Result.getOrThrow(EventQuery.matcher(query))
    this.fold = environment.cache.get(context)
  }

  get length(): number {
    return this.waiting.size
  }

  add(command: Command): void {
    this.waiting.add(command)
  }

  /** Withdraws a command that nobody waits for any more. What is being committed goes on. */
  remove(command: Command): void {
    this.waiting.delete(command)
  }

  /** Answers with the same failure whoever waits; those whose commit is under way get its answer. */
  abandon(failure: Effect.Effect<never, unknown>): void {
    for (const command of this.waiting) if (!this.committing.has(command)) this.answer(command, failure)
  }

  /** Runs rounds until nobody waits, then calls `whenIdle` in the same breath. */
  drain(whenIdle: () => void): Effect.Effect<void> {
    // Interrupted before a commit that was about to begin, nobody may wait for the answer of that.
    return Effect.ensuring(
      Effect.gen(() => this.rounds(whenIdle)),
      this.nothingIsCommitted
    )
  }

  private *rounds(whenIdle: () => void): Effect.fn.Return<void> {
    while (true) {
      yield* Effect.yieldNow
      this.dropExhausted()
      const commands = this.nextRound()
      if (commands.length === 0) return whenIdle()
      const result = yield* Effect.result(Effect.gen(() => this.round(commands)))
      if (Result.isFailure(result)) yield* this.recover(commands, result.failure)
    }
  }

  private nextRound(): ReadonlyArray<Command> {
    const commands: Array<Command> = []
    let keysLeft = mostKeys
    for (const command of this.waiting) {
      if (command.key !== undefined && --keysLeft < 0) break
      if (commands.push(command) === this.roundSize) break
    }
    return commands
  }

  private dropExhausted(): void {
    const now = this.environment.now()
    for (const command of this.waiting) {
      const exhausted = command.exhausted(now)
      if (exhausted !== undefined) this.answer(command, Effect.fail(exhausted))
    }
  }

  private *round(entered: ReadonlyArray<Command>): Effect.fn.Return<void, EventStoreError> {
    let commands = entered
    const known = this.fold
    let isFresh = known === undefined || !commands.every(({ view }) => known.has(view))
    let fold = isFresh ? yield* this.read(commands) : known!
    yield* this.findKeys(commands, fold.head)
    while (true) {
      // Who was withdrawn, or told that the dispatcher is closed, while this was read.
      commands = commands.filter((command) => this.waiting.has(command))
      const judgements = decideRound(commands, fold, this.inContext)
      if (judgements.some((judgement) => "batch" in judgement)) return yield* this.commit(commands, fold, judgements)
      // An append checks by itself that the fold is the context, a rejection does not: one that is answered must have
      // been true at some moment after its command came. A repetition is true for ever.
      isFresh ||= judgements.every(({ isRepetition }) => isRepetition)
      const news = isFresh ? { fold, isTaken: false } : yield* this.readNews(fold, commands)
      if (news.fold.version === fold.version && !news.isTaken) return this.finish(news.fold, judgements, [])
      for (const { command, isRepetition } of judgements) if (!isRepetition) command.attempts -= 1
      fold = news.fold
      isFresh = true
    }
  }

  /**
   * Appends what was decided, and answers: once begun, this is not given up. Where the store can, it has a decision revised
   * under its lock rather than refuse it.
   */
  private commit(
    commands: ReadonlyArray<Command>,
    fold: ContextFold,
    judgements: ReadonlyArray<Judgement>
  ): Effect.Effect<void, EventStoreError> {
    let current = fold
    let standing = judgements
    this.committing = new Set(commands)
    const unrepeated = commands.filter(({ first }) => first === undefined)
    const revise = (conflict: ConditionalAppendConflict) => {
      // Those that have no attempt left stay behind and are told so; the others do not pay for that.
      const willing = commands.filter((command) => command.attempts < command.mostAttempts)
      if (willing.length === 0) return undefined
      // It may be asked for again, when what the conflict before showed was not committed after all.
      for (const command of unrepeated) command.forgetKey()
      current = this.interfered(commands, fold, conflict)
      standing = decideRound(willing, current, this.inContext)
      return batchesOf(standing)
    }
    return this.environment.store
      .appendBatchesIf(batchesOf(judgements), withKeys(this.query, commands), fold.version, {
        headSequenceNumber: fold.head,
        conflictTail: true,
        revise
      })
      .pipe(
        Effect.tap(() => (current === fold ? Effect.void : countConflict)),
        Effect.map((results) => this.finish(current, standing, results)),
        Effect.ensuring(this.nothingIsCommitted),
        Effect.uninterruptible
      )
  }

  private readonly nothingIsCommitted = Effect.sync(() => (this.committing = new Set()))

  private interfered(
    commands: ReadonlyArray<Command>,
    fold: ContextFold,
    conflict: ConditionalAppendConflict
  ): ContextFold {
    const tail = conflict.tail ?? []
    for (const command of commands) command.wasInterfered(tail)
    if (!haveKeys(commands)) return fold.with(tail, conflict.headSequenceNumber, conflict.actual)
    noteKeys(commands, tail, conflict.headSequenceNumber)
    return this.goOn(fold, tail, conflict.headSequenceNumber)
  }

  /** The fold after those of the records that belong to the context. */
  private goOn(fold: ContextFold, records: ReadonlyArray<EventRecord>, head: number): ContextFold {
    const news = records.filter(this.inContext)
    return fold.with(news, head, news[news.length - 1]?.sequenceNumber ?? fold.version)
  }

  /** Looks for what was recorded under the keys of the commands, so far as that is not known up to the head. */
  private findKeys(commands: ReadonlyArray<Command>, head: number): Effect.Effect<void, EventStoreError> {
    const missing = missingKeys(commands, head)
    if (missing === undefined) return Effect.void
    return this.environment.store.query(missing).pipe(
      Effect.map(({ eventRecords, headSequenceNumber }) => {
        noteKeys(commands, eventRecords, headSequenceNumber ?? 0)
      }),
      countingFailure(commands)
    )
  }

  /** Reads the whole context, for views that are not known yet and for those that are. */
  private read(commands: ReadonlyArray<Command>): Effect.Effect<ContextFold, EventStoreError> {
    return this.environment.store.query(withKeys(this.query, commands)).pipe(
      Effect.map((context) => {
        const views = [...commands.map(({ view }) => view), ...(this.fold?.views ?? []).slice(0, mostViews)]
        const head = context.headSequenceNumber ?? 0
        if (!haveKeys(commands)) {
          return this.keep(ContextFold.of(views, context.eventRecords, head, context.currentContextVersion))
        }
        noteKeys(commands, context.eventRecords, head)
        return this.keep(this.goOn(ContextFold.of(views, [], 0, null), context.eventRecords, head))
      }),
      countingFailure(commands)
    )
  }

  /** Reads what has come since, and whether a key of the commands is taken now. */
  private readNews(fold: ContextFold, commands: ReadonlyArray<Command>): Effect.Effect<News, EventStoreError> {
    const query = EventQuery.after(withKeys(this.query, commands), fold.head)
    return Effect.map(this.environment.store.query(query), (news) => {
      const head = news.headSequenceNumber ?? 0
      if (!haveKeys(commands)) {
        return { fold: this.keep(fold.with(news.eventRecords, head, news.currentContextVersion)), isTaken: false }
      }
      const isTaken = noteKeys(commands, news.eventRecords, head)
      return { fold: this.keep(this.goOn(fold, news.eventRecords, head)), isTaken }
    })
  }

  /** The round holds: answers every command it judged, and keeps the fold of what was committed. */
  private finish(fold: ContextFold, judgements: ReadonlyArray<Judgement>, results: ReadonlyArray<AppendResult>): void {
    this.conflicts = 0
    const committed: Array<EventRecord> = []
    let version = fold.version
    let next = 0
    for (const judgement of judgements) {
      if (!("batch" in judgement)) {
        this.answer(judgement.command, judgement.answer(version))
        continue
      }
      const { eventRecords, lastSequenceNumber } = results[next++]!
      for (const record of eventRecords) if (this.inContext(record)) committed.push(record)
      version = committed[committed.length - 1]?.sequenceNumber ?? version
      const { attempts } = judgement.command
      const outcome = { _tag: "Accepted", eventRecords, state: judgement.state, position: lastSequenceNumber, attempts }
      this.answer(judgement.command, Effect.succeed(outcome))
    }
    const last = results[results.length - 1]
    this.keep(last === undefined ? fold : fold.with(committed, last.lastSequenceNumber, version))
    this.roundSize = Math.min(this.roundSize * 2, largestRound)
  }

  private recover(commands: ReadonlyArray<Command>, error: EventStoreError): Effect.Effect<void> {
    const { reason } = error
    if (reason._tag === "ConditionalAppendConflict") return this.afterConflict(commands, reason)
    this.fold = undefined
    this.environment.cache.delete(this.context)
    // A conflict under the lock may have shown what was not committed after all.
    for (const command of commands) command.forgetKey()
    const isOnesFault = reason._tag === "InvalidInput" || reason._tag === "LimitExceeded"
    if (isOnesFault && commands.length > 1) {
      this.roundSize = commands.length >> 1
      for (const command of commands) command.attempts = Math.max(0, command.attempts - 1)
      return Effect.void
    }
    for (const command of commands) {
      if (error.retryable) command.failedWith(error)
      else this.answer(command, Effect.fail(error))
    }
    this.dropExhausted()
    return this.backOff
  }

  private afterConflict(commands: ReadonlyArray<Command>, conflict: ConditionalAppendConflict): Effect.Effect<void> {
    if (this.fold !== undefined) this.keep(this.interfered(commands, this.fold, conflict))
    return Effect.andThen(countConflict, this.backOff)
  }

  /** Full jitter: anything from nothing to 1, 2, 4 ... 250 ms. */
  private get backOff(): Effect.Effect<void> {
    if (this.waiting.size === 0) return Effect.void
    const longest = Math.min(2 ** this.conflicts++, longestBackOff)
    return Effect.flatMap(Random.next, (share) => Effect.sleep(Duration.millis(share * longest)))
  }

  private keep(fold: ContextFold): ContextFold {
    this.fold = fold
    this.environment.cache.set(this.context, fold)
    return fold
  }

  private answer(command: Command, answer: Effect.Effect<unknown, unknown>): void {
    this.waiting.delete(command)
    command.answer(answer)
  }
}

/** A read that fails is an attempt of every command that it is for. */
const countingFailure =
  (commands: ReadonlyArray<Command>) =>
  <A>(read: Effect.Effect<A, EventStoreError>): Effect.Effect<A, EventStoreError> =>
    Effect.tapError(read, () =>
      Effect.sync(() => {
        for (const command of commands) command.attempts += 1
      })
    )

interface News {
  readonly fold: ContextFold
  readonly isTaken: boolean
}

const batchesOf = (judgements: ReadonlyArray<Judgement>): ReadonlyArray<ReadonlyArray<NewEvent>> =>
  judgements.flatMap((judgement) => ("batch" in judgement ? [judgement.batch] : []))
