/** What every store does to commit an append, once it holds the lock: check the condition, number and stamp the events. */
import * as Result from "effect/Result"
import type { EventRecord } from "../Event.ts"
import type { AppendResult } from "../EventStore.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { ConditionalAppendConflict, SequenceLimit } from "../EventStoreError.ts"
import type { NormalisedEvent } from "./normaliseEvents.ts"
import { findGivenId, givenIds } from "./normaliseEvents.ts"
import type { NormalisedQuery } from "./normaliseQuery.ts"
import type { Span } from "./reading.ts"
import type { AppendCondition, AppendRequest } from "./StoreBackend.ts"

/** A log as far as the check of a condition needs it. */
export interface ContextSource {
  readonly head: number
  /** The highest number in the span that matches; `undefined` when none does. */
  readonly lastMatch: (query: NormalisedQuery, span: Span) => number | undefined
  readonly collect: (query: NormalisedQuery, span: Span) => ReadonlyArray<EventRecord>
  /** Those of the ids that events of the log have. */
  readonly knownIds: (eventIds: ReadonlyArray<string>) => ReadonlySet<string>
}

/**
 * The conflict, or `undefined` when the condition holds (C1). Numbers are commit-ordered, so where the caller vouches for
 * the version up to a head, only what came after that head can have changed it.
 */
const checkCondition = (source: ContextSource, condition: AppendCondition): ConditionalAppendConflict | undefined => {
  const { query, expected, conflictTail, revise } = condition
  const seenHead = trustedHead(condition, source.head)
  const newer = source.lastMatch(query, { after: seenHead ?? 0, upTo: source.head })
  const actual = newer ?? (seenHead === undefined ? null : expected)
  if (actual === expected) return undefined
  const after = condition.seenHead ?? expected ?? 0
  return ConditionalAppendConflict.withTail(
    { expected, actual, headSequenceNumber: source.head },
    conflictTail || revise !== undefined ? source.collect(query, { after, upTo: source.head }) : undefined
  )
}

/** A head that lies before the expected version or past the log's end says nothing: the whole context is looked up. */
const trustedHead = ({ seenHead, expected }: AppendCondition, head: number): number | undefined =>
  seenHead !== undefined && seenHead >= (expected ?? 0) && seenHead <= head ? seenHead : undefined

/**
 * The batches to commit, once the lock is held: those of the request, or what its revision makes of a conflict. Checked in
 * the contract's order: ids, context, the log's last number.
 */
export const admit = (
  source: ContextSource,
  { batches, condition, pathOf }: AppendRequest
): Result.Result<ReadonlyArray<ReadonlyArray<NormalisedEvent>>, EventStoreErrorReason> => {
  const given = givenIds(batches)
  if (given.length > 0) {
    const known = source.knownIds(given)
    const taken = findGivenId(batches, pathOf, (eventId) => known.has(eventId))
    if (taken !== undefined) return Result.fail(taken)
  }
  const conflict = condition === undefined ? undefined : checkCondition(source, condition)
  if (conflict === undefined) return withinSequenceLimit(source.head, batches)
  const revised = condition!.revise?.(conflict)
  if (revised === undefined) return Result.fail(conflict)
  return Result.flatMap(revised, (instead) => admit(source, { batches: instead, condition: undefined, pathOf }))
}

const withinSequenceLimit = (
  head: number,
  batches: AppendRequest["batches"]
): Result.Result<AppendRequest["batches"], SequenceLimit> => {
  const count = batches.reduce((sum, batch) => sum + batch.length, 0)
  return head > Number.MAX_SAFE_INTEGER - count
    ? Result.fail(new SequenceLimit({ headSequenceNumber: head }))
    : Result.succeed(batches)
}

/** Numbers and stamps the events of one batch, starting after `head`. */
export const record = (batch: ReadonlyArray<NormalisedEvent>, head: number, occurredAt: number): AppendResult => {
  const eventRecords = batch.map((event, index): EventRecord => toRecord(event, head + 1 + index, occurredAt))
  return {
    firstSequenceNumber: head + 1,
    lastSequenceNumber: head + batch.length,
    committedCount: batch.length,
    commitId: batch[0]!.eventId,
    eventRecords: Object.freeze(eventRecords)
  }
}

const toRecord = (event: NormalisedEvent, sequenceNumber: number, occurredAt: number): EventRecord =>
  Object.freeze({
    sequenceNumber,
    eventId: event.eventId,
    eventType: event.eventType,
    schemaVersion: event.schemaVersion,
    payload: event.payload,
    tags: event.tags,
    metadata: event.metadata,
    occurredAt
  })
