/** A store whose calls wait for their turn and are written into the journal of the run. */
import * as Effect from "effect/Effect"
import type { NewEvent } from "../../stores/Event.ts"
import * as EventQuery from "../../stores/EventQuery.ts"
import type { AppendBatchesIfOptions, AppendResult, EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import type { Appended, Came, Read, Step } from "./History.ts"
import { commandEntry } from "./History.ts"
import type { Turns } from "./Turns.ts"

/** What has happened so far. */
export class Journal {
  readonly steps: Array<Step> = []
  /** The contexts of the commands that are not answered, by process. */
  private readonly contexts = new Map<number, { readonly process: number; readonly context: string | undefined }>()

  /** The number of the step, from 0. */
  add(step: Step): number {
    return this.steps.push(step) - 1
  }

  opened(id: number, process: number, context: string | undefined): void {
    this.contexts.set(id, { process, context })
  }

  closed(id: number): void {
    this.contexts.delete(id)
  }

  /** The commands of the process that wait for this context. */
  waitingFor(process: number, query: EventQuery.EventQuery): ReadonlyArray<number> {
    const context = EventQuery.canonical(query)
    return [...this.contexts].flatMap(([id, it]) => (it.process === process && it.context === context ? [id] : []))
  }
}

/** Whose calls are watched, and how. */
export interface Watching {
  readonly journal: Journal
  readonly turns: Turns
  readonly process: number
  /** Whether decisions may be revised under the store's lock; conflicts come back otherwise. */
  readonly revises: boolean
  /** The command that all calls are for, where it is known. */
  readonly id: number | undefined
}

/** The store as a process sees it. What is not listed here goes to the store as it is. */
export const watchedStore = (store: EventStore, watching: Watching): EventStore => {
  const { process, revises } = watching
  return {
    ...store,
    query: (query = EventQuery.all) =>
      watched(watching, store.query(query), (came): Read => {
        const ids = watching.id === undefined ? watching.journal.waitingFor(process, query) : [watching.id]
        return { _tag: "Read", process, ids, query, came }
      }),
    append: (events, options) =>
      watched(watching, Effect.map(store.append(events, options), only), (came): Appended => ({
        _tag: "Appended",
        process,
        ids: idsOf(watching, [events]),
        expected: undefined,
        revisedAt: undefined,
        came
      })).pipe(Effect.map(first)),
    appendIf: (events, context, expected, options) =>
      watched(watching, Effect.map(store.appendIf(events, context, expected, options), only), (came): Appended => ({
        _tag: "Appended",
        process,
        ids: idsOf(watching, [events]),
        expected,
        revisedAt: undefined,
        came
      })).pipe(Effect.map(first)),
    appendBatchesIf: (batches, context, expected, options) =>
      Effect.suspend(() => {
        let revisedAt: number | null | undefined
        const revise: AppendBatchesIfOptions["revise"] = (conflict) => {
          const revised = options?.revise?.(conflict)
          if (revised !== undefined) revisedAt = conflict.actual
          return revised
        }
        const call = store.appendBatchesIf(batches, context, expected, {
          ...options,
          revise: revises && options?.revise !== undefined ? revise : undefined
        })
        const ids = idsOf(watching, batches)
        return watched(watching, call, (came): Appended => ({
          _tag: "Appended",
          process,
          ids,
          expected,
          revisedAt,
          came
        }))
      })
  }
}

const only = (result: AppendResult): ReadonlyArray<AppendResult> => [result]
const first = (results: ReadonlyArray<AppendResult>): AppendResult => results[0]!

const idsOf = ({ id }: Watching, batches: ReadonlyArray<ReadonlyArray<NewEvent>>): ReadonlyArray<number> => {
  const ids = batches.flatMap((events) => events.map(({ metadata }) => Number(metadata?.[commandEntry] ?? id)))
  return [...new Set(ids)].filter((known) => !Number.isNaN(known))
}

/** Waits for its turn and makes the call. It is one step; two where the call lets others go first in its middle. */
const watched = <A>(
  { journal, turns }: Watching,
  call: Effect.Effect<A, EventStoreError>,
  step: (came: Came<A> | undefined) => Step
): Effect.Effect<A, EventStoreError> =>
  Effect.suspend(() => {
    let isUnderWay = false
    const onYield = () => {
      if (!isUnderWay) journal.add(step(undefined))
      isUnderWay = true
    }
    return turns.call(call, onYield).pipe(
      Effect.tap((value) => Effect.sync(() => journal.add(step({ _tag: "Gave", value })))),
      Effect.tapError((error) => Effect.sync(() => journal.add(step({ _tag: "Refused", error }))))
    )
  })
