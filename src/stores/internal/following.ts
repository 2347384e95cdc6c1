/**
 * Durable streams: the pull loop under a stored cursor (D1 to D7). Who holds the cursor's lease delivers; the others wait and take
 * over.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { EventBatch } from "../Event.ts"
import {
  CursorAheadOfLog,
  DurableStreamActive,
  DurableStreamMismatch,
  type EventStoreError,
  fromReason,
  StoreClosed
} from "../EventStoreError.ts"
import type { DeliveredCursor, Following, FollowOptions } from "../Workspace.ts"
import { monotonicMillis } from "../lease.ts"
import { makeEventId } from "./eventId.ts"
import { CursorLease } from "./CursorLease.ts"
import type { NormalisedQuery } from "./normaliseQuery.ts"
import { identifyingText } from "./normaliseQuery.ts"
import { outlastingOutages, pull } from "./pullLoop.ts"
import { Registration } from "./Registration.ts"
import type { StoreBackend } from "./StoreBackend.ts"
import type { Claimed } from "../WorkspaceTables.ts"

/** Records to read at once: the most that a transaction deals with, one large batch aside. */
const pageSize = 1_000

/** Milliseconds between two looks at a cursor that somebody else holds. */
const claimInterval = 250

/** How long closing waits for deliveries that are under way, and for leases to be given back. */
const closePatience = Duration.seconds(1)

/** What is followed, checked. */
export interface Followed<E, R> extends Omit<FollowOptions<E, R>, "query"> {
  readonly query: NormalisedQuery
}

interface Entry {
  readonly registration: Registration
  following: Following | undefined
}

/** The durable streams of a store. */
export class Followers {
  private readonly backend: StoreBackend
  /** By their cursors: those that were registered and not unsubscribed. */
  private readonly active = new Map<string, Entry>()
  /** All that have not ended. */
  private readonly running = new Set<Entry>()
  private isClosing = false

  constructor(backend: StoreBackend) {
    this.backend = backend
  }

  /** Registers: resolves when the cursor is there and is either held or waited for. */
  follow<E, R>(followed: Followed<E, R>): Effect.Effect<Following, EventStoreError, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function* () {
        const { cursor } = followed
        if (this.isClosing || this.backend.isClosed()) return yield* fromReason(new StoreClosed())
        if (this.active.has(cursor)) return yield* fromReason(new DurableStreamActive({ stream: followed.name }))
        const registration = new Registration("waiting", 0)
        const entry: Entry = { following: undefined, registration }
        this.active.set(cursor, entry)
        const leave = Effect.sync(() => {
          if (this.active.get(cursor) === entry) this.active.delete(cursor)
        })
        // Whoever has registered the name meanwhile need not wait any longer.
        const end = Effect.map(leave, () => {
          this.running.delete(entry)
          this.active.get(cursor)?.registration.call()
        })
        const stream = new Stream(this.backend, followed, registration)
        const first = yield* Effect.onError(restore(stream.claim), () => Effect.andThen(leave, stream.letGo))
        this.running.add(entry)
        const following = yield* registration.run(
          this.backend,
          Effect.ensuring(stream.deliverFrom(first), Effect.andThen(stream.letGo, end)),
          true
        )
        const unsubscribe = Effect.andThen(leave, following.unsubscribe)
        entry.following = { ...following, unsubscribe, wake: stream.look }
        if (!this.isClosing) return entry.following
        yield* entry.following.unsubscribe
        return yield* fromReason(new StoreClosed())
      })
    )
  }

  /**
   * Ends all streams. Deliveries under way may finish and leases are given back, in a bounded time: the rest ends by itself. A delivery
   * that closes the store is not waited for.
   */
  readonly close: Effect.Effect<void> = Effect.withFiber((closing) => {
    this.isClosing = true
    return Effect.forEach(
      [...this.running],
      ({ following, registration }) =>
        following === undefined
          ? Effect.void
          : Effect.andThen(
              following.unsubscribe,
              Effect.suspend(() => (registration.delivering === closing ? Effect.void : following.ended))
            ),
      { concurrency: "unbounded", discard: true }
    ).pipe(Effect.timeoutOption(closePatience), Effect.asVoid)
  })
}

