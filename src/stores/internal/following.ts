/**
 * Durable streams: the pull loop under a stored cursor (D1 to D7). Who holds the cursor's lease delivers; the others wait and take
 * over. The epoch of the lease fences: a holder that was away for too long can move nothing any more.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type { EventBatch } from "../Event.ts"
import {
  CursorAheadOfLog,
  DurableStreamActive,
  DurableStreamMismatch,
  type EventStoreError,
  Fenced,
  fromReason,
  StoreClosed
} from "../EventStoreError.ts"
import type { DeliveredCursor, Following, FollowOptions, HeldLease } from "../Workspace.ts"
import { makeEventId } from "./eventId.ts"
import type { NormalisedQuery } from "./normaliseQuery.ts"
import { canonicalText } from "./normaliseQuery.ts"
import { outlastingOutages, pull } from "./pullLoop.ts"
import { Registration } from "./Registration.ts"
import type { StoreBackend } from "./StoreBackend.ts"
import type { Claimed } from "../WorkspaceTables.ts"

/** Records to read at once: the most that a transaction deals with, one large batch aside. */
const pageSize = 1_000

/** Milliseconds between two looks at a cursor that somebody else holds. */
const claimInterval = 250

/** Milliseconds after which the stored cursor follows past events that do not match. */
const passInterval = 250

/** What is followed, checked. */
export interface Followed<E, R> extends Omit<FollowOptions<E, R>, "query"> {
  readonly query: NormalisedQuery
}

/** A lease that is held, or was. */
class Lease {
  readonly epoch: number
  /** The stored cursor is at least here. */
  stored: number
  /** Events up to here need not be delivered again. */
  passed: number
  isLost = false
  isPaused = false
  renewedAt: number

  constructor(epoch: number, position: number, now: number) {
    this.epoch = epoch
    this.stored = position
    this.passed = position
    this.renewedAt = now
  }

  get isOver(): boolean {
    return this.isLost || this.isPaused
  }
}

/** The durable streams of a store. */
export class Followers {
  private readonly backend: StoreBackend
  private readonly active = new Map<string, { following: Following | undefined; readonly registration: Registration }>()
  private isClosing = false

  constructor(backend: StoreBackend) {
    this.backend = backend
  }

  /** Registers: resolves when the cursor is there and is either held or waited for. */
  follow<E, R>(followed: Followed<E, R>): Effect.Effect<Following, EventStoreError, R> {
    return Effect.gen({ self: this }, function* () {
      const { cursor } = followed
      if (this.isClosing || this.backend.isClosed()) return yield* fromReason(new StoreClosed())
      if (this.active.has(cursor)) return yield* fromReason(new DurableStreamActive({ stream: followed.name }))
      const registration = new Registration("waiting", 0)
      const entry = { following: undefined as Following | undefined, registration }
      this.active.set(cursor, entry)
      const leave = Effect.sync(() => {
        if (this.active.get(cursor) === entry) this.active.delete(cursor)
      })
      const stream = new Stream(this.backend, followed, registration)
      const first = yield* Effect.onError(stream.claim, () => leave)
      const following = yield* registration.run(this.backend, Effect.ensuring(stream.deliverFrom(first), leave))
      entry.following = {
        ...following,
        unsubscribe: Effect.andThen(leave, following.unsubscribe),
        wake: stream.look
      }
      return entry.following
    })
  }

  /**
   * Ends all streams. Leases are given back, except where a delivery is under way: it may be what closes the store, and cannot be
   * waited for.
   */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.isClosing = true
    return Effect.forEach(
      [...this.active.values()],
      ({ following, registration }) => {
        const isBusy = registration.delivering !== undefined
        return following === undefined
          ? Effect.void
          : Effect.andThen(following.unsubscribe, isBusy ? Effect.void : following.ended)
      },
      { concurrency: "unbounded", discard: true }
    )
  })
}

class Stream<E, R> {
  private readonly backend: StoreBackend
  private readonly followed: Followed<E, R>
  private readonly registration: Registration
  private readonly owner: string
  private lease: Lease | undefined

