/**
 * A process that works on a log that others work on too, and writes down what it did and what it was told. It is started with an
 * IPC channel: gets its orders, says when its store is open, begins when told to, and gives its history when all are done.
 */
import type { EventRecord } from "evolvent"
import { EventQuery, EventStore } from "evolvent"
import { PostgresStore } from "evolvent/postgres"
import { SqliteStore } from "evolvent/sqlite"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import { seeded } from "../choices.ts"
import type { Choices } from "../choices.ts"
import type { Offered, Operation, Stream } from "./History.ts"
import { digestOf } from "./History.ts"
import { contexts, offer } from "./contexts.ts"
import type { FromHistorian, Orders, ToHistorian } from "./messages.ts"

const say = (message: FromHistorian): Effect.Effect<void> =>
  Effect.callback((resume) => void process.send?.(message, () => resume(Effect.void)))

const now = (): number => Number(process.hrtime.bigint() / 1_000n)

const openStore = ({ location }: Orders) =>
  location.store === "postgres" ? PostgresStore.layer(location.options) : SqliteStore.layer(location.options)

/** What a worker knows of a context: from one snapshot, perhaps a long time ago. */
interface Snapshot {
  readonly version: number | null
  readonly head: number | null
}

const work = (orders: Orders) =>
  Effect.gen(function* () {
    const store = yield* EventStore
    const operations: Array<Operation> = []
    const streams: Array<() => Stream> = []
    const caughtUp: Array<Effect.Effect<void, unknown>> = []
    const snapshots = new Map<EventQuery.EventQuery, Snapshot>()
    const { process, workers } = orders
    let left = orders.operations
    let labels = 0

    const timed = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.gen(function* () {
        const invoked = now()
        const result = yield* Effect.result(effect)
        return { process, invoked, answered: now(), result }
      })

    const events = (choices: Choices): ReadonlyArray<Offered> =>
      choices.times(1 + choices.below(3), () => offer(choices, `${process}-${++labels}`))

    const query = (context: EventQuery.EventQuery, cursor: number) =>
      Effect.gen(function* () {
        const asked = cursor === 0 ? context : EventQuery.after(context, cursor)
        const { result, ...times } = yield* timed(store.query(asked))
        if (Result.isFailure(result)) {
          const { message } = result.failure
          return void operations.push({ ...times, kind: "query", query: asked, answer: { _tag: "Failed", message } })
        }
        const { currentContextVersion, eventRecords, headSequenceNumber, lastReturnedSequenceNumber } = result.success
        const answer = {
          _tag: "Found",
          numbers: numbersOf(eventRecords),
          digest: digestOf(eventRecords),
          lastReturned: lastReturnedSequenceNumber,
          version: currentContextVersion,
          head: headSequenceNumber
        } as const
        snapshots.set(context, { version: currentContextVersion, head: headSequenceNumber })
        operations.push({ ...times, kind: "query", query: asked, answer })
      })

    const append = (offered: ReadonlyArray<Offered>) =>
      Effect.gen(function* () {
        const { result, ...times } = yield* timed(store.append(offered))
        const answer = Result.isSuccess(result)
          ? appended(result.success)
          : ({ _tag: "Failed", message: result.failure.message } as const)
        operations.push({ ...times, kind: "append", events: offered, answer })
      })

    const appendIf = (choices: Choices, context: EventQuery.EventQuery) =>
      Effect.gen(function* () {
        const { head, version } = snapshots.get(context) ?? { head: null, version: null }
        const seenHead = choices.chance(50) ? head : undefined
        const offered = events(choices)
        const options = { conflictTail: choices.chance(40), headSequenceNumber: seenHead }
        const { result, ...times } = yield* timed(store.appendIf(offered, context, version, options))
        const call = {
          ...times,
          kind: "appendIf",
          events: offered,
          query: context,
          expected: version,
          seenHead
        } as const
        if (Result.isSuccess(result)) return void operations.push({ ...call, answer: appended(result.success) })
        const { message, reason } = result.failure
        if (reason._tag !== "ConditionalAppendConflict") {
          return void operations.push({ ...call, answer: { _tag: "Failed", message } })
        }
        const { actual, expected, headSequenceNumber, tail } = reason
        const said = { actual, expected, head: headSequenceNumber, tail: tail === undefined ? tail : numbersOf(tail) }
        operations.push({ ...call, answer: { _tag: "Conflict", ...said } })
      })

    const stream = (context: EventQuery.EventQuery) =>
      Effect.gen(function* () {
        const delivered: Array<ReadonlyArray<EventRecord>> = []
        const handler = (batch: ReadonlyArray<EventRecord>) => Effect.sync(() => delivered.push(batch))
        const { result, ...times } = yield* timed(
          context.filters === undefined ? store.streamAll(handler) : store.streamTo(context, handler)
        )
        const registered = yield* Effect.fromResult(result)
        caughtUp.push(registered.caughtUp)
        streams.push(() => {
          const batches = delivered.map(numbersOf)
          return { ...times, kind: "stream", query: context, batches, digest: digestOf(delivered.flat()) }
        })
      })

    const worker = (choices: Choices) =>
      Effect.gen(function* () {
        while (left > 0) {
          const stillLeft = --left
          const context = choices.of(contexts)
          const kind = choices.below(10)
          if (stillLeft === Math.floor(orders.operations * 0.8)) yield* stream({})
          if (stillLeft === Math.floor(orders.operations * 0.6)) yield* stream(contexts[process % contexts.length]!)
          if (kind < 2) yield* append(events(choices))
          else if (kind < 5) {
            if (choices.chance(75)) yield* query(context, snapshots.get(context)?.head ?? 0)
            yield* appendIf(choices, context)
          } else yield* query(context, choices.chance(30) ? 0 : (snapshots.get(choices.of(contexts))?.head ?? 0))
        }
      })

    const start = Effect.forEach(
      Array.from({ length: workers }, (_, index) => seeded(orders.seed + index, 20_011)),
      worker,
      { concurrency: "unbounded", discard: true }
    )
    const finish = Effect.gen(function* () {
      yield* Effect.all(caughtUp)
      return [...operations, ...streams.map((end) => end())]
    })
    return { start, finish }
  })

