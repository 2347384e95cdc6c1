/**
 * Turns: everything that competes waits here until it is its turn, and a list of numbers says whose turn it is. So a run is
 * repeated by its numbers, and fast-check, which generates them, shrinks them as well (its own scheduler does not shrink).
 * Zeros mean that whoever moved last goes on: the fewer and smaller the numbers, the fewer the changes of turn.
 *
 * Fibers that compete run on `quiet`, a scheduler whose tasks are carried out until nothing is left before the next turn.
 * Before `take` and after `release` everything goes its own way.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"

/** How long a call that is under way, and waits for something that is no turn, is waited for before others go on. */
const patience = Duration.millis(20)

export class Turns {
  private readonly numbers: ReadonlyArray<number>
  private next = 0
  private isTaken = false
  /** Calls that are under way: not waiting for their turn, and not answered. */
  private underWay = 0
  private now = 0
  private tasks: Array<() => void> = []
  /** Who waits for a turn, the one that came last at the end. */
  private waiting: Array<() => void> = []
  /** How often something has happened that may be worth another look. */
  private news = 0
  private onNews: (() => void) | undefined
  private readonly free = new Scheduler.MixedScheduler().makeDispatcher()

  constructor(numbers: ReadonlyArray<number>) {
    this.numbers = numbers
  }

  /** The scheduler of the fibers that compete. */
  readonly quiet: Scheduler.Scheduler = this.scheduler((task) => void this.tasks.push(task))

  /** The scheduler inside of a call: where the call yields, it is somebody else's turn. */
  private yielding(onYield: () => void): Scheduler.Scheduler {
    return this.scheduler((task) => {
      onYield()
      this.underWay -= 1
      this.waiting.push(() => {
        this.underWay += 1
        task()
      })
    })
  }

  private scheduler(add: (task: () => void) => void): Scheduler.Scheduler {
    const scheduleTask = (task: () => void, priority: number): void => {
      if (!this.isTaken) return this.free.scheduleTask(task, priority)
      add(task)
      this.notify()
    }
    return {
      executionMode: "async",
      shouldYield: () => false,
      makeDispatcher: () => ({ scheduleTask, flush: () => this.settle() })
    }
  }

  /** Waits for its turn. */
  readonly turn: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (!this.isTaken) return resume(Effect.void)
    const go = () => resume(Effect.void)
    this.waiting.push(go)
    this.notify()
    return Effect.sync(() => {
      this.waiting = this.waiting.filter((other) => other !== go)
    })
  })

  /**
   * Waits for its turn, then makes the call; `onYield` hears of it when the call lets others go first in its middle. Inside
   * the call time is real: what a store waits for is not a turn.
   */
  call<A, E, R>(call: Effect.Effect<A, E, R>, onYield: () => void): Effect.Effect<A, E, R> {
    const leave = Effect.sync(() => {
      this.underWay -= 1
      this.notify()
    })
    const made = Effect.clockWith((clock) => {
      if (!this.isTaken) return call
      this.underWay += 1
      return call.pipe(
        Effect.provideService(Scheduler.Scheduler, this.yielding(onYield)),
        Effect.provideService(Clock.Clock, clock instanceof TurnClock ? clock.real : clock),
        Effect.ensuring(leave)
      )
    })
    return Effect.andThen(this.turn, made)
  }

  /** A clock on which whoever sleeps waits for a turn, and no time is lost. */
  clock(real: Clock.Clock, onSleep: () => void): Clock.Clock {
    const sleep = (duration: Duration.Duration) =>
      this.isTaken
        ? Effect.map(
            Effect.andThen(Effect.sync(onSleep), this.turn),
            () => void (this.now += Duration.toMillis(duration))
          )
        : real.sleep(duration)
    return new TurnClock(real, () => this.now, sleep)
  }

  /** From now on everybody waits for a turn. */
  take(): void {
    this.isTaken = true
  }

  /** From now on nobody waits. */
  release(): void {
    this.isTaken = false
    for (const task of this.tasks.splice(0)) this.free.scheduleTask(task, 0)
    for (const go of this.waiting.splice(0)) this.free.scheduleTask(go, 0)
  }

  /** Gives turns until `isDone`. Whether it came to that; not where nothing at all happened for so long. */
  giveUntil(isDone: () => boolean, longestSilence: Duration.Input): Effect.Effect<boolean> {
    return Effect.gen({ self: this }, function* () {
      while (true) {
        const known = this.news
        this.settle()
        if (isDone()) return true
        if (this.underWay > 0 && (yield* this.hearsNews(known, patience))) continue
        if (this.waiting.length > 0) this.giveOne()
        else if (!(yield* this.hearsNews(known, longestSilence))) return false
      }
    })
  }

  private giveOne(): void {
    const number = this.numbers[this.next++] ?? 0
    const index = this.waiting.length - 1 - (number % this.waiting.length)
    const [go] = this.waiting.splice(index, 1)
    go!()
  }

  private settle(): void {
    for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) task()
  }

  private notify(): void {
    this.news += 1
    this.onNews?.()
  }

  /**
   * Whether there is news since `known`, within this time. Whoever brings news may be in the middle of something, so it is
   * heard in a later task.
   */
  private hearsNews(known: number, within: Duration.Input): Effect.Effect<boolean> {
    const news = Effect.callback<boolean>((resume) => {
      const hear = () => {
        this.onNews = undefined
        this.free.scheduleTask(() => resume(Effect.succeed(true)), 0)
      }
      if (this.news !== known) return hear()
      this.onNews = hear
      return Effect.sync(() => void (this.onNews = undefined))
    })
    return Effect.timeoutOrElse(news, { duration: within, orElse: () => Effect.succeed(false) })
  }
}

class TurnClock implements Clock.Clock {
  readonly real: Clock.Clock
  private readonly millis: () => number
  readonly sleep: Clock.Clock["sleep"]

  constructor(real: Clock.Clock, millis: () => number, sleep: Clock.Clock["sleep"]) {
    this.real = real
    this.millis = millis
    this.sleep = sleep
  }

  currentTimeMillisUnsafe(): number {
    return this.millis()
  }
  currentTimeNanosUnsafe(): bigint {
    return BigInt(Math.round(this.millis())) * 1_000_000n
  }
  monotonicTimeNanosUnsafe(): bigint {
    return this.currentTimeNanosUnsafe()
  }
  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.monotonicTimeNanosUnsafe())
}