class Stream<E, R> {
  private readonly backend: StoreBackend
  private readonly followed: Followed<E, R>
  private readonly registration: Registration
  private readonly owner: string
  /** The lease that is held. */
  private lease: CursorLease | undefined
  /** One that was granted and is not held yet. */
  private granted: CursorLease | undefined
  /** How often the stored cursor was looked at: what a claim that was asked before has seen is older. */
  private looks = 0

  constructor(backend: StoreBackend, followed: Followed<E, R>, registration: Registration) {
    this.backend = backend
    this.followed = followed
    this.registration = registration
    this.owner = makeEventId(backend.currentMillis())
  }

  private get head(): Effect.Effect<number, EventStoreError> {
    return Effect.mapError(this.backend.reading.head, fromReason)
  }

  /**
   * Asks for the lease. Fails where the cursor belongs to another query or another log, or lies ahead of it (D4, D7). What is
   * granted is never lost sight of, whenever this is interrupted.
   */
  readonly claim: Effect.Effect<CursorLease | Taken, EventStoreError> = Effect.gen({ self: this }, function* () {
    const { cursor, identity = "", leaseMs, name, query, start } = this.followed
    // Not within the transaction: that would take a second connection.
    const from = start === "head" ? yield* this.head : 0
    const askedAt = yield* monotonicMillis
    const { looks } = this
    const asked = this.backend.transaction(({ cursors }) =>
      cursors.claim({ cursor, query: identifyingText(query) + identity, start: from, owner: this.owner, leaseMs })
    )
    const claimed = yield* Effect.uninterruptible(
      Effect.tap(asked, (answer) =>
        Effect.sync(() => {
          if (answer._tag === "Held")
            this.granted = new CursorLease(this.backend, this.followed, { ...answer, askedAt })
        })
      )
    )
    if (claimed._tag === "OtherQuery") return yield* fromReason(new DurableStreamMismatch({ stream: name }))
    const { position } = claimed
    const head = yield* Effect.onError(this.head, () => this.letGo)
    if (claimed._tag === "OtherLog" || position > head) {
      yield* this.letGo
      return yield* fromReason(new CursorAheadOfLog({ stream: name, cursor: position, headSequenceNumber: head }))
    }
    if (this.granted !== undefined || looks === this.looks) this.registration.startFrom(position)
    return this.granted ?? (claimed as Taken)
  })

  /** Gives back what was granted and never held. */
  readonly letGo: Effect.Effect<void> = Effect.suspend(() => {
    const { granted } = this
    this.granted = undefined
    return granted === undefined ? Effect.void : Effect.ignore(granted.release)
  })

  /** Delivers while the lease is held, waits for it otherwise. */
  deliverFrom(first: CursorLease | Taken): Effect.Effect<never, unknown, R> {
    return Effect.gen({ self: this }, function* () {
      for (let claimed = first; ; claimed = yield* this.claimAgain) {
        if (claimed instanceof CursorLease) {
          this.registration.become("running")
          this.lease = claimed
          this.granted = undefined
          yield* this.hold(claimed)
          this.lease = undefined
        } else {
          this.registration.become(claimed.paused ? "paused" : "waiting")
          const left = claimed.paused ? claimInterval : Math.min(claimed.leftMs + 1, claimInterval)
          yield* Effect.raceFirst(Effect.sleep(Duration.millis(Math.max(1, left))), this.registration.nextCall)
        }
      }
    })
  }

  private readonly claimAgain = Effect.suspend(() =>
    this.claim.pipe(
      Effect.tapError((reason) => Effect.sync(() => this.registration.failed(reason))),
      outlastingOutages(() => this.registration.isOver),
      Effect.tap(() => Effect.sync(() => this.registration.succeeded()))
    )
  )

