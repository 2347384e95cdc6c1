/**
 * `FaultyStore`: an event store that has faults by plan on top of one that has none: conflicts, delays, lost answers,
 * unavailability. For finding out what an application, a dispatcher or a projection makes of them.
 *
 * Appends, queries, registrations of streams, live and durable, and deliveries to their handlers can be struck. What a
 * stream reads by itself cannot: that happens inside of the store. Members that are not listed here, such as the workspace,
 * pass through.
 */
import { randomUUID } from "node:crypto"
import * as Effect from "effect/Effect"
import * as EventQuery from "../../stores/EventQuery.ts"
import type { AppendIfOptions, AppendResult, EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import { CommitUnknown, ConditionalAppendConflict, fromReason, StoreUnavailable } from "../../stores/EventStoreError.ts"
import type { BatchHandler } from "../../stores/EventStream.ts"
import type { AppendFault, Delay, DeliveryFault, Fault, ReadFault } from "./Fault.ts"
import type { Call, Choice, FaultPlan } from "./FaultPlan.ts"

export * from "./Fault.ts"
export * from "./FaultPlan.ts"

/** A fault that has struck. */
export interface Struck {
  readonly call: Call
  readonly fault: Fault
}

/** A store with faults, and those that have struck so far. */
export interface FaultyStore extends EventStore {
  readonly struck: ReadonlyArray<Struck>
}

/** The store with the faults of the plan. */
export const make = (store: EventStore, plan: FaultPlan): FaultyStore => {
  const struck: Array<Struck> = []
  const column = <F extends Fault>(choice: Choice<F> | undefined) => {
    let calls = 0
    return (operation: Call["operation"], query: EventQuery.EventQuery | undefined): F | undefined => {
      const call = { nth: ++calls, operation, query }
      const fault = choice?.(call)
      if (fault !== undefined) struck.push({ call, fault })
      return fault
    }
  }
  const ofAppend = column(plan.appends)
  const ofQuery = column(plan.queries)
  const ofRegistration = column(plan.registrations)
  const ofDelivery = column(plan.deliveries)
  const reading = <A, R>(fault: ReadFault | undefined, read: Effect.Effect<A, EventStoreError, R>) =>
    fault === undefined ? read : struckRead(fault, read)
  const faultyHandler =
    <E, R>(
      handler: BatchHandler<E, R>,
      query: EventQuery.EventQuery | undefined
    ): BatchHandler<E | EventStoreError, R> =>
    (batch) =>
      Effect.suspend(() => {
        const fault = ofDelivery("delivery", query)
        return fault === undefined ? handler(batch) : struckDelivery(fault, handler(batch))
      })
  return {
    ...store,
    struck,
    query: (query) => Effect.suspend(() => reading(ofQuery("query", query), store.query(query))),
    append: (events, options) =>
      Effect.suspend(() => {
        const fault = ofAppend("append", undefined)
        const append = store.append(events, options)
        return fault === undefined ? append : struckAppend(store, fault, append, (result) => result, undefined)
      }),
    appendIf: (events, query, expected, options) =>
      Effect.suspend(() => {
        const fault = ofAppend("appendIf", query)
        const append = store.appendIf(events, query, expected, options)
        const condition = { query, expected, options }
        return fault === undefined ? append : struckAppend(store, fault, append, (result) => result, condition)
      }),
    appendBatchesIf: (batches, query, expected, options) =>
      Effect.suspend(() => {
        const fault = ofAppend("appendBatchesIf", query)
        const append = store.appendBatchesIf(batches, query, expected, options)
        const condition = { query, expected, options }
        return fault === undefined ? append : struckAppend(store, fault, append, (results) => results[0], condition)
      }),
    streamAll: (handler, options) =>
      Effect.suspend(() =>
        reading(ofRegistration("streamAll", undefined), store.streamAll(faultyHandler(handler, undefined), options))
      ),
    streamTo: (query, handler, options) =>
      Effect.suspend(() =>
        reading(ofRegistration("streamTo", query), store.streamTo(query, faultyHandler(handler, query), options))
      ),
    streamAllDurable: (stream, handler, options) =>
      Effect.suspend(() => {
        const registered = store.streamAllDurable(stream, faultyHandler(handler, undefined), options)
        return reading(ofRegistration("streamAllDurable", undefined), registered)
      }),
    streamToDurable: (stream, query, handler, options) =>
      Effect.suspend(() => {
        const registered = store.streamToDurable(stream, query, faultyHandler(handler, query), options)
        return reading(ofRegistration("streamToDurable", query), registered)
      })
  }
}

interface Condition {
  readonly query: EventQuery.EventQuery
  readonly expected: number | null
  readonly options: AppendIfOptions | undefined
}

const struckAppend = <A>(
  store: EventStore,
  fault: AppendFault,
  append: Effect.Effect<A, EventStoreError>,
  firstOf: (answer: A) => AppendResult | undefined,
  condition: Condition | undefined
): Effect.Effect<A, EventStoreError> => {
  switch (fault._tag) {
    case "Failure":
      return Effect.fail(fromReason(fault.reason))
    case "Delay":
      return late(fault, append)
    case "Overtaken":
      return Effect.andThen(store.append(fault.events), append)
    case "Conflict":
      return condition === undefined ? append : refused(store, condition)
    case "LostAnswer": {
      const unknown = (commitId: string) => Effect.fail(fromReason(new CommitUnknown({ commitId })))
      if (!fault.committed) return Effect.suspend(() => unknown(randomUUID()))
      return Effect.matchEffect(append, {
        onFailure: () => unknown(randomUUID()),
        onSuccess: (answer) => unknown(firstOf(answer)?.commitId ?? randomUUID())
      })
    }
  }
}

/** The conflict, with what the context holds now. */
const refused = (store: EventStore, { expected, options, query }: Condition): Effect.Effect<never, EventStoreError> => {
  const seen = options?.headSequenceNumber ?? expected ?? 0
  return Effect.flatMap(store.query(EventQuery.after(query, seen)), (context) =>
    Effect.fail(
      fromReason(
        ConditionalAppendConflict.withTail(
          { expected, actual: context.currentContextVersion, headSequenceNumber: context.headSequenceNumber ?? 0 },
          options?.conflictTail === true ? context.eventRecords : undefined
        )
      )
    )
  )
}

const struckRead = <A, R>(
  fault: ReadFault,
  read: Effect.Effect<A, EventStoreError, R>
): Effect.Effect<A, EventStoreError, R> =>
  fault._tag === "Delay" ? late(fault, read) : Effect.fail(fromReason(fault.reason))

const struckDelivery = <E, R>(
  fault: DeliveryFault,
  handled: Effect.Effect<unknown, E, R>
): Effect.Effect<unknown, E | EventStoreError, R> => {
  switch (fault._tag) {
    case "Failure":
      return Effect.fail(fromReason(fault.reason))
    case "Delay":
      return late(fault, handled)
    case "LostSuccess":
      return Effect.andThen(
        handled,
        Effect.fail(
          fromReason(new StoreUnavailable({ code: "FAULT", operation: "note the delivery", retryable: true }))
        )
      )
  }
}

const late = <A, E, R>({ after, before }: Delay, call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  call.pipe(Effect.delay(before), Effect.tap(Effect.sleep(after)))
