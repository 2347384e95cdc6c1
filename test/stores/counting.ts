/** A cursor that moves in the transactions in which a table of the application counts events: what is lost or done twice shows there. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { EventStore } from "../../src/stores/EventStore.ts"
import type { EventStoreError } from "../../src/stores/EventStoreError.ts"
import type { SqlError } from "../../src/stores/Transaction.ts"
import type { Following, FollowOptions } from "../../src/stores/Workspace.ts"
import { inTime } from "../../src/testing/conformance/expectations.ts"

/** Makes the table, with a row of zeroes. */
export const createCounter = (store: EventStore, table: string): Effect.Effect<void, EventStoreError | SqlError> =>
  store.workspace.transaction(({ sql }) =>
    Effect.gen(function* () {
      yield* sql!.execute(`CREATE TABLE ${table} (events int, total int)`)
      yield* sql!.execute(`INSERT INTO ${table} VALUES (0, 0)`)
    })
  )

type Options = Partial<Pick<FollowOptions<never, never>, "leaseMs" | "together">> & {
  /** Runs in the transaction, when the events have been counted. */
  readonly afterwards?: Effect.Effect<void>
  readonly attempted?: () => void
}

/** Counts every event of the log in the table. */
export const count = (
  store: EventStore,
  table: string,
  { afterwards = Effect.void, attempted, leaseMs = 5_000, together = false }: Options = {}
): Effect.Effect<Following, EventStoreError, Scope.Scope> =>
  Effect.acquireRelease(
    store.workspace.follow({
      cursor: "counting",
      name: "counting",
      query: {},
      start: "beginning",
      leaseMs,
      retry: Schedule.max([Schedule.spaced("5 millis"), Schedule.recurs(10)]),
      together,
      deliver: (batches, { moveIn }) =>
        store.workspace.transaction((transaction) =>
          Effect.gen(function* () {
            attempted?.()
            const events = batches.flat()
            yield* transaction.sql!.execute(`UPDATE ${table} SET events = events + $1, total = total + $2`, [
              events.length,
              events.reduce((sum, { sequenceNumber }) => sum + sequenceNumber, 0)
            ])
            yield* moveIn(transaction)
            yield* afterwards
          })
        )
    }),
    ({ unsubscribe }) => unsubscribe
  )

/** What the table has counted. */
export const countedIn = (
  store: EventStore,
  table: string
): Effect.Effect<{ readonly events: number; readonly total: number }, EventStoreError | SqlError> =>
  Effect.map(
    store.workspace.transaction(({ sql }) => sql!.execute(`SELECT events, total FROM ${table}`)),
    ([row]) => ({ events: Number(row!["events"]), total: Number(row!["total"]) })
  )

/** What the table counts when each event up to the head is counted once. */
export const countOf = (head: number) => ({ events: head, total: (head * (head + 1)) / 2 })

/** Waits until the stream has caught up with the log as it is. */
export const caughtUp = (following: Following): Effect.Effect<void, EventStoreError> =>
  inTime(following.caughtUp, "the counting catches up")