  /** Ends when the lease is lost or the cursor is paused. Gives the lease back when what is under way is done. */
  private hold(lease: CursorLease): Effect.Effect<void, unknown, R> {
    const { between, query, retry, surrender, together } = this.followed
    const held = { confirmIn: lease.confirmIn.bind(lease), mayBegin: this.mayBegin }
    const delivering = pull(
      this.backend,
      {
        query,
        retry,
        pageSize,
        together,
        between: between === undefined ? undefined : Effect.suspend(() => between(held)),
        deliver: (batches) => this.deliver(lease, batches, (cursor) => this.followed.deliver(batches, cursor)),
        surrender:
          surrender === undefined
            ? undefined
            : (batch, error) => this.deliver(lease, [batch], (cursor) => surrender(batch, error, cursor)),
        passed: (position) => lease.pass(position),
        outlastsOutages: true,
        isOver: () => lease.isOver || this.backend.isClosed()
      },
      this.registration
    )
    return Effect.raceFirst(
      delivering,
      lease.keepUntil(() => lease.isOver, this.registration.nextCall)
    ).pipe(
      Effect.catch((error) => (lease.isOver ? Effect.void : Effect.fail(error))),
      Effect.ensuring(this.settle(lease))
    )
  }

  private readonly mayBegin: Effect.Effect<void, EventStoreError> = Effect.suspend(() =>
    this.registration.isOver || this.backend.isClosed() ? Effect.fail(fromReason(new StoreClosed())) : Effect.void
  )

  /** Delivers, and finds out whether the cursor has moved where that is in doubt: a COMMIT's answer may be lost. */
  private deliver(
    lease: CursorLease,
    batches: ReadonlyArray<EventBatch>,
    work: (cursor: DeliveredCursor) => Effect.Effect<void, E, R>
  ): Effect.Effect<void, E | EventStoreError, R> {
    const end = batches[batches.length - 1]!.at(-1)!.sequenceNumber
    /** When the move was sent that is part of a transaction; that may be committed, or not. */
    let sentAt: number | undefined
    const moveIn: DeliveredCursor["moveIn"] = (transaction) =>
      Effect.flatMap(monotonicMillis, (now) => Effect.map(lease.moveIn(transaction, end), () => void (sentAt = now)))
    const patiently = outlastingOutages(() => this.registration.isOver || this.backend.isClosed())
    const move = Effect.suspend(() => {
      lease.pass(end)
      return Effect.asVoid(patiently(lease.renew(end)))
    })
    return Effect.suspend((): Effect.Effect<void, E | EventStoreError, R> => {
      // Dealt with already, and not yet behind the stream: only the move has failed.
      if (lease.hasPassed(end) && this.registration.position < end) return move
      return work({ moveIn, move, confirmIn: lease.confirmIn.bind(lease), mayBegin: this.mayBegin })
    }).pipe(
      Effect.catchCause((cause) =>
        sentAt !== undefined && !lease.isFenced
          ? Effect.flatMap(patiently(lease.renew(0)), (position) =>
              position >= end ? Effect.void : Effect.failCause(cause)
            )
          : Effect.failCause(cause)
      ),
      Effect.map(() => {
        if (sentAt !== undefined) lease.moved(end, sentAt)
        lease.pass(end)
        if (!lease.isFenced) this.registration.advance(end)
      })
    )
  }

  /** Looks at the stored cursor at once: it may have been paused, resumed, or set back. */
  readonly look: Effect.Effect<void, EventStoreError> = Effect.gen({ self: this }, function* () {
    const { lease } = this
    const { cursor } = this.followed
    const [row] = yield* this.backend.transaction(({ cursors }) => cursors.read([cursor]))
    if (row !== undefined && lease === this.lease) {
      lease?.saw(row)
      // Nobody here moves it: what is stored counts, also where that is further back.
      if (lease === undefined || lease.isFenced) this.registration.startFrom(row.position)
      this.looks += 1
    }
    this.registration.call()
  })

  /**
   * What is under way may finish, under a lease that is kept; where somebody else has the cursor already, who is about to deliver the
   * same, it is interrupted. Then the lease is given back.
   */
  private settle(lease: CursorLease): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const { delivering } = this.registration
      if (delivering !== undefined) {
        const fenced = lease.keepUntil(() => lease.isFenced, this.registration.nextCall)
        yield* Effect.raceFirst(Fiber.await(delivering), Effect.andThen(fenced, Fiber.interrupt(delivering)))
        this.registration.delivering = undefined
      }
      yield* Effect.ignore(lease.release)
    })
  }
}

type Taken = Extract<Claimed, { readonly _tag: "Taken" }>
