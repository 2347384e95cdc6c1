/**
 * The event store in memory: the semantic reference, as strict as the others, and fast. The log lives as long as the
 * store. Everything happens in one synchronous step, so appends are serialised by nature (C2) and a query is a snapshot
 * (Q5).
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { EventStore } from "../EventStore.ts"
import type { EventStoreError, EventStoreErrorReason } from "../EventStoreError.ts"
import { fromReason, StoreClosed } from "../EventStoreError.ts"
import { makeEventStore } from "../internal/makeEventStore.ts"
import type { StoreOptions } from "../internal/options.ts"
import { checkStoreOptions } from "../internal/options.ts"
import type { LogReader } from "../internal/reading.ts"
import { readingInSteps } from "../internal/reading.ts"
import { memoryTransactions } from "../internal/workspace/memoryTables.ts"
import { MemoryLog } from "./MemoryLog.ts"

export type { StoreOptions }

/** Opens an empty log, closed with the scope. Fails with `InvalidInput` for an option that is not allowed. */
export const make = (options: StoreOptions = {}): Effect.Effect<EventStore, EventStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const { maxPayloadBytes } = yield* Effect.mapError(Effect.fromResult(checkStoreOptions(options)), fromReason)
    const clock = yield* Clock.Clock
    const log = new MemoryLog()
    yield* Effect.addFinalizer(() => Effect.sync(() => log.close()))
    const ifOpen = <A>(run: () => Effect.Effect<A, EventStoreErrorReason>) =>
      log.closed ? Effect.fail(new StoreClosed()) : run()
    const reader: LogReader = {
      head: Effect.suspend(() => ifOpen(() => Effect.succeed(log.head))),
      up: (query, span, limit) => ifOpen(() => Effect.succeed(log.events.up(query, span, limit))),
      down: (query, span) =>
        ifOpen(() => Effect.succeed({ match: log.events.lastMatch(query, span), position: span.after }))
    }
    const transaction = memoryTransactions(() => clock.currentTimeMillisUnsafe())(() => log.closed)
    return yield* makeEventStore(
      {
        maxPayloadBytes,
        currentMillis: () => clock.currentTimeMillisUnsafe(),
        reading: readingInSteps(reader),
        commit: (request) => ifOpen(() => Effect.fromResult(log.commit(request, clock.currentTimeMillisUnsafe()))),
        transaction,
        awaitChange: log.changes.await,
        isClosed: () => log.closed
      },
      "memory"
    )
  })

/** The event store in memory as a layer. Each build of the layer is a new, empty log. */
export const layer = (options: StoreOptions = {}): Layer.Layer<EventStore, EventStoreError> =>
  Layer.effect(EventStore, make(options))
