/**
 * The log as this process reads it: the newest events in memory, at least those that the index in the database does not hold
 * yet, and the older ones through the index. Reads of a process that come together are one statement, and every statement
 * brings the memory up to date, so an answer holds whatever was committed anywhere before it was asked for.
 */
import * as Effect from "effect/Effect"
import type { EventRecord } from "../Event.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { CorruptLog } from "../EventStoreError.ts"
import { CommitQueue } from "../internal/CommitQueue.ts"
import { matchesQuery } from "../internal/match.ts"
import type { NormalisedQuery } from "../internal/normaliseQuery.ts"
import type { LogReader, LogReading, Span, StepDown, StepUp, StoredRecord } from "../internal/reading.ts"
import { lastMatch, readPage, toQueryResult } from "../internal/reading.ts"
import { RecentEvents } from "../internal/RecentEvents.ts"
import { corrupt, fromRow } from "../internal/rows.ts"
import { int8s } from "./arrays.ts"
import type { Candidates, Lookup } from "./candidates.ts"
import { fewCandidates, lookupColumns, toCandidates } from "./candidates.ts"
import type { Database, Rows } from "./Database.ts"
import { readFailure } from "./driverErrors.ts"
import type { Alternative } from "./keys.ts"
import { alternativesOf } from "./keys.ts"
import type { Statements } from "./statements.ts"

/** Rows of one statement: of a scan, and of the newest events. */
const rowsPerStep = 1_000

/** Candidates that are worth looking up one by one; a query with more of them is read by scanning the log. */
const manyCandidates = 20_000

/** Alternatives in one statement. */
const groupWeight = 1_024

/** Beyond every sequence number. */
const noLimit = Number.MAX_SAFE_INTEGER

type Effectful<A> = Effect.Effect<A, EventStoreErrorReason>

export class PostgresLog implements LogReading {
  recent = new RecentEvents(0)
  /** How far the index reaches, as far as is known. */
  indexedThrough = 0
  /** Kibibytes of payloads that were added since the index was last written. */
  unindexedPayloads = 0
  private hasPartlyIndexed = false
  private readonly lookups = new CommitQueue<Lookup, Candidates>()
  private readonly database: Database
  private readonly statements: Statements
  private readonly indexEvery: number

  constructor(database: Database, statements: Statements, indexEvery: number) {
    this.database = database
    this.statements = statements
    this.indexEvery = indexEvery
  }

  close(): void {
    this.lookups.close()
  }

  /** Adds what this process has committed, where that follows what it knows. */
  add(record: EventRecord, batchEnd: number, payloadLength: number): void {
    if (record.sequenceNumber !== this.recent.head + 1) return
    this.recent.add(record, batchEnd, payloadLength)
    this.unindexedPayloads += payloadLength / 1_024
    this.recent.rotate(this.indexEvery, this.indexedThrough)
  }

  /** Takes note of how far the index reaches. */
  indexed(through: number): void {
    if (through <= this.indexedThrough) return
    this.indexedThrough = through
    this.unindexedPayloads = 0
  }

  /** Brings the newest events up to date and gives the log's last number. */
  readonly head: Effectful<number> = Effect.suspend(() =>
    Effect.map(this.lookup([], { after: 0, upTo: 0 }, fewCandidates), () => this.recent.head)
  )

