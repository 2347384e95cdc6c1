/**
 * What every store does to commit an append, once it holds the lock: look for the key, check ids and condition, number and
 * stamp the events.
 */
import * as Result from "effect/Result"
import type { EventRecord } from "../Event.ts"
import type { AppendResult } from "../EventStore.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { ConditionalAppendConflict, IdempotencyMismatch, SequenceLimit } from "../EventStoreError.ts"
import { frozenRecord } from "./frozenRecord.ts"
import type { Idempotency } from "./idempotency.ts"
import type { NormalisedEvent } from "./normaliseEvents.ts"
import { findGivenId, givenIds } from "./normaliseEvents.ts"
import type { NormalisedQuery } from "./normaliseQuery.ts"
import { everything } from "./normaliseQuery.ts"
import type { Span } from "./reading.ts"
import type { AppendCondition, AppendRequest } from "./StoreBackend.ts"

/** The committed append that an idempotency key stands for: its content and its range. */
export interface KnownKey {
  readonly fingerprint: string
  readonly firstSequenceNumber: number
  readonly lastSequenceNumber: number
}

/** A log as far as the checks of an append need it. */
export interface ContextSource {
  readonly head: number
  /** The highest number in the span that matches; `undefined` when none does. */
  readonly lastMatch: (query: NormalisedQuery, span: Span) => number | undefined
  readonly collect: (query: NormalisedQuery, span: Span) => ReadonlyArray<EventRecord>
  /** Those of the ids that events of the log have. */
  readonly knownIds: (eventIds: ReadonlyArray<string>) => ReadonlySet<string>
  /** What was committed under the key, which is a range of this log; `undefined` where nothing was. */
  readonly findKey: (key: string) => KnownKey | undefined
}

/** The answer to an append that was committed before under its key: the first result, and nothing to commit (I1). */
export class Repeated {
  readonly results: ReadonlyArray<AppendResult>

  constructor(results: ReadonlyArray<AppendResult>) {
    this.results = results
  }
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

/** The first result, where the key is known; `undefined` where it is new. */
const findRepeated = (
  source: ContextSource,
  { key, fingerprint }: Idempotency
): Result.Result<Repeated, IdempotencyMismatch> | undefined => {
  const known = source.findKey(key)
  if (known === undefined) return undefined
  if (known.fingerprint !== fingerprint) return Result.fail(new IdempotencyMismatch({ idempotencyKey: key }))
  const span = { after: known.firstSequenceNumber - 1, upTo: known.lastSequenceNumber }
  return Result.succeed(new Repeated([toResult(source.collect(everything, span))]))
}

/**
 * The batches to commit, once the lock is held: those of the request, or what its revision makes of a conflict; or the
 * answer to a repetition. Checked in the contract's order: key, ids, context, the log's last number. The key comes first,
 * because a repetition finds its own ids in the log and its context changed by the first copy.
 */
export const admit = (
  source: ContextSource,
  { batches, condition, idempotency, pathOf }: AppendRequest
): Result.Result<AppendRequest["batches"] | Repeated, EventStoreErrorReason> => {
  const repeated = idempotency === undefined ? undefined : findRepeated(source, idempotency)
  if (repeated !== undefined) return repeated
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
  return Result.flatMap(revised, (instead) =>
    admit(source, { batches: instead, condition: undefined, idempotency: undefined, pathOf })
  )
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
export const record = (batch: ReadonlyArray<NormalisedEvent>, head: number, occurredAt: number): AppendResult =>
  toResult(batch.map((event, index): EventRecord => toRecord(event, head + 1 + index, occurredAt)))

/** The result of the append that recorded these, which are all of its records. */
export const toResult = (eventRecords: ReadonlyArray<EventRecord>): AppendResult => ({
  firstSequenceNumber: eventRecords[0]!.sequenceNumber,
  lastSequenceNumber: eventRecords[eventRecords.length - 1]!.sequenceNumber,
  committedCount: eventRecords.length,
  commitId: eventRecords[0]!.eventId,
  eventRecords: Object.freeze(eventRecords)
})

const toRecord = (event: NormalisedEvent, sequenceNumber: number, occurredAt: number): EventRecord =>
  frozenRecord({
    sequenceNumber,
    eventId: event.eventId,
    eventType: event.eventType,
    schemaVersion: event.schemaVersion,
    payload: event.payload,
    tags: event.tags,
    metadata: event.metadata,
    occurredAt
  })
