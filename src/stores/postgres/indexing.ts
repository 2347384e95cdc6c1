/**
 * Keeps the index behind the log in bulk, on a connection of its own, while appends go on. Appends wait only when the index
 * has fallen far behind.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { ChangeSignal } from "../internal/ChangeSignal.ts"
import type { Database } from "./Database.ts"
import type { NewestEvents } from "./NewestEvents.ts"
import type { Statements } from "./statements.ts"

/**
 * Events that are indexed in one transaction, for a second at most on a slow server. The more the cheaper: their keys are sorted in
 * together.
 */
const eventsPerStep = 16_384

/**
 * How much later those step in who have not written the index last. Who has writes it again before, and so the processes of a log do
 * not wait for each other to write a few events each.
 */
const othersPatience = 1.5

/** How many events, or kibibytes, the index may be behind, and so a process keeps in memory, before appends wait for it. */
const mostBehind = 16_384

/** Milliseconds before another try when the index could not be written. */
const retryInterval = 250

export class Indexing {
  private readonly database: Database
  private readonly statements: Statements
  private readonly newest: NewestEvents
  private readonly indexEvery: number
  private readonly due = new ChangeSignal()
  private timesDue = 0
  private timesDone = 0
  /** How far this process has written the index. */
  private written = 0
  private isFailing = false
  private step = Deferred.makeUnsafe<void>()

  constructor(database: Database, statements: Statements, newest: NewestEvents, indexEvery: number) {
    this.database = database
    this.statements = statements
    this.newest = newest
    this.indexEvery = indexEvery
  }

  /** Takes note of the log's new end; resolves when the index is not too far behind, or does not get any further. */
  readonly committed = (head: number): Effect.Effect<void> => {
    const behind = this.behind(head)
    if (behind < this.enough) return Effect.void
    this.due.advance(++this.timesDue)
    return behind < mostBehind + this.indexEvery || this.isFailing
      ? Effect.void
      : Effect.flatMap(Deferred.await(this.step), () => this.committed(head))
  }

  /** Writes the index whenever enough waits, for ever; what has failed is tried again, though nothing more is appended. */
  readonly run: Effect.Effect<never> = Effect.gen({ self: this }, function* () {
    while (true) {
      yield* this.due.await(this.timesDone)
      const result = yield* Effect.result(
        this.database.write("write the index", this.statements.writeIndex, [eventsPerStep])
      )
      this.isFailing = Result.isFailure(result)
      if (Result.isSuccess(result)) {
        this.written = Number(result.success[0]![0])
        this.newest.indexed(this.written)
        // What has come meanwhile waits for more: few events at once cost more each.
        if (this.behind(this.newest.recent.head) < this.enough) this.timesDone = this.timesDue
      }
      const step = this.step
      this.step = Deferred.makeUnsafe<void>()
      yield* Deferred.succeed(step, undefined)
      if (this.isFailing) yield* Effect.sleep(Duration.millis(retryInterval))
    }
  })

  /** Events, or kibibytes of payloads, that are not in the index yet. */
  private behind(head: number): number {
    return Math.max(head - this.newest.indexedThrough, this.newest.unindexedPayloads)
  }

  /** How many of them are enough to write the index. */
  private get enough(): number {
    return this.newest.indexedThrough === this.written ? this.indexEvery : Math.floor(this.indexEvery * othersPatience)
  }
}
