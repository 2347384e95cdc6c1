/**
 * The log as this process reads it: the newest events in memory, and the older ones through the index, or by scanning where that
 * does not help. A read begins with a statement in any case, so its answer holds whatever was committed anywhere before
 * it was asked for.
 */
import * as Effect from "effect/Effect"
import type { EventRecord } from "../Event.ts"
import type { CorruptLog, EventStoreErrorReason } from "../EventStoreError.ts"
import { matchesQuery } from "../internal/match.ts"
import type { NormalisedQuery } from "../internal/normaliseQuery.ts"
import type { LogReader, LogReading, Span, StepDown, StepUp, StoredRecord } from "../internal/reading.ts"
import { lastMatch, readPage, toQueryResult } from "../internal/reading.ts"
import type { RecentEvents } from "../internal/RecentEvents.ts"
import type { Candidate, Candidates } from "./candidates.ts"
import { fewCandidates, manyCandidates } from "./candidates.ts"
import type { Database, Rows } from "./Database.ts"
import type { Parameter } from "./driver.ts"
import { EventReader, rowsPerStep } from "./EventReader.ts"
import { Lookups } from "./Lookups.ts"
import { NewestEvents } from "./NewestEvents.ts"
import type { Statements } from "./statements.ts"

/** Beyond every sequence number. */
const noLimit = Number.MAX_SAFE_INTEGER

type Effectful<A> = Effect.Effect<A, EventStoreErrorReason>

/** The matches among the next events of a span, up to and including `position`. */
interface Matches {
  readonly records: ReadonlyArray<EventRecord>
  readonly position: number
}

/** How a query goes about older events; it learns on the way. */
interface Way {
  /** Candidates to ask the index for; `undefined` when there are too many of them. */
  most: number | undefined
  /** Whether the newest events were brought up to date. */
  isUpToDate: boolean
}

export class PostgresLog implements LogReading {
  readonly newest: NewestEvents
  private readonly lookups: Lookups
  private readonly reader: EventReader

  constructor(database: Database, statements: Statements, indexEvery: number) {
    this.newest = new NewestEvents(indexEvery)
    this.reader = new EventReader(database, statements)
    this.lookups = new Lookups(this.newest, this.reader, statements)
  }

  get recent(): RecentEvents {
    return this.newest.recent
  }

  close(): void {
    this.lookups.close()
  }

  /** Reads what is asked for, for ever. */
  get answerLookups(): Effect.Effect<never> {
    return this.lookups.answer
  }

  /** Adds what this process has committed, where that follows what it knows. */
  add(record: EventRecord, batchEnd: number, payloadLength: number): void {
    this.newest.add(record, batchEnd, payloadLength)
  }

  /** Brings the newest events up to date and gives the log's last number. */
  readonly head: Effectful<number> = Effect.suspend(() =>
    Effect.flatMap(this.lookups.catchUp, () => (this.newest.isWhole ? Effect.succeed(this.recent.head) : this.head))
  )

  /** Brings the newest events up to date on a connection that somebody else holds. */
  readNewest<E>(
    ask: (text: string, values: Array<Parameter>) => Effect.Effect<Rows, E>
  ): Effect.Effect<void, E | CorruptLog> {
    return this.lookups.catchUpOn(ask)
  }

  readonly query: LogReading["query"] = Effect.fnUntraced({ self: this }, function* (query) {
    const records: Array<EventRecord> = []
    const way: Way = { most: fewCandidates, isUpToDate: false }
    let position = query.minSequenceNumber
    do {
      const step = yield* this.older(query, way, { after: position, upTo: noLimit })
      for (const record of step.records) records.push(record)
      position = step.position
    } while (position < this.recent.base || !this.newest.isWhole)
    const { head } = this.recent
    for (const record of this.recent.collect(query, { after: position, upTo: head })) records.push(record)
    const earlier =
      records.length > 0 ? null : yield* lastMatch(this.steps, query, Math.min(head, query.minSequenceNumber))
    return toQueryResult(records, earlier, head)
  })

  readonly page: LogReading["page"] = (query, after, limit) =>
    readPage(
      {
        ...this.steps,
        head: Effect.suspend(() => (this.recent.head > after ? Effect.succeed(this.recent.head) : this.head))
      },
      query,
      after,
      limit
    )

  /** Every record of a span that ends at a committed number. */
  between(span: Span): Effectful<ReadonlyArray<StoredRecord>> {
    return this.reader.between(span)
  }

  private readonly steps: LogReader = {
    head: this.head,
    up: (query, span, limit) => this.up(query, span, limit),
    down: (query, span) => this.down(query, span)
  }

