/** Mutants that forget that a store can be closed, opened again, and be one of several on a log (A1, C2, S2, 7). */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { ChangeSignal } from "../../stores/internal/ChangeSignal.ts"
import { Repeated } from "../../stores/internal/appending.ts"
import { readingInSteps } from "../../stores/internal/reading.ts"
import type { StoreBackend } from "../../stores/internal/StoreBackend.ts"
import { mutant } from "./Mutant.ts"
import type { PlainLog } from "./PlainLog.ts"
import { answering, readerOf } from "./PlainLog.ts"

/** Reads the log whatever became of the store. */
const alwaysReading = (backend: StoreBackend, log: PlainLog): StoreBackend => ({
  ...backend,
  reading: readingInSteps(readerOf(log)),
  awaitChange: (after) =>
    Effect.andThen(
      backend.awaitChange(after),
      Effect.suspend(() => (backend.isClosed() ? Effect.never : Effect.void))
    ),
  isClosed: () => false
})

/** A lock that the stores of other processes know nothing of. */
const lockedForItself = (backend: StoreBackend, log: PlainLog): StoreBackend => {
  const lock = Semaphore.makeUnsafe(1)
  return {
    ...backend,
    commit: (request) =>
      lock.withPermits(1)(
        Effect.gen(function* () {
          const admitted = yield* answering(() => log.admit(request))
          if (admitted instanceof Repeated) return admitted.results
          yield* Effect.yieldNow
          return log.write(admitted, request.idempotency, backend.currentMillis())
        })
      )
  }
}

/** Hears of its own commits only. */
const deaf = (backend: StoreBackend, log: PlainLog): StoreBackend => {
  const own = new ChangeSignal()
  return {
    ...backend,
    commit: (request) => Effect.tap(backend.commit(request), () => Effect.sync(() => own.advance(log.head))),
    awaitChange: (after) => Effect.race(own.await(after), untilClosed(backend))
  }
}

const untilClosed = (backend: StoreBackend): Effect.Effect<void> =>
  Effect.suspend(() =>
    backend.isClosed() ? Effect.void : Effect.andThen(Effect.sleep("1 second"), untilClosed(backend))
  )

/** Looks for keys among those that this store has seen. */
const rememberingItsOwnKeys = (backend: StoreBackend): StoreBackend => {
  const own = new Set<string>()
  return {
    ...backend,
    commit: (request) => {
      const key = request.idempotency?.key
      if (key === undefined) return backend.commit(request)
      const known = own.has(key)
      return Effect.tap(backend.commit(known ? request : { ...request, idempotency: undefined }), () =>
        Effect.sync(() => own.add(key))
      )
    }
  }
}

export const severalStores = [
  mutant(
    "closed store answers",
    "Answers queries and registers streams after it was closed.",
    ["after closing every call fails with StoreClosed"],
    { backend: alwaysReading }
  ),
  mutant(
    "lock of one process",
    "Holds a lock while it checks and writes that other stores on the log do not know of.",
    ["of conditional appends made at once through several stores exactly one commits"],
    { backend: lockedForItself }
  ),
  mutant(
    "deaf to other stores",
    "Wakes its streams only for what it has appended itself.",
    ["a stream delivers what another store on the same log commits, in undivided batches"],
    { backend: deaf }
  ),
  mutant(
    "keys of one store",
    "Knows only the keys that it was given itself since it was opened.",
    ["keys outlive the store"],
    { backend: rememberingItsOwnKeys }
  )
]
