/** A command on its way through a lane. */
import type * as Effect from "effect/Effect"
import type * as Decider from "../../decider/Decider.ts"
import type * as View from "../../decider/View.ts"
import type { EventRecord, Metadata } from "../../stores/Event.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import { RetriesExhausted } from "../Outcome.ts"
import type { IdempotencyKey } from "./IdempotencyKey.ts"

/** Events that are remembered as having been in the way. */
const mostInTheWay = 10

export class Command {
  readonly decider: Decider.Any
  readonly command: unknown
  readonly view: View.Any
  readonly metadata: Metadata
  /** The tag that every event must carry, where the context is one stream. */
  readonly stream: string | undefined
  /** The revision that the stream must be at; `undefined` for any. */
  readonly expected: number | null | undefined
  readonly mostAttempts: number
  /** Milliseconds since the Unix epoch. */
  readonly deadline: number
  /** Under which it may be dispatched again. */
  readonly key: IdempotencyKey | undefined
  /** What was recorded under its key before; `undefined` where nothing is known. */
  first: ReadonlyArray<EventRecord> | undefined
  /** Nothing is recorded under its key up to this number. */
  keyIsFreeUpTo = -1
  /** How often it has been decided. */
  attempts = 0
  private lastFailure: EventStoreError | undefined
  private inTheWay: ReadonlyArray<EventRecord> = []
  private readonly resume: (answer: Effect.Effect<any, any>) => void

  constructor(
    fields: Pick<
      Command,
      "decider" | "command" | "view" | "metadata" | "stream" | "expected" | "mostAttempts" | "deadline" | "key"
    >,
    resume: (answer: Effect.Effect<any, any>) => void
  ) {
    this.decider = fields.decider
    this.command = fields.command
    this.view = fields.view
    this.metadata = fields.metadata
    this.stream = fields.stream
    this.expected = fields.expected
    this.mostAttempts = fields.mostAttempts
    this.deadline = fields.deadline
    this.key = fields.key
    this.resume = resume
  }

  answer(answer: Effect.Effect<unknown, unknown>): void {
    this.resume(answer)
  }

  /** Forgets what was seen of its key. */
  forgetKey(): void {
    this.first = undefined
    this.keyIsFreeUpTo = -1
  }

  /** Remembers what changed the context. */
  wasInterfered(tail: ReadonlyArray<EventRecord>): void {
    this.lastFailure = undefined
    this.inTheWay = [...this.inTheWay, ...tail].slice(-mostInTheWay)
  }

  /** Remembers that the store failed. */
  failedWith(error: EventStoreError): void {
    this.lastFailure = error
  }

  /** Why it cannot be tried once more; `undefined` when it can. */
  exhausted(now: number): RetriesExhausted | EventStoreError | undefined {
    const ranOutOf = this.attempts >= this.mostAttempts ? "attempts" : now >= this.deadline ? "time" : undefined
    if (ranOutOf === undefined || this.attempts === 0) return undefined
    if (this.lastFailure !== undefined) return this.lastFailure
    return new RetriesExhausted({
      decider: this.decider.name,
      attempts: this.attempts,
      ranOutOf,
      inTheWay: this.inTheWay.map(({ eventType, sequenceNumber }) => ({ eventType, sequenceNumber }))
    })
  }
}
