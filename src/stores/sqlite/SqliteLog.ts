/**
 * The log in the database, in synchronous steps: reading, and the group commit. The steps of one process never interleave;
 * other processes are seen by `refresh`, which every step begins with.
 */
import type { Database, Statement } from "better-sqlite3"
import type { EventRecord } from "../Event.ts"
import type { AppendResult } from "../EventStore.ts"
import type { KnownKey } from "../internal/appending.ts"
import type { Idempotency } from "../internal/idempotency.ts"
import { isFingerprint } from "../internal/idempotency.ts"
import type { NormalisedQuery } from "../internal/normaliseQuery.ts"
import { everything } from "../internal/normaliseQuery.ts"
import { matchesQuery } from "../internal/match.ts"
import type { Span, StepDown, StepUp } from "../internal/reading.ts"
import { enoughPayload } from "../internal/reading.ts"
import { RecentEvents } from "../internal/RecentEvents.ts"
import { corrupt, fromRow } from "../internal/rows.ts"
import type { EventText, ReadRecord } from "../internal/rows.ts"
import type { JoinedRow } from "./joinedRows.ts"
import { fromJoined, rowsPerText } from "./joinedRows.ts"
import { statements } from "./statements.ts"
import { expressionsOf, idExpressions, wordsOf } from "./words.ts"

/** Rows looked at in one step. */
const rowsPerStep = 1_000

/** Payloads of events that may wait in memory, in kibibytes, however few events they are. */
const mostUnindexedKibibytes = 32_768

/** Candidates to try before the index is asked for the types as well: see `expressionsOf`. */
const fewCandidates = 128

/** The number that the index names, and the columns of the row that should have it. */
type MatchedRow = readonly [number, ...ReadonlyArray<unknown>]

export class SqliteLog {
  recent = new RecentEvents(0)
  private indexedThrough = 0
  /** Payloads of the events after that, in kibibytes. */
  private unindexedPayloads = 0
  private somePartlyIndexed = false
  private readonly database: Database
  private readonly indexEvery: number
  private readonly sql: ReturnType<typeof prepare>

  /** `indexEvery`: how many events may wait in memory before they are written to the index. */
  constructor(database: Database, prefix: string, indexEvery: number) {
    this.database = database
    this.indexEvery = indexEvery
    this.sql = prepare(database, prefix)
  }

  /** Takes note of what was committed by whomever, and gives the log's last number. */
  refresh(): number {
    const [last, batchEnd, indexedThrough, partly] = this.sql.state.get() as [number | null, number, number, number]
    const head = last ?? 0
    if (head < this.recent.head || head < indexedThrough || head !== (last === null ? 0 : batchEnd)) {
      corrupt(head + 1, "the log ends before it")
    }
    const isKnown = head === this.recent.head && indexedThrough === this.indexedThrough
    this.indexedThrough = indexedThrough
    this.somePartlyIndexed = partly === 1
    if (isKnown) return head
    if (indexedThrough > this.recent.head) this.recent = new RecentEvents(indexedThrough)
    while (this.recent.head < head) {
      const span = { after: this.recent.head, upTo: head }
      for (const { batchEnd, payloadLength, record } of this.scan(span, rowsPerStep)) {
        this.recent.add(record, batchEnd, payloadLength)
      }
    }
    this.unindexedPayloads = this.recent.payloadsAfter(indexedThrough)
    this.recent.rotate(this.indexEvery, indexedThrough)
    return head
  }

  /** Those of the ids that events of the log have. */
  knownIds(eventIds: ReadonlyArray<string>): ReadonlySet<string> {
    const known = new Set(eventIds.filter((eventId) => this.recent.hasId(eventId)))
    for (const expression of idExpressions(eventIds)) {
      for (const [eventId] of this.sql.matchIds.all(expression) as Array<[string]>) known.add(eventId)
    }
    return known
  }

  /** The append of the log that was committed under the key. */
  findKey(key: string): KnownKey | undefined {
    const row = this.sql.findKey.get(key) as [string, number, number] | undefined
    if (row === undefined) return undefined
    const [fingerprint, firstSequenceNumber, lastSequenceNumber] = row
    if (!isFingerprint(fingerprint)) {
      corrupt(firstSequenceNumber, "the fingerprint of its idempotency key is unreadable")
    }
    if (!this.isBatch(firstSequenceNumber, lastSequenceNumber)) {
      corrupt(firstSequenceNumber, "its idempotency key names a range that is not an append of the log")
    }
    return { fingerprint, firstSequenceNumber, lastSequenceNumber }
  }

  begin(): void {
    this.sql.begin.run()
  }

  /** Adds a record of the transaction under way. */
  insert(record: EventRecord, text: EventText, batchEnd: number): void {
    this.recent.add(record, batchEnd, text.payload.length)
    this.unindexedPayloads += text.payload.length / 1_024
    this.sql.insertEvent.run(
      record.sequenceNumber,
      record.eventId,
      record.eventType,
      record.schemaVersion,
      text.payload,
      text.tags,
      text.metadata,
      record.occurredAt,
      batchEnd
    )
  }