  constructor(backend: StoreBackend, followed: Followed<E, R>, registration: Registration) {
    this.backend = backend
    this.followed = followed
    this.registration = registration
    this.owner = makeEventId(backend.currentMillis())
  }

  private get head(): Effect.Effect<number, EventStoreError> {
    return Effect.mapError(this.backend.reading.head, fromReason)
  }

  /** Asks for the lease. Fails where the cursor belongs to another query or another log, or lies ahead of it (D4, D7). */
  readonly claim: Effect.Effect<Claimed, EventStoreError> = Effect.gen({ self: this }, function* () {
    const { cursor, identity = "", leaseMs, name, start } = this.followed
    const query = canonicalText(this.followed.query) + identity
    const claimed = yield* this.backend.transaction((tables) =>
      Effect.flatMap(start === "head" ? this.head : Effect.succeed(0), (from) =>
        tables.cursors.claim({ cursor, query, start: from, owner: this.owner, leaseMs })
      )
    )
    if (claimed._tag === "OtherQuery") return yield* fromReason(new DurableStreamMismatch({ stream: name }))
    const head = yield* this.head
    if (claimed._tag === "OtherLog" || claimed.position > head) {
      if (claimed._tag === "Held") yield* this.release(claimed.epoch, claimed.position)
      return yield* fromReason(
        new CursorAheadOfLog({ stream: name, cursor: claimed.position, headSequenceNumber: head })
      )
    }
    this.registration.startFrom(claimed.position)
    return claimed
  })

