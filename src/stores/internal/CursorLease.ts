/**
 * The lease of a cursor that is held, or was: renewed in time, moved forward, given back. Its epoch fences: whoever was away for too
 * long, and was taken over meanwhile, moves nothing any more.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { EventStoreError } from "../EventStoreError.ts"
import { Fenced, fromReason } from "../EventStoreError.ts"
import { monotonicMillis } from "../lease.ts"
import type { Transaction } from "../Workspace.ts"
import type { StoreBackend } from "./StoreBackend.ts"
import type { CursorRow, Held } from "../WorkspaceTables.ts"

/** Milliseconds after which the stored cursor follows past events that do not match. */
const passInterval = 250

/** Milliseconds after which a holder that rests has seen that its cursor was paused or set back. */
const lookInterval = 1_000

/** What is leased. */
export interface Leased {
  readonly cursor: string
  /** What errors call it. */
  readonly name: string
  readonly leaseMs: number
}

/** What a claim was granted. */
export interface Grant {
  readonly epoch: number
  readonly position: number
  /** When it was asked for: the lease lasts at least `leaseMs` from then on. */
  readonly askedAt: number
}

export class CursorLease {
  /** The stored cursor is at least here. */
  private stored: number
  /** Events up to here need not be delivered again. */
  private handled: number
  private renewedAt: number
  private seenAt = 0
  private fenced = false
  private late = false
  private paused = false
  private readonly backend: StoreBackend
  private readonly leased: Leased
  private readonly epoch: number

  constructor(backend: StoreBackend, leased: Leased, { askedAt, epoch, position }: Grant) {
    this.backend = backend
    this.leased = leased
    this.epoch = epoch
    this.stored = position
    this.handled = position
    this.renewedAt = askedAt
  }

  /** Whether nothing more may be delivered under this lease. */
  get isOver(): boolean {
    return this.fenced || this.late || this.paused
  }

  /** Whether somebody else has the cursor now. */
  get isFenced(): boolean {
    return this.fenced
  }

  /** Events up to here need not be delivered; the stored cursor follows soon. */
  pass(position: number): void {
    this.handled = Math.max(this.handled, position)
  }

  /** Whether events up to here need not be delivered, wherever the stored cursor is. */
  hasPassed(position: number): boolean {
    return this.handled >= position
  }

  /** The stored cursor was moved here, by a statement that was sent at the time. */
  moved(position: number, sentAt: number): void {
    this.pass(position)
    this.stored = Math.max(this.stored, position)
    this.renewedAt = Math.max(this.renewedAt, sentAt)
  }

  /** Moves the cursor as part of a transaction; nobody takes it over before the end of that. */
  moveIn({ cursors }: Transaction, position: number): Effect.Effect<void, EventStoreError> {
    const { cursor, leaseMs } = this.leased
    return Effect.flatMap(cursors.move(cursor, this.epoch, position, leaseMs), (held) => this.heed(held))
  }

  /** Makes sure, as part of a transaction, that the lease is held, and that nobody takes it before the end of that. */
  confirmIn({ cursors }: Transaction): Effect.Effect<void, EventStoreError> {
    const { cursor, leaseMs } = this.leased
    return Effect.flatMap(cursors.renew(cursor, this.epoch, this.handled, leaseMs), (held) => this.heed(held))
  }

  /** Renews the lease, with the cursor at least at the position or at what was handled; says where it is. */
  renew(position: number): Effect.Effect<number, EventStoreError> {
    const { cursor, leaseMs } = this.leased
    return Effect.flatMap(monotonicMillis, (sentAt) => {
      const target = Math.max(position, this.handled)
      return this.backend
        .transaction(({ cursors }) => cursors.renew(cursor, this.epoch, target, leaseMs))
        .pipe(
          Effect.tap((held) => this.heed(held)),
          Effect.map((held) => {
            this.moved(target, sentAt)
            return held!.position
          })
        )
    })
  }

  /** Gives the lease back, if it is still there, with the cursor at what was handled. */
  readonly release: Effect.Effect<void, EventStoreError> = Effect.suspend(() =>
    this.fenced
      ? Effect.void
      : this.backend.transaction(({ cursors }) => cursors.release(this.leased.cursor, this.epoch, this.handled))
  )

  /**
   * Renews the lease in time, and lets the stored cursor follow what was handled, until the condition holds. A store that cannot be had
   * for as long as the lease lasts makes it late: somebody may have taken it over. `called` has it look again at once.
   */
  keepUntil(isDone: () => boolean, called: Effect.Effect<void>): Effect.Effect<void> {
    const { leaseMs } = this.leased
    const interval = Math.min(passInterval, Math.max(1, Math.floor(leaseMs / 6)))
    return Effect.gen({ self: this }, function* () {
      while (!isDone()) {
        yield* Effect.raceFirst(Effect.sleep(Duration.millis(interval)), called)
        const now = yield* monotonicMillis
        if (now - this.renewedAt < leaseMs / 3 && this.handled <= this.stored) {
          if (now - Math.max(this.renewedAt, this.seenAt) >= lookInterval) yield* this.look
          continue
        }
        const renewed = yield* Effect.result(this.renew(this.handled))
        if (Result.isFailure(renewed) && (yield* monotonicMillis) - this.renewedAt >= leaseMs) this.late = true
      }
    })
  }

  /** A read, where a renewal would be a write. */
  private readonly look: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    this.seenAt = yield* monotonicMillis
    const rows = yield* Effect.result(this.backend.transaction(({ cursors }) => cursors.read([this.leased.cursor])))
    if (Result.isFailure(rows)) return
    const [row] = rows.success
    if (row === undefined) this.fenced = true
    else this.saw(row)
  })

  /** What was seen of the stored cursor from outside: it may have been paused, or set back. */
  saw({ epoch, paused }: CursorRow): void {
    if (epoch !== this.epoch) this.fenced = true
    if (paused) this.paused = true
  }

  private heed(held: Held | undefined): Effect.Effect<void, EventStoreError> {
    if (held === undefined) {
      this.fenced = true
      return Effect.fail(fromReason(new Fenced({ stream: this.leased.name })))
    }
    if (held.paused) this.paused = true
    return Effect.void
  }
}
