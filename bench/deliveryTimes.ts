/** How long it takes from the answer to an append until a projection's handler has the event, while nothing else goes on. */
import type { EventStore } from "evolvent"
import { EventStore as EventStoreService, layerProjectionWorker } from "evolvent"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fork } from "node:child_process"
import { join } from "node:path"
import { arrivals } from "./arrivals.ts"
import { now } from "./measure.ts"
import type { Latency } from "./report.ts"
import { orderEvent } from "./workload.ts"

const warmUps = 20
const measured = 300

/** Milliseconds between two appends. */
const pause = 20

/** When the events have arrived, by number. */
type Arrived = ReadonlyMap<number, number>

/** The projection runs in this process. */
export const deliveryTimes = (store: string, events: EventStore) =>
  Effect.gen(function* () {
    const arrived = new Map<number, number>()
    const layer = Layer.provide(
      layerProjectionWorker({ projections: [arrivals((number, at) => void arrived.set(number, at))] }),
      Layer.succeed(EventStoreService, events)
    )
    const latency = Effect.map(sample(events, arrived), (times) => toLatency(store, "same process", times))
    return yield* Effect.provide(latency, layer)
  })

/** The projection runs in another process. */
export const deliveryTimesBetween = (url: string, schema: string, events: EventStore) =>
  Effect.gen(function* () {
    const arrived = new Map<number, number>()
    yield* listener(url, schema, arrived)
    return toLatency("postgres", "two processes", yield* sample(events, arrived))
  }).pipe(Effect.scoped)

/** Resolves when the other process listens. */
const listener = (url: string, schema: string, arrived: Map<number, number>) =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof fork>>((resume) => {
      const child = fork(join(import.meta.dirname, "deliveryListener.js"), [url, schema])
      child.on("message", (message) => {
        if (message === "ready") return resume(Effect.succeed(child))
        const { at, number } = message as { readonly number: number; readonly at: number }
        arrived.set(number, at)
      })
      child.once("exit", (code) => resume(Effect.die(new Error(`the listening process ended with ${code}`))))
    }),
    (child) =>
      Effect.callback<void>((resume) => {
        child.removeAllListeners("exit")
        child.once("exit", () => resume(Effect.void))
        child.disconnect()
      })
  )

const sample = (events: EventStore, arrived: Arrived) =>
  Effect.gen(function* () {
    const times: Array<number> = []
    for (let index = 0; index < warmUps + measured; index++) {
      yield* Effect.sleep(pause)
      const { lastSequenceNumber } = yield* events.append([orderEvent(index, index)])
      const answered = now()
      while (!arrived.has(lastSequenceNumber)) yield* Effect.sleep(1)
      if (index >= warmUps) times.push(Math.max(0, arrived.get(lastSequenceNumber)! - answered))
    }
    return times
  })

const toLatency = (store: string, work: string, times: ReadonlyArray<number>): Latency => {
  const sorted = [...times].sort((a, b) => a - b)
  const percentile = (share: number) => Math.round(sorted[Math.ceil(sorted.length * share) - 1]! * 100) / 100
  return {
    name: `${store} delivery, ${work}`,
    store,
    work: `delivery, ${work}`,
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
    events: times.length
  }
}
