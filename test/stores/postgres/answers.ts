/**
 * What calls were answered, held against what the log holds: a success is there once and as it was answered, a failure that
 * says so left nothing behind, an unknown outcome left one copy at the most, and nothing else is there (A1, A2, A3, I2).
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { expect } from "vitest"
import type { NewEvent } from "../../../src/stores/Event.ts"
import type { AppendResult, EventStore } from "../../../src/stores/EventStore.ts"
import type { EventStoreErrorReason } from "../../../src/stores/EventStoreError.ts"
import { EventStoreError } from "../../../src/stores/EventStoreError.ts"
import { event, inTime, range } from "../../../src/testing/conformance/expectations.ts"
import type { RawQuery } from "../../support/postgres.ts"

/** A call that has been answered. */
export interface Answered {
  readonly name: string
  /** How many events it appends. */
  readonly size: number
  readonly exit: Exit.Exit<AppendResult, EventStoreError>
}

/** The events of a call, by whose payload it is recognised. */
export const eventsOf = (name: string, size = 2, tags: ReadonlyArray<string> = []): ReadonlyArray<NewEvent> =>
  range(1, size).map((part) => event("Called", { call: name, part }, tags))

/** Makes the call and keeps its answer; it has to come in time. */
export const answered = (
  name: string,
  size: number,
  call: Effect.Effect<AppendResult, EventStoreError>
): Effect.Effect<Answered> => Effect.map(Effect.exit(inTime(call, name)), (exit) => ({ name, size, exit }))

/** Appends the call's events. */
export const appended = (store: EventStore, name: string, size = 2): Effect.Effect<Answered> =>
  answered(name, size, store.append(eventsOf(name, size)))

/** Why a call failed; `undefined` when it succeeded. Anything but a typed failure fails the test. */
export const reasonOf = ({ exit, name }: Answered): EventStoreErrorReason | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const [failure] = exit.cause.reasons
  if (failure?._tag === "Fail" && failure.error instanceof EventStoreError) return failure.error.reason
  throw new Error(`${name} ended with something else than a typed failure: ${String(exit.cause)}`)
}

/** A stored batch, read past every store. */
interface StoredBatch {
  readonly name: string
  readonly first: number
  readonly last: number
  readonly parts: ReadonlyArray<number>
  readonly commitId: string
}

interface Row {
  readonly number: string
  readonly end: string
  readonly id: string
  readonly payload: string
}

/** The batches of the log in `schema`, whose numbers have no gap. */
export const storedBatches = (query: RawQuery, schema: string) =>
  Effect.gen(function* () {
    const rows = yield* query<Row>(
      `SELECT sequence_number AS number, batch_end AS end, event_id AS id, payload FROM "${schema}".events ORDER BY 1`
    )
    expect(rows.map(({ number }) => Number(number))).toEqual(range(1, rows.length))
    const batches: Array<StoredBatch> = []
    for (let at = 0; at < rows.length;) {
      const last = Number(rows[at]!.end)
      const batch = rows.slice(at, last)
      const contents = batch.map(
        ({ payload }) => JSON.parse(payload) as { readonly call: string; readonly part: number }
      )
      expect(batch.every(({ end }) => Number(end) === last)).toBe(true)
      expect(new Set(contents.map(({ call }) => call)).size).toBe(1)
      const parts = contents.map(({ part }) => part)
      batches.push({ name: contents[0]!.call, first: at + 1, last, parts, commitId: batch[0]!.id })
      at = last
    }
    return batches
  })

/** Expects the log to bear out every answer, and to hold nothing else. */
export const expectTrueAnswers = (query: RawQuery, schema: string, calls: ReadonlyArray<Answered>) =>
  Effect.gen(function* () {
    const batches = yield* storedBatches(query, schema)
    const problems: Array<string> = []
    for (const call of calls) {
      const found = batches.filter(({ name }) => name === call.name)
      const problem = problemOf(call, found)
      if (problem !== undefined) problems.push(`${call.name}: ${problem}`)
    }
    const names = new Set(calls.map(({ name }) => name))
    for (const { name } of batches) if (!names.has(name)) problems.push(`${name}: nobody appended it`)
    expect(problems).toEqual([])
  })

const problemOf = (call: Answered, found: ReadonlyArray<StoredBatch>): string | undefined => {
  const { exit, size } = call
  if (found.some(({ parts }) => parts.join() !== range(1, size).join())) return "stored in parts"
  if (found.length > 1) return `stored ${found.length} times`
  const reason = reasonOf(call)
  if (reason !== undefined) {
    return found.length === 1 && !reason.mayHaveCommitted ? `failed with ${reason._tag}, and is stored` : undefined
  }
  const [stored] = found
  if (stored === undefined) return "succeeded, and is not stored"
  const { commitId, committedCount, firstSequenceNumber, lastSequenceNumber } = Exit.isSuccess(exit)
    ? exit.value
    : ({} as AppendResult)
  const isTrue =
    commitId === stored.commitId &&
    committedCount === size &&
    firstSequenceNumber === stored.first &&
    lastSequenceNumber === stored.last
  return isTrue ? undefined : "succeeded with another result than what is stored"
}