  readonly query: LogReading["query"] = (query) =>
    Effect.gen({ self: this }, function* () {
      const records: Array<EventRecord> = []
      const older = this.olderSteps(query)
      let position = query.minSequenceNumber
      do {
        const step = yield* older({ after: position, upTo: noLimit })
        for (const { record } of step.found) records.push(record)
        position = step.position
      } while (position < this.recent.base)
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

  /** The record of a number up to the head that is known. */
  at(number: number): Effectful<StoredRecord> {
    return Effect.map(this.recordsAt([number]), ([stored]) => stored!)
  }

  /** Every record of a span that ends at a committed number. */
  between(span: Span): Effectful<ReadonlyArray<StoredRecord>> {
    return Effect.gen({ self: this }, function* () {
      const stored: Array<StoredRecord> = []
      while (span.after + stored.length < span.upTo) {
        const rows = yield* this.scan({ after: span.after + stored.length, upTo: span.upTo })
        for (const row of rows) stored.push(row)
      }
      return stored
    })
  }

  private readonly steps: LogReader = {
    head: this.head,
    up: (query, span, limit) => this.up(query, span, limit),
    down: (query, span) => this.down(query, span)
  }

  private up(query: NormalisedQuery, span: Span, limit: number): Effectful<StepUp> {
    if (query.filters?.length === 0) return Effect.succeed({ found: [], position: span.upTo })
    if (span.after >= this.recent.base) return Effect.succeed(this.recent.up(query, span, limit))
    const upTo = Math.min(span.upTo, this.recent.base)
    return Effect.map(this.scan({ after: span.after, upTo }), (rows) => {
      const found = rows.filter(({ record }) => matchesQuery(query, record))
      return found.length > limit
        ? { found: found.slice(0, limit), position: found[limit - 1]!.record.sequenceNumber }
        : { found, position: span.after + rows.length }
    })
  }

  private down(query: NormalisedQuery, span: Span): Effectful<StepDown> {
    return Effect.gen({ self: this }, function* () {
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
    })
  }

  /** All candidates of a span before the newest events; `undefined` when they are too many or the index does not help. */
  private lookupAll(query: NormalisedQuery, span: Span): Effectful<Candidates | undefined> {
    return Effect.gen({ self: this }, function* () {
      const alternatives = alternativesOf(query, this.hasPartlyIndexed)
      if (alternatives === undefined) return undefined
      const candidates = yield* this.lookup(alternatives, span, manyCandidates)
      return candidates.isComplete && candidates.upTo >= span.upTo ? candidates : undefined
    })
  }

  private matching(query: NormalisedQuery, { found, upTo }: Candidates): Effectful<StepUp> {
    const missing = found.flatMap(({ number, stored }) => (stored === undefined ? [number] : []))
    const read = missing.length === 0 ? Effect.succeed([]) : this.recordsAt(missing)
    return Effect.map(read, (others) => {
      const ofNumber = new Map(others.map((stored) => [stored.record.sequenceNumber, stored]))
      const all = found.map(({ number, stored }) => stored ?? ofNumber.get(number)!)
      return { found: all.filter(({ record }) => matchesQuery(query, record)), position: upTo }
    })
  }

  private lastOf(query: NormalisedQuery, { found }: Candidates): Effectful<number | undefined> {
    return Effect.gen({ self: this }, function* () {
      for (let end = found.length; end > 0; end -= fewCandidates) {
        const some = found.slice(Math.max(0, end - fewCandidates), end)
        const missing = some.filter(({ stored }) => stored === undefined).map(({ number }) => number)
        const stored = [...some.flatMap((it) => it.stored ?? []), ...(yield* this.recordsAt(missing))]
        const matches = stored
          .filter(({ record }) => matchesQuery(query, record))
          .map(({ record }) => record.sequenceNumber)
        if (matches.length > 0) return Math.max(...matches)
      }
      return undefined
    })
  }

  /**
   * Steps through the matches before the newest events; the first step is a statement in any case, so that the newest events
   * are up to date after it. From the index first; when there are many candidates, many at once; when there are too many, by
   * scanning.
   */
  private olderSteps(query: NormalisedQuery): (span: Span) => Effectful<StepUp> {
    let most: number | undefined = fewCandidates
    let isFirst = true
    return (span) =>
      Effect.gen({ self: this }, function* () {
        const alternatives = most === undefined ? undefined : alternativesOf(query, this.hasPartlyIndexed)
        if (alternatives !== undefined) {
          isFirst = false
          const candidates = yield* this.lookup(alternatives, span, most!)
          if (candidates.isComplete) return yield* this.matching(query, candidates)
          most = most === fewCandidates ? manyCandidates : undefined
          return { found: [], position: span.after }
        }
        if (isFirst) yield* this.head
        isFirst = false
        const upTo = Math.min(span.upTo, this.recent.base)
        return span.after >= upTo
          ? { found: [], position: span.after }
          : yield* this.up(query, { after: span.after, upTo }, noLimit)
      })
  }

  /** The next rows of the span, every one of them, as many as fit into a step. */
  private scan(span: Span): Effectful<ReadonlyArray<StoredRecord>> {
    const upTo = Math.min(span.upTo, span.after + rowsPerStep)
    return this.rowsOf(this.statements.scan, [span.after, upTo], (rows) => {
      if (rows.length === 0) corrupt(span.after + 1, "the event is missing")
      const stored: Array<StoredRecord> = []
      for (const row of rows) {
        const number = span.after + 1 + stored.length
        if (isCutOff(row, 0, number, stored.length === 0)) break
        stored.push(fromRow(row, number))
      }
      return stored
    })
  }

  private recordsAt(numbers: ReadonlyArray<number>): Effectful<ReadonlyArray<StoredRecord>> {
    return Effect.gen({ self: this }, function* () {
      const stored: Array<StoredRecord> = []
      while (stored.length < numbers.length) {
        const wanted = numbers.slice(stored.length, stored.length + rowsPerStep)
        const read = this.rowsOf(this.statements.at, [int8s(wanted)], (rows) => {
          for (const [index, row] of rows.entries()) {
            if (isCutOff(row, 0, wanted[index]!, index === 0)) break
            stored.push(fromRow(row, wanted[index]!))
          }
        })
        yield* read
      }
      return stored
    })
  }

  private rowsOf<A>(statement: Statements["scan"], values: Array<unknown>, parse: (rows: Rows) => A): Effectful<A> {
    return this.database.read("read events", statement, values).pipe(
      Effect.mapError((failure) =>
        failure._tag === "StoreUnavailable" ? failure : readFailure(failure, "read events")
      ),
      Effect.flatMap((rows) => parsed(() => parse(rows)))
    )
  }

  /** Asks the index, together with others who ask at the moment, and brings the newest events up to date. */
  private lookup(alternatives: ReadonlyArray<Alternative>, span: Span, most: number): Effectful<Candidates> {
    const request: Lookup = { alternatives, withPartly: this.hasPartlyIndexed, span, most }
    return this.lookups.submit(request, Math.max(1, alternatives.length))
  }

  /** A reader: takes what waits, reads it, answers, for ever. */
  readonly answerLookups: Effect.Effect<never> = Effect.gen({ self: this }, function* () {
    while (true) {
      yield* this.lookups.nonEmpty
      yield* Effect.yieldNow
      const group = this.lookups.take(groupWeight)
      if (group.length === 0) continue
      const answers = yield* Effect.exit(this.readGroup(group.map(({ request }) => request)))
      for (const [index, { answer }] of group.entries()) {
        answer(Effect.map(answers, (candidates) => candidates[index]!))
      }
    }
  })

  private readGroup(group: ReadonlyArray<Lookup>): Effectful<ReadonlyArray<Candidates>> {
    return Effect.gen({ self: this }, function* () {
      const answers = yield* this.readOnce(group)
      while (answers.head > this.recent.head) yield* this.readOnce([])
      return answers.candidates
    })
  }

  /** Brings the newest events up to date on a connection that somebody else holds. */
  readNewest<E>(
    ask: (text: string, values: Array<unknown>) => Effect.Effect<Rows, E>
  ): Effect.Effect<void, E | CorruptLog> {
    return Effect.gen({ self: this }, function* () {
      for (let head = Number.POSITIVE_INFINITY; head > this.recent.head;) {
        const { base, head: known } = this.recent
        const rows = yield* ask(this.statements.read.text, [known, base, rowsPerStep, ...lookupColumns([])])
        head = (yield* parsed(() => this.takeNewest(rows, known))).head
      }
    })
  }

  private readOnce(
    group: ReadonlyArray<Lookup>
  ): Effectful<{ readonly head: number; readonly candidates: ReadonlyArray<Candidates> }> {
    const { base, head } = this.recent
    return this.rowsOf(this.statements.read, [head, base, rowsPerStep, ...lookupColumns(group)], (rows) => {
      const state = this.takeNewest(rows, head)
      const covered = state.through > head ? state.through : base
      const isStale = state.hasPartly && !this.hasPartlyIndexed
      this.hasPartlyIndexed ||= state.hasPartly
      return { head: state.head, candidates: toCandidates(group, rows, covered, isStale) }
    })
  }

  /** Takes over the rows that say what is new since `knownHead`. */
  private takeNewest(rows: Rows, knownHead: number) {
    const [head, partly, through, lastEnd] = [1, 4, 8, 9].map((column) => Number(rows[0]![column])) as Four
    if (head < knownHead || head < through || lastEnd !== head) corrupt(head + 1, "the log ends before it")
    this.indexed(through)
    if (through > this.recent.head) this.recent = new RecentEvents(through)
    let expected = Math.max(knownHead, through) + 1
    if (head >= expected && rows[1]?.[0] !== "1") corrupt(expected, "the event is missing")
    for (let index = 1; index < rows.length && rows[index]![0] === "1"; index++, expected++) {
      if (isCutOff(rows[index]!, 1, expected, index === 1)) break
      const { batchEnd, payloadLength, record } = fromRow(rows[index]!, expected, 1)
      this.add(record, batchEnd, payloadLength)
    }
    return { head, through, hasPartly: partly === 1 }
  }
}

type Four = [number, number, number, number]

/** What the parser throws is the store's own reason. */
const parsed = <A>(parse: () => A): Effect.Effect<A, CorruptLog> =>
  Effect.try({
    try: parse,
    catch: (thrown) => {
      if (thrown instanceof CorruptLog) return thrown
      throw thrown
    }
  })

/** A row that is there, without its payload: the rows before it were enough for one answer. The first one has its payload. */
const isCutOff = (row: ReadonlyArray<string | null>, offset: number, number: number, isFirst: boolean): boolean => {
  const hasNone = row[offset] !== null && row[offset + 4] === null
  return hasNone && isFirst ? corrupt(number, "it has no payload") : hasNone
}