  /** Delivers while the lease is held, waits for it otherwise. */
  deliverFrom(first: Claimed): Effect.Effect<never, unknown, R> {
    return Effect.gen({ self: this }, function* () {
      for (let claimed = first; ; claimed = yield* this.claimAgain) {
        if (claimed._tag === "Held") {
          this.registration.become("running")
          this.lease = new Lease(claimed.epoch, claimed.position, performance.now())
          yield* this.hold(this.lease)
          this.lease = undefined
        } else if (claimed._tag === "Taken") {
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
      outlastingOutages(() => this.registration.isOver)
    )
  )

  /** Ends when the lease is lost or the cursor is paused. Gives the lease back when what is under way is done. */
  private hold(lease: Lease): Effect.Effect<void, unknown, R> {
    const { between, query, retry, surrender, together } = this.followed
    const delivering = pull(
      this.backend,
      {
        query,
        retry,
        pageSize,
        together,
        between:
          between === undefined ? undefined : Effect.suspend(() => between({ confirmIn: this.confirmIn(lease) })),
        deliver: (batches) => this.deliver(lease, batches, (cursor) => this.followed.deliver(batches, cursor)),
        surrender:
          surrender === undefined
            ? undefined
            : (batch, error) => this.deliver(lease, [batch], (cursor) => surrender(batch, error, cursor)),
        passed: (position) => {
          lease.passed = position
        },
        outlastsOutages: true,
        isOver: () => lease.isOver || this.backend.isClosed()
      },
      this.registration
    )
    return Effect.raceFirst(delivering, this.keep(lease)).pipe(
      Effect.catch((error) => (lease.isOver ? Effect.void : Effect.fail(error))),
      Effect.ensuring(this.settle(lease))
    )
  }

  /** Delivers, and finds out whether the cursor has moved where that is in doubt: a COMMIT's answer may be lost. */
  private deliver(
    lease: Lease,
    batches: ReadonlyArray<EventBatch>,
    work: (cursor: DeliveredCursor) => Effect.Effect<void, E, R>
  ): Effect.Effect<void, E | EventStoreError, R> {
    const end = batches[batches.length - 1]!.at(-1)!.sequenceNumber
    let isInDoubt = false
    const done = Effect.sync(() => {
      lease.stored = lease.passed = Math.max(lease.passed, end)
      lease.renewedAt = performance.now()
    })
    const { cursor, leaseMs } = this.followed
    const moveIn: DeliveredCursor["moveIn"] = ({ cursors }) =>
      Effect.flatMap(cursors.move(cursor, lease.epoch, end, leaseMs), (held) => {
        isInDoubt = true
        return held === undefined ? this.fenced(lease) : Effect.void
      })
    const move = Effect.asVoid(this.renew(lease, end))
    return work({ moveIn, move }).pipe(
      Effect.catchCause((cause) =>
        isInDoubt && !lease.isLost
          ? Effect.flatMap(this.renew(lease, lease.passed), (held) =>
              held.position >= end ? Effect.void : Effect.failCause(cause)
            )
          : Effect.failCause(cause)
      ),
      Effect.andThen(done)
    )
  }

  /** Renews the lease by itself, however long the store is unavailable. */
  private renew(lease: Lease, position: number) {
    const { cursor, leaseMs } = this.followed
    return this.backend
      .transaction(({ cursors }) => cursors.renew(cursor, lease.epoch, position, leaseMs))
      .pipe(
        outlastingOutages(() => this.registration.isOver || this.backend.isClosed()),
        Effect.flatMap((held) => (held === undefined ? this.fenced(lease) : Effect.succeed(held)))
      )
  }

  private confirmIn(lease: Lease): HeldLease["confirmIn"] {
    const { cursor, leaseMs } = this.followed
    return ({ cursors }) =>
      Effect.flatMap(cursors.renew(cursor, lease.epoch, lease.passed, leaseMs), (held) =>
        held === undefined ? this.fenced(lease) : Effect.void
      )
  }

  private fenced(lease: Lease): Effect.Effect<never, EventStoreError> {
    lease.isLost = true
    return Effect.fail(fromReason(new Fenced({ stream: this.followed.name })))
  }

  /** Renews the lease in time, and lets the stored cursor follow; resolves when the lease is over. */
  private keep(lease: Lease): Effect.Effect<void> {
    const { cursor, leaseMs } = this.followed
    const interval = Math.min(passInterval, Math.max(1, Math.floor(leaseMs / 6)))
    return Effect.gen({ self: this }, function* () {
      while (!lease.isOver) {
        yield* Effect.raceFirst(Effect.sleep(Duration.millis(interval)), this.registration.nextCall)
        const isDue = performance.now() - lease.renewedAt >= leaseMs / 3
        if (!isDue && lease.passed <= lease.stored) continue
        const asked = performance.now()
        const { passed } = lease
        const held = yield* Effect.result(
          this.backend.transaction(({ cursors }) => cursors.renew(cursor, lease.epoch, passed, leaseMs))
        )
        if (Result.isSuccess(held)) {
          if (held.success === undefined) lease.isLost = true
          else if (held.success.paused) lease.isPaused = true
          lease.renewedAt = Math.max(lease.renewedAt, asked)
          lease.stored = Math.max(lease.stored, passed)
        } else if (performance.now() - lease.renewedAt >= leaseMs) lease.isLost = true
      }
    })
  }

  /** Looks at the stored cursor at once: it may have been paused, resumed, or set back. */
  readonly look: Effect.Effect<void, EventStoreError> = Effect.gen({ self: this }, function* () {
    const { lease } = this
    const { cursor } = this.followed
    const [row] = yield* this.backend.transaction(({ cursors }) => cursors.read([cursor]))
    if (lease !== undefined && row !== undefined) {
      lease.isLost ||= row.epoch !== lease.epoch
      lease.isPaused ||= row.paused
    }
    if (row !== undefined && lease?.isLost !== false) this.registration.startFrom(row.position)
    this.registration.call()
  })

  /** What is under way may finish, then the lease is given back. */
  private settle(lease: Lease): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const { delivering } = this.registration
      if (delivering !== undefined) yield* Fiber.await(delivering)
      if (!lease.isLost) yield* Effect.ignore(this.release(lease.epoch, lease.passed))
    })
  }

  private release(epoch: number, position: number): Effect.Effect<void, EventStoreError> {
    return this.backend.transaction(({ cursors }) => cursors.release(this.followed.cursor, epoch, position))
  }
}