const numbersOf = (records: ReadonlyArray<EventRecord>): ReadonlyArray<number> =>
  records.map(({ sequenceNumber }) => sequenceNumber)

const appended = (result: {
  readonly firstSequenceNumber: number
  readonly lastSequenceNumber: number
  readonly eventRecords: ReadonlyArray<EventRecord>
}) =>
  ({
    _tag: "Appended",
    first: result.firstSequenceNumber,
    last: result.lastSequenceNumber,
    digest: digestOf(result.eventRecords)
  }) as const

const program = Effect.gen(function* () {
  const messages = yield* Queue.unbounded<ToHistorian>()
  process.on("message", (message: ToHistorian) => Queue.offerUnsafe(messages, message))
  yield* say({ _tag: "Loaded" })
  const first = yield* Queue.take(messages)
  if (first._tag !== "Orders") return
  const record = Effect.gen(function* () {
    const { finish, start } = yield* work(first.orders)
    yield* say({ _tag: "Ready" })
    yield* Queue.take(messages)
    yield* start
    yield* say({ _tag: "Done" })
    yield* Queue.take(messages)
    yield* say({ _tag: "Recorded", operations: yield* finish })
  })
  yield* Effect.provide(record, openStore(first.orders))
})

const fiber = Effect.runFork(
  program.pipe(Effect.tapCause((cause) => say({ _tag: "Failed", message: Cause.pretty(cause) })))
)
process.once("disconnect", () => fiber.interruptUnsafe())
fiber.addObserver((exit) => {
  if (Exit.isFailure(exit)) process.exitCode = 1
  if (process.connected) process.disconnect()
})