  private up(query: NormalisedQuery, span: Span, limit: number): Effectful<StepUp> {
    if (query.filters?.length === 0) return Effect.succeed({ found: [], position: span.upTo })
    // What is asked for is committed, so it comes with the next read.
    if (span.after >= this.recent.head) return Effect.flatMap(this.lookups.catchUp, () => this.up(query, span, limit))
    if (span.after >= this.recent.base) return Effect.succeed(this.recent.up(query, span, limit))
    const upTo = Math.min(span.upTo, this.recent.base)
    return Effect.map(this.reader.scan({ after: span.after, upTo }), (rows) => {
      const found = rows.filter(({ record }) => matchesQuery(query, record))
      return found.length > limit
        ? { found: found.slice(0, limit), position: found[limit - 1]!.record.sequenceNumber }
        : { found, position: span.after + rows.length }
    })
  }

  private readonly down = Effect.fnUntraced(
    { self: this },
    function* (query: NormalisedQuery, span: Span): Effect.fn.Return<StepDown, EventStoreErrorReason> {
      if (query.filters?.length === 0) return { match: undefined, position: span.after }
      const match = this.recent.lastMatch(query, span)
      if (match !== undefined || span.after >= this.recent.base) return { match, position: span.after }
      const older = { after: span.after, upTo: Math.min(span.upTo, this.recent.base) }
      if (query.filters === undefined) return { match: older.upTo, position: older.upTo }
      const candidates = yield* this.lookupAll(query, older)
      if (candidates !== undefined) {
        return { match: yield* this.lastOf(query, candidates), position: span.after }
      }
      const after = Math.max(older.after, older.upTo - rowsPerStep)
      const last = (yield* this.between({ after, upTo: older.upTo })).findLast(({ record }) =>
        matchesQuery(query, record)
      )
      return { match: last?.record.sequenceNumber, position: after }
    }
  )

  /** All candidates of a span before the newest events; `undefined` when they are too many or the index does not help. */
  private readonly lookupAll = Effect.fnUntraced(
    { self: this },
    function* (query: NormalisedQuery, span: Span): Effect.fn.Return<Candidates | undefined, EventStoreErrorReason> {
      const alternatives = this.lookups.alternativesOf(query)
      if (alternatives === undefined) return undefined
      const candidates = yield* this.lookups.ask(alternatives, span, manyCandidates)
      return candidates.isComplete && candidates.upTo >= span.upTo ? candidates : undefined
    }
  )

  /** The last candidate that matches. */
  private readonly lastOf = Effect.fnUntraced(
    { self: this },
    function* (
      query: NormalisedQuery,
      { found }: Candidates
    ): Effect.fn.Return<number | undefined, EventStoreErrorReason> {
      for (let end = found.length; end > 0; end -= fewCandidates) {
        const records = yield* this.recordsOf(found.slice(Math.max(0, end - fewCandidates), end))
        const last = records.findLast((record) => matchesQuery(query, record))
        if (last !== undefined) return last.sequenceNumber
      }
      return undefined
    }
  )

  /** The candidates' events, in their order; those that did not come with the answer are asked for. */
  private recordsOf(candidates: ReadonlyArray<Candidate>): Effectful<ReadonlyArray<EventRecord>> {
    const missing = candidates.flatMap(({ number, record }) => (record === undefined ? [number] : []))
    if (missing.length === 0) return Effect.succeed(candidates.map(({ record }) => record!))
    return Effect.map(this.reader.at(missing), (others) => {
      const ofNumber = new Map(others.map(({ record }) => [record.sequenceNumber, record]))
      return candidates.map(({ number, record }) => record ?? ofNumber.get(number)!)
    })
  }

  /**
   * The next matches before the newest events; the first step is a statement in any case, so that the newest events are up to
   * date after it. From the index first; when there are many candidates, many at once; when there are too many, by scanning.
   */
  private readonly older = Effect.fnUntraced(
    { self: this },
    function* (query: NormalisedQuery, way: Way, span: Span): Effect.fn.Return<Matches, EventStoreErrorReason> {
      const alternatives = way.most === undefined ? undefined : this.lookups.alternativesOf(query)
      if (alternatives !== undefined) {
        way.isUpToDate = true
        const { found, isComplete, upTo } = yield* this.lookups.ask(alternatives, span, way.most!)
        if (isComplete) {
          const records = yield* this.recordsOf(found)
          return { records: records.filter((record) => matchesQuery(query, record)), position: upTo }
        }
        way.most = way.most === fewCandidates ? manyCandidates : undefined
        return { records: [], position: span.after }
      }
      if (!way.isUpToDate) yield* this.lookups.catchUp
      way.isUpToDate = true
      const upTo = Math.min(span.upTo, this.recent.base)
      if (span.after >= upTo) return { records: [], position: span.after }
      const { found, position } = yield* this.up(query, { after: span.after, upTo }, noLimit)
      return { records: found.map(({ record }) => record), position }
    }
  )
}
