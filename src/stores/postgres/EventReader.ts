/** Events by their numbers, as many at once as fit into an answer. What is missing or cannot be read is `CorruptLog` (L2). */
import * as Effect from "effect/Effect"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { CorruptLog } from "../EventStoreError.ts"
import type { Span, StoredRecord } from "../internal/reading.ts"
import { corrupt, fromRow } from "../internal/rows.ts"
import { int8s } from "./arrays.ts"
import type { Database, Rows } from "./Database.ts"
import type { Parameter } from "./driver.ts"
import { readFailure } from "./driverErrors.ts"
import type { StatementText, Statements } from "./statements.ts"

/** Rows of one statement: of a scan, and of the newest events. */
export const rowsPerStep = 1_000

type Effectful<A> = Effect.Effect<A, EventStoreErrorReason>

export class EventReader {
  private readonly database: Database
  private readonly statements: Statements

  constructor(database: Database, statements: Statements) {
    this.database = database
    this.statements = statements
  }

  /** The next events of a span that ends at a committed number: every one of them, as many as fit into a step. */
  scan(span: Span): Effectful<ReadonlyArray<StoredRecord>> {
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

  /** Every event of a span that ends at a committed number. */
  readonly between = Effect.fnUntraced({ self: this }, function* (span: Span): Effect.fn.Return<
    ReadonlyArray<StoredRecord>,
    EventStoreErrorReason
  > {
    const stored: Array<StoredRecord> = []
    while (span.after + stored.length < span.upTo) {
      const rows = yield* this.scan({ after: span.after + stored.length, upTo: span.upTo })
      for (const row of rows) stored.push(row)
    }
    return stored
  })

  /** The events of these committed numbers. */
  readonly at = Effect.fnUntraced({ self: this }, function* (numbers: ReadonlyArray<number>): Effect.fn.Return<
    ReadonlyArray<StoredRecord>,
    EventStoreErrorReason
  > {
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

  /** The rows that a statement answers with, parsed. */
  rowsOf<A>(statement: StatementText, values: Array<Parameter>, parse: (rows: Rows) => A): Effectful<A> {
    return this.database.read("read events", statement, values).pipe(
      Effect.mapError((failure) =>
        failure._tag === "StoreUnavailable" ? failure : readFailure(failure, "read events")
      ),
      Effect.flatMap((rows) => parsed(() => parse(rows)))
    )
  }
}

/** What the parser throws is the store's own reason. */
export const parsed = <A>(parse: () => A): Effect.Effect<A, CorruptLog> =>
  Effect.try({
    try: parse,
    catch: (thrown) => {
      if (thrown instanceof CorruptLog) return thrown
      throw thrown
    }
  })

/** A row that is there, without its payload: the rows before it were enough for one answer. The first one has its payload. */
export const isCutOff = (
  row: ReadonlyArray<string | null>,
  offset: number,
  number: number,
  isFirst: boolean
): boolean => {
  const hasNone = row[offset] !== null && row[offset + 4] === null
  return hasNone && isFirst ? corrupt(number, "it has no payload") : hasNone
}
