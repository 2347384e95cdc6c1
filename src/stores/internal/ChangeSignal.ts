/**
 * Wakes those who wait for the log to grow. It remembers the last number it was told, so a waiter that comes after the
 * change does not wait at all.
 */
import * as Effect from "effect/Effect"

export class ChangeSignal {
  private head = 0
  private closed = false
  private waiting = new Set<() => void>()

  /** Whether anybody waits. */
  get isAwaited(): boolean {
    return this.waiting.size > 0
  }

  /** Tells that the log has grown to `head`. */
  advance(head: number): void {
    if (head <= this.head) return
    this.head = head
    this.wake()
  }

  /** Starts over from `head`, which may be lower. */
  restart(head: number): void {
    this.head = head
    this.wake()
  }

  /** Wakes everybody once: something may have happened. */
  wake(): void {
    if (!this.isAwaited) return
    const woken = this.waiting
    this.waiting = new Set()
    for (const resume of woken) resume()
  }

  /** Wakes everybody, now and from now on. */
  close(): void {
    this.closed = true
    this.wake()
  }

  /** Resolves when the log may have grown past `after`; at once when it is known to have. */
  readonly await = (after: number): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      if (this.closed || this.head > after) return resume(Effect.void)
      const wake = () => resume(Effect.void)
      this.waiting.add(wake)
      return Effect.sync(() => this.waiting.delete(wake))
    })
}
