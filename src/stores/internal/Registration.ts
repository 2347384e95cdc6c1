/** A stream's registration: its status, its position, who waits for it, and what is being delivered at the moment. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { EventStoreError } from "../EventStoreError.ts"
import { fromReason, StoreClosed } from "../EventStoreError.ts"
import type { StreamStatus } from "../EventStream.ts"
import type { Following } from "../Workspace.ts"
import { ChangeSignal } from "./ChangeSignal.ts"
import type { StoreBackend } from "./StoreBackend.ts"

type Status = { -readonly [K in keyof StreamStatus]: StreamStatus[K] }

export class Registration {
  /** The delivery under way. */
  delivering: Fiber.Fiber<unknown, unknown> | undefined
  private readonly status: Status
  private readonly progress = new ChangeSignal()
  private readonly calls = new ChangeSignal()
  private answered = 0
  private callCount = 0

  constructor(state: StreamStatus["state"], position: number) {
    this.status = { state, position, failures: 0, lastError: undefined }
    this.progress.advance(position)
  }

  get position(): number {
    return this.status.position
  }

  get isOver(): boolean {
    return this.status.state === "stopped" || this.status.state === "unsubscribed"
  }

  advance(position: number): void {
    if (position > this.status.position) this.status.position = position
    this.progress.advance(this.status.position)
  }

  /** Whatever the position was: it is this one now. */
  startFrom(position: number): void {
    this.status.position = position
    this.progress.restart(position)
  }

  become(state: "running" | "waiting" | "paused"): void {
    if (!this.isOver) this.status.state = state
  }

  failed(error: unknown): void {
    if (this.isOver) return
    this.status.state = "retrying"
    this.status.failures += 1
    this.status.lastError = error
  }

  succeeded(): void {
    if (this.status.state === "retrying") this.status.state = "running"
    this.status.failures = 0
  }

  end(state: "stopped" | "unsubscribed"): void {
    if (this.isOver) return
    this.status.state = state
    this.progress.close()
  }

  /** Wakes the loop, and whoever else waits for the next call. */
  call(): void {
    this.calls.advance(++this.callCount)
  }

  /** Resolves when the loop was called since it last asked. */
  readonly called: Effect.Effect<void> = Effect.suspend(() =>
    Effect.map(this.calls.await(this.answered), () => {
      this.answered = this.callCount
    })
  )

  /** Resolves when the loop is called from now on. */
  readonly nextCall: Effect.Effect<void> = Effect.suspend(() => this.calls.await(this.callCount))

  private reached(backend: StoreBackend, position: number): Effect.Effect<void, EventStoreError> {
    return Effect.gen({ self: this }, function* () {
      while (this.position < position) {
        if (backend.isClosed() || this.isOver) return yield* fromReason(new StoreClosed())
        yield* this.progress.await(this.position)
      }
    })
  }

  /**
   * Runs the loop in a fiber of its own; it ends by `unsubscribe`, with the store, or when it fails. A loop that is interrupted before it
   * has begun gives nothing back: one that has something to give back is started immediately.
   */
  run<R>(
    backend: StoreBackend,
    loop: Effect.Effect<never, unknown, R>,
    startImmediately = false
  ): Effect.Effect<Following, never, R> {
    return Effect.gen({ self: this }, function* () {
      const ending = Effect.onError(loop, (cause) =>
        Effect.sync(() => {
          if (Cause.hasInterrupts(cause) || backend.isClosed()) return this.end("unsubscribed")
          if (this.status.lastError === undefined || Cause.hasDies(cause)) this.status.lastError = Cause.squash(cause)
          this.end("stopped")
        })
      )
      const fiber = yield* Effect.forkDetach(ending, { startImmediately })
      return {
        unsubscribe: Effect.sync(() => {
          this.end("unsubscribed")
          fiber.interruptUnsafe()
        }),
        status: Effect.sync(() => {
          if (backend.isClosed()) this.end("unsubscribed")
          return { ...this.status }
        }),
        caughtUp: Effect.flatMap(Effect.mapError(backend.reading.head, fromReason), (head) =>
          this.reached(backend, head)
        ),
        reached: (position) => this.reached(backend, position),
        ended: Effect.asVoid(Fiber.await(fiber)),
        wake: Effect.sync(() => this.call())
      }
    })
  }
}