  /** Adds the key of an append of the transaction under way. */
  insertKey({ fingerprint, key }: Idempotency, { firstSequenceNumber, lastSequenceNumber }: AppendResult): void {
    this.sql.insertKey.run(key, fingerprint, firstSequenceNumber, lastSequenceNumber)
  }

  /** Writes the index for what waits, if that is enough. The last thing in a transaction before `commit`. */
  writeIndex(): void {
    const { head } = this.recent
    if (head - this.indexedThrough < this.indexEvery && this.unindexedPayloads < mostUnindexedKibibytes) return
    for (let number = this.indexedThrough + 1; number <= head; number++) {
      const { words, complete } = wordsOf(this.recent.at(number))
      this.sql.insertWords.run(number, words)
      if (!complete) this.somePartlyIndexed = true
    }
    this.sql.setIndexed.run(head, this.somePartlyIndexed ? 1 : 0)
    this.indexedThrough = head
    this.unindexedPayloads = 0
  }

  /** Commits. What fails here may have happened. */
  commit(): void {
    this.sql.commit.run()
    this.recent.rotate(this.indexEvery, this.indexedThrough)
  }

  /** Undoes whatever is under way and forgets what is in memory: all of it is in the database. */
  reset(): void {
    if (this.database.inTransaction) this.sql.rollback.run()
    this.recent = new RecentEvents(0)
    this.unindexedPayloads = 0
  }

  /** Undoes the transaction under way; the log ends at `head` again. */
  rollback(head: number): void {
    if (this.database.inTransaction) this.sql.rollback.run()
    this.recent.truncate(head)
    this.unindexedPayloads = this.recent.payloadsAfter(this.indexedThrough)
  }

  /** One step of a read upwards. The span ends at a head that was seen before. */
  up(query: NormalisedQuery, span: Span, limit: number): StepUp {
    if (query.filters?.length === 0) return { found: [], position: span.upTo }
    if (span.after >= this.recent.base) return this.recent.up(query, span, limit)
    const older = { after: span.after, upTo: Math.min(span.upTo, this.recent.base) }
    const expressions = this.expressions(query, false)
    if (expressions !== undefined) {
      const few = Math.min(limit, expressions.length === 1 ? fewCandidates : rowsPerStep)
      const step = this.matchUp(query, expressions, older, few)
      const isFruitful = step.found.length * 4 >= step.looked
      if (isFruitful || step.position === older.upTo) return step
      return this.matchUp(query, this.expressions(query, true)!, older, Math.min(limit, rowsPerStep))
    }
    const { found, position } = this.scanFor(query, older, rowsPerStep)
    return found.length > limit
      ? { found: found.slice(0, limit), position: found[limit - 1]!.record.sequenceNumber }
      : { found, position }
  }

  /** The matches among the next rows of a span, looked at one by one. The span ends at a head that was seen before. */
  scanFor(query: NormalisedQuery, span: Span, rows: number): StepUp {
    if (span.after >= this.recent.base) return this.recent.up(query, span, rows)
    const older = { after: span.after, upTo: Math.min(span.upTo, this.recent.base) }
    const scanned = this.scan(older, Math.min(rows, rowsPerStep))
    return {
      found: query.filters === undefined ? scanned : scanned.filter(({ record }) => matchesQuery(query, record)),
      position: span.after + scanned.length
    }
  }

  /** One step of a search downwards. */
  down(query: NormalisedQuery, span: Span): StepDown {
    if (query.filters?.length === 0) return { match: undefined, position: span.after }
    const match = this.recent.lastMatch(query, span)
    if (match !== undefined || span.after >= this.recent.base) return { match, position: span.after }
    const older = { after: span.after, upTo: Math.min(span.upTo, this.recent.base) }
    if (query.filters === undefined) return { match: older.upTo, position: older.upTo }
    const expressions = this.expressions(query, false)
    if (expressions === undefined) return this.scanDown(query, older)
    const step = this.matchDown(query, expressions, older)
    if (step.match !== undefined || step.position === older.after) return step
    return this.matchDown(query, this.expressions(query, true)!, older)
  }

  /** The highest number in the span that matches. Looks as far as it has to. */
  lastMatch(query: NormalisedQuery, span: Span): number | undefined {
    let step: StepDown = { match: undefined, position: span.upTo }
    while (step.match === undefined && step.position > span.after) {
      step = this.down(query, { after: span.after, upTo: step.position })
    }
    return step.match
  }

  /** All matches of the span. */
  collect(query: NormalisedQuery, span: Span): ReadonlyArray<EventRecord> {
    const records: Array<EventRecord> = []
    let position = span.after
    while (position < span.upTo) {
      const step = this.up(query, { after: position, upTo: span.upTo }, rowsPerStep)
      for (const { record } of step.found) records.push(record)
      position = step.position
    }
    return records
  }

  /** Whether one append has recorded these numbers, and no others. */
  private isBatch(first: number, last: number): boolean {
    if (first < 1 || first > last || last > this.recent.head) return false
    const { found } = this.up(everything, { after: first - 1, upTo: first }, 1)
    if (found[0]!.batchEnd !== last) return false
    return first === 1 || this.up(everything, { after: first - 2, upTo: first - 1 }, 1).found[0]!.batchEnd < first
  }

