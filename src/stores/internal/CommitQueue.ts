/**
 * The queue in front of a group commit, or of reads that go together: calls queue up, a worker takes what waits, bounded by weight,
 * and answers each with its own verdict. One call alone waits for nobody.
 */
import * as Effect from "effect/Effect"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { StoreClosed } from "../EventStoreError.ts"

/** A call that waits for its verdict. */
export interface Pending<Request, Answer> {
  readonly request: Request
  /** What it adds to a group: events, or bytes, whatever the worker bounds. At least 1. */
  readonly weight: number
  readonly answer: (verdict: Effect.Effect<Answer, EventStoreErrorReason>) => void
}

export class CommitQueue<Request, Answer> {
  private waiting: Array<Pending<Request, Answer>> = []
  /** Workers that wait for a call. */
  private idle: Array<() => void> = []
  private closed = false

  /** Queues a call and waits for its verdict. Interrupting it withdraws it, unless a worker has taken it already. */
  readonly submit = (request: Request, weight: number): Effect.Effect<Answer, EventStoreErrorReason> =>
    Effect.callback<Answer, EventStoreErrorReason>((resume) => {
      if (this.closed) return resume(Effect.fail(new StoreClosed()))
      const pending: Pending<Request, Answer> = { request, weight, answer: resume }
      this.waiting.push(pending)
      this.idle.shift()?.()
      return Effect.sync(() => {
        this.waiting = this.waiting.filter((other) => other !== pending)
      })
    })

  /** Resolves when a call waits; every call wakes one worker. */
  readonly nonEmpty: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.waiting.length > 0) return resume(Effect.void)
    const wake = (): void => resume(Effect.void)
    this.idle.push(wake)
    return Effect.sync(() => {
      this.idle = this.idle.filter((other) => other !== wake)
    })
  })

  /** What all calls that wait weigh together. */
  get weight(): number {
    return this.waiting.reduce((sum, { weight }) => sum + weight, 0)
  }

  /** Takes calls from the front while they weigh no more than `most` together; at least one. */
  take(most: number): ReadonlyArray<Pending<Request, Answer>> {
    let weight = 0
    let count = 0
    while (count < this.waiting.length && (count === 0 || weight + this.waiting[count]!.weight <= most)) {
      weight += this.waiting[count++]!.weight
    }
    const taken = this.waiting.slice(0, count)
    this.waiting = this.waiting.slice(count)
    return taken
  }

  /** Puts calls that were taken back to the front. */
  putBack(calls: ReadonlyArray<Pending<Request, Answer>>): void {
    if (calls.length > 0) this.waiting = [...calls, ...this.waiting]
  }

  /** Refuses whoever waits, and whoever comes. */
  close(): void {
    this.closed = true
    const refused = this.waiting
    this.waiting = []
    for (const pending of refused) pending.answer(Effect.fail(new StoreClosed()))
  }
}
