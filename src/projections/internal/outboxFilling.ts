/**
 * Fills an outbox: the reactions to what the log brings are put into the table in the transaction that moves the cursor. Every reactor
 * of a merged one has a cursor of its own, so it does not matter what it is merged with.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { DecodeError } from "../../decider/EventCatalog.ts"
import type { ReactorPart } from "../../decider/Reactor.ts"
import type { EventBatch, EventRecord } from "../../stores/Event.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import type { NewOutboxEntry } from "../../stores/WorkspaceTables.ts"
import type { StreamStatus } from "../../stores/EventStream.ts"
import type { DeliveredCursor, FollowOptions, Workspace } from "../../stores/Workspace.ts"
import type { Outbox } from "../Outbox.ts"
import { ReactionNotJson } from "../OutboxError.ts"
import { Follower, FollowerGroup } from "./Follower.ts"
import { toJson } from "./outboxJson.ts"

/** Characters of reactions that are put in by one statement, about. */
const charactersAtOnce = 4_000_000

/** What is wrong with the reactor or its catalog does not pass by itself. */
const willFailAgain = (error: unknown): boolean => error instanceof ReactionNotJson || error instanceof DecodeError

/** 10 times, 50 ms to 5 s apart. */
const retry: Schedule.Schedule<unknown, unknown> = Schedule.max([
  Schedule.exponential("50 millis").pipe(
    Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, Duration.seconds(5))))
  ),
  Schedule.recurs(10)
]).pipe(Schedule.while(({ input }: { readonly input: unknown }) => !willFailAgain(input)))

/** The filling of an outbox in one process. */
export class OutboxFilling {
  private readonly reactors: ReadonlyArray<{ readonly reactor: string; readonly follower: Follower<never> }>
  private readonly followers: FollowerGroup<never>

  /** `filled` is called after reactions were put in. */
  constructor(workspace: Workspace, outbox: Outbox<any, any>, leaseMs: number, filled: () => void) {
    this.reactors = outbox.reactor.parts.map((part) => ({
      reactor: part.name,
      follower: new Follower(workspace, filling(workspace, outbox, part, leaseMs, filled))
    }))
    this.followers = new FollowerGroup(this.reactors.map(({ follower }) => follower))
  }

  /** All reactors or none; ends with the scope. */
  readonly start: Effect.Effect<void, EventStoreError, Scope.Scope> = Effect.gen({ self: this }, function* () {
    yield* Effect.addFinalizer(() => this.stop)
    yield* Effect.onError(this.followers.start, () => this.stop)
  })

  /** Starts those again that have stopped. */
  get resume(): Effect.Effect<void, EventStoreError> {
    return this.followers.startAgain
  }

  /** What is being put in is finished first. */
  get stop(): Effect.Effect<void> {
    return this.followers.stop
  }

  /** Resolves when every reactor has come to the number, wherever it is filled. */
  reached(sequenceNumber: number): Effect.Effect<void, EventStoreError> {
    return this.followers.reached(sequenceNumber)
  }

  readonly statuses: Effect.Effect<ReadonlyArray<StreamStatus & { readonly reactor: string }>> = Effect.suspend(() =>
    Effect.forEach(this.reactors, ({ follower, reactor }) =>
      Effect.map(follower.following!.status, (status) => ({ reactor, ...status }))
    )
  )
}

/** How the outbox is filled with the reactions of one reactor. */
const filling = <Reaction>(
  workspace: Workspace,
  { start }: Pick<Outbox<Reaction>, "start">,
  part: ReactorPart<Reaction>,
  leaseMs: number,
  filled: () => void
): FollowOptions<unknown, never> => {
  const put = (entries: ReadonlyArray<NewOutboxEntry>, cursor: DeliveredCursor) =>
    workspace.transaction(
      (transaction) =>
        Effect.andThen(
          Effect.forEach(inPortions(entries), (portion) => transaction.outbox.put(portion), { discard: true }),
          cursor.moveIn(transaction)
        ),
      { idleMs: leaseMs }
    )
  return {
    cursor: `reactor ${part.name}`,
    name: part.name,
    query: part.query,
    start,
    leaseMs,
    retry,
    together: true,
    deliver: (batches, cursor) =>
      Effect.flatMap(
        Effect.suspend(() => Effect.fromResult(entriesOf(part, batches))),
        (entries) => Effect.tap(put(entries, cursor), () => Effect.sync(() => entries.length > 0 && filled()))
      )
  }
}

/** The reactions to the records, as they are stored. */
const entriesOf = <Reaction>(
  part: ReactorPart<Reaction>,
  batches: ReadonlyArray<EventBatch>
): Result.Result<ReadonlyArray<NewOutboxEntry>, DecodeError | ReactionNotJson> => {
  const entries: Array<NewOutboxEntry> = []
  for (const batch of batches) {
    for (const record of batch) {
      const stored = Result.flatMap(part.react(record), (reactions) => toEntries(part.name, record, reactions))
      if (Result.isFailure(stored)) return Result.fail(stored.failure)
      for (const entry of stored.success) entries.push(entry)
    }
  }
  return Result.succeed(entries)
}

const toEntries = (
  reactor: string,
  { sequenceNumber }: EventRecord,
  reactions: ReadonlyArray<unknown>
): Result.Result<ReadonlyArray<NewOutboxEntry>, ReactionNotJson> => {
  const entries: Array<NewOutboxEntry> = []
  for (const [place, reaction] of reactions.entries()) {
    const body = toJson(reaction, `reactions[${place}]`)
    if (Result.isFailure(body)) {
      return Result.fail(new ReactionNotJson({ reactor, sequenceNumber, path: body.failure.path }))
    }
    entries.push({ reactor, sequenceNumber, place, body: body.success })
  }
  return Result.succeed(entries)
}

const inPortions = (entries: ReadonlyArray<NewOutboxEntry>): ReadonlyArray<ReadonlyArray<NewOutboxEntry>> => {
  const portions: Array<Array<NewOutboxEntry>> = []
  let characters = Infinity
  for (const entry of entries) {
    if (characters > charactersAtOnce) {
      portions.push([])
      characters = 0
    }
    portions[portions.length - 1]!.push(entry)
    characters += entry.body.length
  }
  return portions
}
