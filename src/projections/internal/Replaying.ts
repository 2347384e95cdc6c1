/** Tries dead letters again, on request: between two deliveries, under the lease of their cursor, one key's part of a batch at a time. */
import * as Effect from "effect/Effect"
import type { EventBatch } from "../../stores/Event.ts"
import type { EventStore } from "../../stores/EventStore.ts"
import { EventStoreError } from "../../stores/EventStoreError.ts"
import type { StreamLease, Transaction } from "../../stores/Workspace.ts"
import type { Place, Projection } from "../Projection.ts"
import { failureText } from "./failureText.ts"
import { handleAll } from "./handling.ts"
import { inTransaction } from "./place.ts"

/** A letter, as far as it says what to try again. */
interface Letter {
  readonly key: string
  readonly sequenceNumber: number
}

export class Replaying<R> {
  private readonly store: EventStore
  private readonly projection: Projection<R>
  private readonly cursor: string
  private readonly leaseMs: number
  /** Whether another try may have been asked for. */
  private mayBeAsked = true
  /** Events that were handled elsewhere under a lease, and whose letters could not be removed yet. */
  private unsettled: { readonly lease: StreamLease; readonly numbers: Set<number> } | undefined

  constructor(store: EventStore, projection: Projection<R>, cursor: string, leaseMs: number) {
    this.store = store
    this.projection = projection
    this.cursor = cursor
    this.leaseMs = leaseMs
  }

  /** Another try was asked for. */
  ask(): void {
    this.mayBeAsked = true
  }

  /** Whether another try was asked for, by whomever. */
  isAskedIn({ deadLetters }: Transaction): Effect.Effect<boolean, EventStoreError> {
    return Effect.map(deadLetters.toReplay(this.cursor, 1), (letters) => letters.length > 0)
  }

  /** Tries the first letter of which that was asked, then comes `again`: nothing starts here after the stream's end. */
  run(lease: StreamLease, again: Effect.Effect<void, EventStoreError>): Effect.Effect<void, unknown, R> {
    return Effect.gen({ self: this }, function* () {
      if (!this.mayBeAsked) return
      const [letter] = yield* this.store.workspace.transaction(({ deadLetters }) =>
        deadLetters.toReplay(this.cursor, 1)
      )
      this.mayBeAsked = letter !== undefined
      if (letter === undefined) return
      yield* this.tryAgain(lease, letter)
      yield* Effect.ignore(again)
    })
  }

  /** In the end the key's letters are fewer, or wait again. What the store's failure has cut short is not decided. */
  private tryAgain(lease: StreamLease, letter: Letter): Effect.Effect<void, unknown, R> {
    return Effect.catch(this.handled(lease, letter), (error) =>
      isOfStore(error)
        ? Effect.fail(error)
        : this.store.workspace.transaction((transaction) =>
            Effect.andThen(
              lease.confirmIn(transaction),
              transaction.deadLetters.failReplay(this.cursor, { ...letter, failure: failureText(error) })
            )
          )
    )
  }

  private handled(lease: StreamLease, letter: Letter): Effect.Effect<void, unknown, R> {
    return Effect.gen({ self: this }, function* () {
      const whole = yield* this.batchOf(letter)
      const handle = (batch: EventBatch, place: Place) =>
        // Somebody may have dropped them meanwhile.
        batch.length === 0 ? Effect.void : Effect.andThen(lease.mayBegin, handleAll(this.projection, [batch], place))
      const settle = (transaction: Transaction, batch: EventBatch) =>
        Effect.gen({ self: this }, function* () {
          yield* lease.confirmIn(transaction)
          yield* transaction.deadLetters.remove(
            this.cursor,
            batch.map((record) => record.sequenceNumber)
          )
          // What was set aside behind them since somebody asked is due as well.
          yield* transaction.deadLetters.requestReplay(this.cursor, letter.key)
        })
      if (this.projection.isTransactional) {
        return yield* inTransaction(this.store, this.projection, this.leaseMs, (transaction, place) =>
          Effect.flatMap(this.waitingOf(transaction, letter, whole), (batch) =>
            Effect.andThen(handle(batch, place), settle(transaction, batch))
          )
        )
      }
      const batch = yield* this.store.workspace.transaction((transaction) => this.waitingOf(transaction, letter, whole))
      const handled = this.handledUnder(lease)
      const left = batch.filter(({ sequenceNumber }) => !handled.has(sequenceNumber))
      yield* handle(left, { version: this.projection.version })
      for (const { sequenceNumber } of batch) handled.add(sequenceNumber)
      yield* this.store.workspace.transaction((transaction) => settle(transaction, batch))
      for (const { sequenceNumber } of batch) handled.delete(sequenceNumber)
    })
  }

  /** What was handled under another lease may have to be handled again: the query model may have been emptied meanwhile. */
  private handledUnder(lease: StreamLease): Set<number> {
    if (this.unsettled?.lease !== lease) this.unsettled = { lease, numbers: new Set() }
    return this.unsettled.numbers
  }

  /** The letter's batch, from its event on. */
  private batchOf({ sequenceNumber }: Letter): Effect.Effect<EventBatch, unknown> {
    return Effect.gen({ self: this }, function* () {
      const { batches } = yield* this.store.workspace.page(this.projection.query, sequenceNumber - 1, 1)
      const whole = batches[0] ?? []
      if (whole[0]?.sequenceNumber !== sequenceNumber)
        return yield* Effect.fail(new Error("its event is not in the log"))
      return whole
    })
  }

  /** The events of a batch that wait under the letter's key: others were handled already, or dropped. */
  private waitingOf({ deadLetters }: Transaction, { key, sequenceNumber }: Letter, whole: EventBatch) {
    return Effect.map(deadLetters.list(this.cursor, sequenceNumber - 1, whole.length), (letters) => {
      const waiting = new Set(letters.filter((letter) => letter.key === key).map((letter) => letter.sequenceNumber))
      return whole.filter((record) => waiting.has(record.sequenceNumber))
    })
  }
}

const isOfStore = (error: unknown): boolean =>
  error instanceof EventStoreError &&
  (error.reason.retryable || error.reason._tag === "Fenced" || error.reason._tag === "StoreClosed")
