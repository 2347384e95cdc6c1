/**
 * A store in memory, taken apart so that a mistake can be made in its log, in its backend or around it. The rest is that of
 * every store: validation, order of checks, reading in steps, the pull loop.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreErrorReason } from "../../stores/EventStoreError.ts"
import { fromReason, StoreClosed } from "../../stores/EventStoreError.ts"
import { ChangeSignal } from "../../stores/internal/ChangeSignal.ts"
import { makeEventStore } from "../../stores/internal/makeEventStore.ts"
import type { StoreOptions } from "../../stores/internal/options.ts"
import { checkStoreOptions } from "../../stores/internal/options.ts"
import { readingInSteps } from "../../stores/internal/reading.ts"
import type { StoreBackend } from "../../stores/internal/StoreBackend.ts"
import { memoryTransactions } from "../../stores/internal/workspace/memoryTables.ts"
import type { OpenStore, StoreHarness } from "../conformance/ConformanceCase.ts"
import { PlainLog, readerOf } from "./PlainLog.ts"

/** An opened store, as a mistake around it sees it. */
export interface Opened<Log extends PlainLog> {
  readonly store: EventStore
  readonly backend: StoreBackend
  readonly log: Log
}

/** Where the mistake is made. What is left out is right. */
export interface Mistake<Log extends PlainLog = PlainLog> {
  readonly log?: () => Log
  readonly options?: (options: StoreOptions) => StoreOptions
  readonly backend?: (backend: StoreBackend, log: Log) => StoreBackend
  readonly store?: (opened: Opened<Log>) => EventStore
}

/** A store with this mistake, as the conformance suite takes it. */
export const plainStore = <Log extends PlainLog = PlainLog>(mistake: Mistake<Log> = {}): StoreHarness => {
  const newLog = Effect.sync(() => (mistake.log === undefined ? (new PlainLog() as Log) : mistake.log()))
  return {
    make: Effect.flatMap(newLog, (log) => open(mistake, log)),
    makeWithMaxPayloadBytes: (maxPayloadBytes) =>
      Effect.flatMap(newLog, (log) => open(mistake, log, { maxPayloadBytes })),
    reopen: Effect.map(newLog, (log) => open(mistake, log)),
    makeDamaged: (events, sequenceNumber) =>
      Effect.gen(function* () {
        const log = yield* newLog
        yield* Effect.scoped(Effect.flatMap(open(mistake, log), (store) => store.append(events)))
        log.damage(sequenceNumber)
        return yield* open(mistake, log)
      })
  }
}

const open = <Log extends PlainLog>(mistake: Mistake<Log>, log: Log, options: StoreOptions = {}): OpenStore =>
  Effect.gen(function* () {
    const checked = checkStoreOptions(mistake.options?.(options) ?? options)
    const { maxPayloadBytes } = yield* Effect.mapError(Effect.fromResult(checked), fromReason)
    const right = yield* openBackend(log, maxPayloadBytes)
    const backend = mistake.backend?.(right, log) ?? right
    const store = yield* makeEventStore(backend, "plain")
    return mistake.store?.({ store, backend, log }) ?? store
  })

const openBackend = (log: PlainLog, maxPayloadBytes: number) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const changes = new ChangeSignal()
    let closed = false
    const close = (): void => {
      closed = true
      log.signals.delete(changes)
      changes.close()
    }
    log.signals.add(changes)
    changes.advance(log.head)
    yield* Effect.addFinalizer(() => Effect.sync(close))
    const ifOpen = <A>(run: () => Effect.Effect<A, EventStoreErrorReason>) =>
      Effect.suspend(() => (closed ? Effect.fail(new StoreClosed()) : run()))
    const reader = readerOf(log)
    log.transactions ??= memoryTransactions(() => clock.currentTimeMillisUnsafe())
    const backend: StoreBackend = {
      maxPayloadBytes,
      currentMillis: () => clock.currentTimeMillisUnsafe(),
      reading: readingInSteps({
        head: ifOpen(() => reader.head),
        up: (query, span, limit) => ifOpen(() => reader.up(query, span, limit)),
        down: (query, span) => ifOpen(() => reader.down(query, span))
      }),
      commit: (request) => ifOpen(() => log.commit(request, clock.currentTimeMillisUnsafe())),
      transaction: log.transactions(() => closed),
      awaitChange: changes.await,
      isClosed: () => closed
    }
    return backend
  })
