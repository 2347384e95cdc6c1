/**
 * Questions for the index. Those of a process that come together are one statement, and every statement brings the newest events
 * up to date, so an answer holds whatever was committed anywhere before it was asked for.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CorruptLog, EventStoreErrorReason } from "../EventStoreError.ts"
import { StoreClosed } from "../EventStoreError.ts"
import { CommitQueue } from "../internal/CommitQueue.ts"
import type { NormalisedQuery } from "../internal/normaliseQuery.ts"
import type { Span } from "../internal/reading.ts"
import type { Candidates, Lookup } from "./candidates.ts"
import { fewCandidates, lookupColumns, toCandidates } from "./candidates.ts"
import type { Rows } from "./Database.ts"
import type { Parameter } from "./driver.ts"
import type { EventReader } from "./EventReader.ts"
import { parsed, rowsPerStep } from "./EventReader.ts"
import type { Alternative } from "./keys.ts"
import { alternativesOf } from "./keys.ts"
import type { NewestEvents } from "./NewestEvents.ts"
import type { Statements } from "./statements.ts"

/** Alternatives in one statement. */
const groupWeight = 1_024

/** Readers, each with a statement of its own under way: while one waits for the database, answers of the other are read. */
const readers = 2

/** So few alternatives are not shared among readers. */
const leastShare = 16

type Effectful<A> = Effect.Effect<A, EventStoreErrorReason>

export class Lookups {
  private hasPartlyIndexed = false
  /** Readers that read nothing at the moment. */
  private free = readers
  private readonly queue = new CommitQueue<Lookup, Candidates>()
  private readonly newest: NewestEvents
  private readonly reader: EventReader
  private readonly statements: Statements

  constructor(newest: NewestEvents, reader: EventReader, statements: Statements) {
    this.newest = newest
    this.reader = reader
    this.statements = statements
  }

  close(): void {
    this.queue.close()
  }

  /** What the index is asked about a query, as far as is known by now; `undefined` where it does not help. */
  alternativesOf(query: NormalisedQuery): ReadonlyArray<Alternative> | undefined {
    return alternativesOf(query, this.hasPartlyIndexed)
  }

  /** Asks the index, together with others who ask at the moment, and brings the newest events up to date. */
  ask(alternatives: ReadonlyArray<Alternative>, span: Span, most: number): Effectful<Candidates> {
    const request: Lookup = { alternatives, withPartly: this.hasPartlyIndexed, span, most }
    return this.queue.submit(request, Math.max(1, alternatives.length))
  }

  /** Brings the newest events up to date, and does no more. */
  readonly catchUp: Effectful<void> = Effect.suspend(() =>
    Effect.asVoid(this.ask([], { after: 0, upTo: 0 }, fewCandidates))
  )

  /** Brings the newest events up to date on a connection that somebody else holds. */
  catchUpOn<E>(
    ask: (text: string, values: Array<Parameter>) => Effect.Effect<Rows, E>
  ): Effect.Effect<void, E | CorruptLog> {
    return Effect.gen({ self: this }, function* () {
      for (let head = Number.POSITIVE_INFINITY; head > this.newest.recent.head || !this.newest.isWhole;) {
        const known = this.newest.knownHead
        const rows = yield* ask(this.statements.read.text, this.parameters([]))
        head = (yield* parsed(() => this.newest.take(rows, known))).head
      }
    })
  }

  /** Answers what is asked, for ever. */
  readonly answer: Effect.Effect<never> = Effect.suspend(() =>
    Effect.raceAll(Array.from({ length: readers }, () => this.answerGroups))
  )

  /** A reader: takes its share of what waits, reads it, answers. */
  private readonly answerGroups: Effect.Effect<never> = Effect.gen({ self: this }, function* () {
    while (true) {
      yield* this.queue.nonEmpty
      yield* Effect.yieldNow
      const share = Math.max(leastShare, Math.ceil(this.queue.weight / this.free))
      const group = this.queue.take(Math.min(share, groupWeight))
      if (group.length === 0) continue
      this.free--
      const reading = Effect.onExit(this.readGroup(group.map(({ request }) => request)), (exit) =>
        Effect.sync(() => {
          this.free++
          const answers = Exit.hasInterrupts(exit) ? Effect.fail(new StoreClosed()) : exit
          for (const [index, { answer }] of group.entries()) {
            answer(Effect.map(answers, (candidates) => candidates[index]!))
          }
        })
      )
      yield* Effect.exit(reading)
    }
  })

  private readonly readGroup = Effect.fnUntraced(
    { self: this },
    function* (group: ReadonlyArray<Lookup>): Effect.fn.Return<ReadonlyArray<Candidates>, EventStoreErrorReason> {
      const answers = yield* this.readOnce(group)
      while (answers.head > this.newest.recent.head || !this.newest.isWhole) yield* this.readOnce([])
      return answers.candidates
    }
  )

  private readOnce(
    group: ReadonlyArray<Lookup>
  ): Effectful<{ readonly head: number; readonly candidates: ReadonlyArray<Candidates> }> {
    const { knownHead } = this.newest
    const { base } = this.newest.recent
    return this.reader.rowsOf(this.statements.read, this.parameters(group), (rows) => {
      const { hasPartly, head, through } = this.newest.take(rows, knownHead)
      const isStale = hasPartly && !this.hasPartlyIndexed
      this.hasPartlyIndexed ||= hasPartly
      return { head, candidates: toCandidates(group, rows, through > knownHead ? through : base, isStale) }
    })
  }

  private parameters(group: ReadonlyArray<Lookup>): Array<Parameter> {
    return [this.newest.knownHead, this.newest.recent.base, rowsPerStep, ...lookupColumns(group)]
  }
}
