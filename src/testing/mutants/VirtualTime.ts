/**
 * Time that passes only when nothing else can happen: a wait in vain costs nothing and is found out whatever the machine has to
 * do besides. For stores in memory only: it knows of the tasks of fibers, not of files, sockets and timers.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

/** Turns of the event loop in which no time passes; whoever needs more is going round in circles, and all waits end. */
const patience = 20_000

class VirtualTime implements Clock.Clock {
  readonly scheduler = new Scheduler.MixedScheduler("async", (task) => this.schedule(task))
  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos = Effect.sync(() => this.monotonicTimeNanosUnsafe())
  private now = Date.UTC(2025, 0, 1)
  private readonly sleepers = new Set<Sleeper>()
  private pending = 0
  private turns = 0
  private stopped = false

  currentTimeMillisUnsafe(): number {
    return Math.floor(this.now)
  }

  currentTimeNanosUnsafe(): bigint {
    return BigInt(this.currentTimeMillisUnsafe()) * 1_000_000n
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.currentTimeNanosUnsafe()
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const sleeper = { until: this.now + Duration.toMillis(duration), wake: () => resume(Effect.void) }
      this.sleepers.add(sleeper)
      this.schedule(() => undefined)
      return Effect.sync(() => this.sleepers.delete(sleeper))
    })
  }

  /** Nothing that is still under way goes on. */
  stop(): void {
    this.stopped = true
    this.sleepers.clear()
  }

  private schedule(task: () => void): () => void {
    this.pending++
    const handle = setImmediate(() => {
      this.pending--
      if (this.stopped) return
      task()
      this.turns++
      if (this.turns > patience) this.passAll()
      else if (this.pending === 0) this.passOne()
    })
    return () => {
      this.pending--
      clearImmediate(handle)
    }
  }

  /** Nothing else can happen: wakes whoever is due first. */
  private passOne(): void {
    let next: Sleeper | undefined
    for (const sleeper of this.sleepers) if (next === undefined || sleeper.until < next.until) next = sleeper
    if (next === undefined) return
    this.turns = 0
    this.wake(next)
    if (this.pending === 0) this.schedule(() => undefined)
  }

  /** It is busy without an end: wakes everybody, he who waits for the end of the case among them. */
  private passAll(): void {
    this.turns = 0
    for (const sleeper of [...this.sleepers].sort((left, right) => right.until - left.until)) this.wake(sleeper)
  }

  private wake(sleeper: Sleeper): void {
    this.sleepers.delete(sleeper)
    this.now = Math.max(this.now, sleeper.until)
    sleeper.wake()
  }
}

/** Runs the effect in a virtual time of its own, which starts with the year 2025 and ends with the effect. */
export const inVirtualTime = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const time = new VirtualTime()
    return effect.pipe(
      Effect.provideService(Clock.Clock, time),
      Effect.provideService(Scheduler.Scheduler, time.scheduler),
      Effect.ensuring(Effect.sync(() => time.stop()))
    )
  })