  /** Expressions that find all candidates; `undefined` when one of the filters can only be scanned for. */
  private expressions(query: NormalisedQuery, withTypes: boolean): ReadonlyArray<string> | undefined {
    if (query.filters === undefined) return undefined
    const options = { withTypes, somePartlyIndexed: this.somePartlyIndexed }
    const found = query.filters.map((filter) => expressionsOf(filter, options))
    return found.every((expressions) => expressions !== undefined) ? found.flat() : undefined
  }

  /** Says as well how many rows of the index it has looked at. */
  private matchUp(
    query: NormalisedQuery,
    expressions: ReadonlyArray<string>,
    span: Span,
    limit: number
  ): StepUp & { readonly looked: number } {
    const found = new Map<number, ReadRecord>()
    let position = span.upTo
    let looked = 0
    for (const expression of expressions) {
      const rows = this.sql.matchUp.iterate(expression, span.after, span.upTo, limit)
      const taken = takeMatches(query, rows, limit, found)
      position = Math.min(position, taken.last ?? position)
      looked += taken.looked
    }
    const ascending = [...found.values()].sort((a, b) => a.record.sequenceNumber - b.record.sequenceNumber)
    return { found: ascending.filter(({ record }) => record.sequenceNumber <= position), position, looked }
  }

  private matchDown(query: NormalisedQuery, expressions: ReadonlyArray<string>, span: Span): StepDown {
    const found = new Map<number, ReadRecord>()
    let position = span.after
    for (const expression of expressions) {
      const rows = this.sql.matchDown.iterate(expression, span.after, span.upTo, fewCandidates)
      position = Math.max(position, (takeMatches(query, rows, fewCandidates, found).last ?? 0) - 1)
    }
    const match = Math.max(...found.keys())
    return { match: match > position ? match : undefined, position }
  }

  private scanDown(query: NormalisedQuery, span: Span): StepDown {
    const after = Math.max(span.after, span.upTo - rowsPerStep)
    let match: number | undefined
    for (let position = after; position < span.upTo;) {
      const scanned = this.scan({ after: position, upTo: span.upTo }, rowsPerStep)
      match = scanned.findLast(({ record }) => matchesQuery(query, record))?.record.sequenceNumber ?? match
      position += scanned.length
    }
    return { match, position: after }
  }

  /** The next rows of the span, every one of them, until their payloads are enough. */
  private scan(span: Span, limit: number): ReadonlyArray<ReadRecord> {
    const upTo = Math.min(span.upTo, span.after + limit)
    const stored: Array<ReadRecord> = []
    let payload = 0
    while (stored.length < upTo - span.after && payload < enoughPayload) {
      const after = span.after + stored.length
      const end = Math.min(after + rowsPerText, upTo)
      for (const row of fromJoined(this.sql.scanJoined.get(after, end)!, after, end) ?? this.oneByOne(after, end)) {
        stored.push(row)
        payload += row.payloadLength
        if (payload >= enoughPayload) break
      }
    }
    return stored
  }

  private *oneByOne(after: number, upTo: number): Generator<ReadRecord> {
    let number = after
    for (const row of this.sql.scan.iterate(after, upTo)) yield fromRow(row as ReadonlyArray<unknown>, ++number)
    if (number < upTo) corrupt(number + 1, "the event is missing")
  }
}

/**
 * Adds the matches among rows of the index to those that were found. Says how many rows it has looked at, and gives the number of the
 * last one if there may be more of them: after `limit` rows, or when the payloads are enough.
 */
const takeMatches = (
  query: NormalisedQuery,
  rows: Iterable<unknown>,
  limit: number,
  found: Map<number, ReadRecord>
): { readonly looked: number; readonly last: number | undefined } => {
  let looked = 0
  let payload = 0
  for (const row of rows as Iterable<MatchedRow>) {
    const last = row[0]
    looked++
    if (!found.has(last)) {
      const stored = fromRow(row, last, 1)
      payload += stored.payloadLength
      if (matchesQuery(query, stored.record)) found.set(last, stored)
    }
    if (looked === limit || payload >= enoughPayload) return { looked, last }
  }
  return { looked, last: undefined }
}

const prepare = (database: Database, prefix: string) => {
  const sql = statements(prefix)
  const raw = (text: string): Statement => database.prepare(text).raw(true)
  return {
    begin: database.prepare(sql.begin),
    commit: database.prepare(sql.commit),
    rollback: database.prepare(sql.rollback),
    state: raw(sql.state),
    insertEvent: database.prepare(sql.insertEvent),
    matchIds: raw(sql.matchIds),
    findKey: raw(sql.findKey),
    insertKey: database.prepare(sql.insertKey),
    insertWords: database.prepare(sql.insertWords),
    setIndexed: database.prepare(sql.setIndexed),
    matchUp: raw(sql.matchUp),
    matchDown: raw(sql.matchDown),
    scan: raw(sql.scan),
    scanJoined: database.prepare<[number, number], JoinedRow>(sql.scanJoined).raw(true)
  }
}
