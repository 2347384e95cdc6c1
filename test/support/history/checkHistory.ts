/**
 * Whether a history can have come from one log that changes in single steps (linearizability, with the log as the witness of the
 * order). Nothing has to be searched for: every answer says which prefix of the log it stands on. So it is enough that each
 * answer is what the reference matcher says about that prefix, and that the prefixes are in the order of real time.
 */
import type { EventQuery, EventRecord } from "evolvent"
import { matches } from "../referenceMatcher.ts"
import type { Append, AppendIf, Appended, Conflict, History, Operation, Query, Stream } from "./History.ts"
import { digestOf, ordered } from "./History.ts"
import { Timeline } from "./Timeline.ts"

/** What is wrong, in words; nothing for a history that keeps the contract. */
export const checkHistory = (history: History): ReadonlyArray<string> => {
  const misnumbered = history.log.findIndex(({ sequenceNumber }, index) => sequenceNumber !== index + 1)
  if (misnumbered !== -1) {
    const { sequenceNumber } = history.log[misnumbered]!
    return [`the log has the number ${sequenceNumber} in place ${misnumbered + 1} (A1)`]
  }
  return new Checker(history).check()
}

/** Why a run proves too little, `undefined` where it does not: conditions have to hold and to fail, each often enough. */
export const whyVoid = ({ operations }: History): string | undefined => {
  const conditional = operations.filter((operation) => operation.kind === "appendIf")
  const share = (tag: string) =>
    conditional.filter(({ answer }) => answer._tag === tag).length / Math.max(1, conditional.length)
  const percent = { Conflict: Math.round(share("Conflict") * 100), Appended: Math.round(share("Appended") * 100) }
  if (share("Conflict") >= 0.15 && share("Appended") >= 0.15) return undefined
  return `void: of ${conditional.length} conditional appends ${percent.Appended} % succeeded, ${percent.Conflict} % conflicted`
}

class Checker {
  private readonly complaints: Array<string> = []
  private readonly log: ReadonlyArray<EventRecord>
  private readonly operations: ReadonlyArray<Operation>
  private readonly timeline: Timeline
  /** The first and the last number of every answered append, in the order of the log. */
  private readonly batches: ReadonlyArray<Appended>
  private readonly batchEnds: ReadonlySet<number>
  private readonly matching = new Map<string, ReadonlyArray<number>>()

  constructor({ log, operations }: History) {
    this.log = log
    this.operations = operations
    this.timeline = new Timeline(operations, log.length)
    this.batches = operations
      .flatMap((operation) =>
        operation.kind !== "stream" && operation.answer._tag === "Appended" ? [operation.answer] : []
      )
      .sort((a, b) => a.first - b.first)
    this.batchEnds = new Set([0, ...this.batches.map(({ last }) => last)])
  }

  check(): ReadonlyArray<string> {
    this.everyRecordHasOneAppend()
    for (const operation of this.operations) {
      if (operation.kind === "stream") this.stream(operation)
      else if (operation.answer._tag === "Failed") this.complain(operation, `failed: ${operation.answer.message}`)
      else if (operation.kind === "query") this.query(operation)
      else if (operation.answer._tag === "Appended") this.appended(operation, operation.answer)
      else if (operation.kind === "appendIf") this.conflict(operation, operation.answer)
    }
    return this.complaints
  }

  private complain({ invoked, kind, process }: Operation, what: string): void {
    this.complaints.push(`${kind} of process ${process} at ${invoked}: ${what}`)
  }

  /** A1, A2, A3: the answered appends are the log, batch by batch, and no event is in it twice. */
  private everyRecordHasOneAppend(): void {
    let next = 1
    for (const { first, last } of this.batches) {
      if (first > next)
        this.complaints.push(`the numbers ${next} to ${first - 1} belong to no append that succeeded (A3)`)
      if (first < next) this.complaints.push(`the number ${first} was given to two appends (A1)`)
      next = Math.max(next, last + 1)
    }
    if (next <= this.log.length) {
      this.complaints.push(`the numbers ${next} to ${this.log.length} belong to no append that succeeded (A3)`)
    }
    const seen = new Map<unknown, number>()
    for (const { payload, sequenceNumber } of this.log) {
      const { label } = payload as { readonly label: string }
      if (seen.has(label)) this.complaints.push(`the event at ${sequenceNumber} is at ${seen.get(label)} as well (A2)`)
      seen.set(label, sequenceNumber)
    }
  }

  private appended(operation: Append | AppendIf, { digest, first, last }: Appended): void {
    const records = this.log.slice(first - 1, last)
    const offered = operation.events.map((event) => contentOf({ ...event, tags: [...new Set(event.tags)].sort() }))
    if (records.map(contentOf).join("\n") !== offered.join("\n")) {
      this.complain(operation, `its events are not what the log holds at ${first} to ${last} (A2)`)
    } else if (digestOf(records) !== digest) {
      this.complain(operation, `it was told other records than the log holds at ${first} to ${last}`)
    }
    const certain = this.timeline.certainAt(operation.invoked)
    if (first <= certain)
      this.complain(operation, `it got the number ${first}, but ${certain} was there before it (A1)`)
    if (operation.kind !== "appendIf") return
    const version = this.version(operation.query, first - 1)
    if (version !== operation.expected) {
      const expected = `it expected ${operation.expected}`
      this.complain(operation, `${expected} and was recorded at ${first}, where the version was ${version} (C1)`)
    }
  }

  private conflict(operation: AppendIf, { actual, expected, head, tail }: Conflict): void {
    if (expected !== operation.expected || actual === expected) {
      this.complain(operation, `it expected ${operation.expected}, the conflict says ${expected} and ${actual} (C1)`)
    }
    this.prefix(operation, head)
    const version = this.version(operation.query, head)
    if (version !== actual) this.complain(operation, `the conflict says ${actual}, at ${head} it was ${version} (C1)`)
    if (tail === undefined) return
    const after = operation.seenHead ?? operation.expected ?? 0
    const news = this.numbers(operation.query).filter((number) => number > after && number <= head)
    if (!same(tail, news)) this.complain(operation, `the conflict brought ${show(tail)} instead of ${show(news)} (C3)`)
  }

  private query(operation: Query): void {
    const { answer, query } = operation
    if (answer._tag === "Failed") return
    const head = answer.head ?? 0
    this.prefix(operation, head)
    const from = query.minSequenceNumber ?? 0
    const numbers = this.numbers(query).filter((number) => number > from && number <= head)
    if (!same(answer.numbers, numbers)) {
      this.complain(operation, `it found ${show(answer.numbers)} instead of ${show(numbers)} up to ${head} (Q5)`)
    } else if (digestOf(this.records(numbers)) !== answer.digest) {
      this.complain(operation, "it found other records than the log holds")
    }
    const version = this.version(query, head)
    if (answer.version !== version) {
      this.complain(operation, `it found the version ${answer.version} instead of ${version} at ${head} (Q3)`)
    }
    if (answer.lastReturned !== (numbers.at(-1) ?? null))
      this.complain(operation, "its last number is another one (Q4)")
  }

  /** The prefix that an answer stands on: nothing that was there before the call is missing, nothing came after the answer. */
  private prefix(operation: Operation, head: number): void {
    const certain = this.timeline.certainAt(operation.invoked)
    const possible = this.timeline.possibleAt(operation.answered)
    if (head < certain) this.complain(operation, `it saw the log up to ${head}, but ${certain} was there before it`)
    if (head > possible) this.complain(operation, `it saw the log up to ${head}, but ${possible + 1} was not there yet`)
    if (!this.batchEnds.has(head)) this.complain(operation, `it saw the log up to ${head}, a part of an append (A2)`)
  }

  /** S1, S2: everything from some moment of its registration on, batch by batch, in order and once. */
  private stream(operation: Stream): void {
    const { batches, digest, query } = operation
    const all = new Set(this.numbers(query))
    const certain = this.timeline.certainAt(operation.invoked)
    const possible = this.timeline.possibleAt(operation.answered)
    const expectedAfter = (start: number) =>
      this.batches
        .filter(({ first }) => first > start)
        .map(({ first, last }) => range(first, last).filter((number) => all.has(number)))
        .filter((batch) => batch.length > 0)
    const isExpected = (start: number) => {
      const expected = expectedAfter(start)
      return expected.length === batches.length && expected.every((batch, index) => same(batch, batches[index]!))
    }
    if (!range(certain, possible).some((start) => this.batchEnds.has(start) && isExpected(start))) {
      const moment = `after ${certain} at the earliest and ${possible} at the latest`
      return this.complain(operation, `it delivered ${show(batches.flat())}, which is not everything ${moment} (S2)`)
    }
    if (digestOf(this.records(batches.flat())) !== digest) {
      this.complain(operation, "it delivered other records than the log holds")
    }
  }

  private records(numbers: ReadonlyArray<number>): ReadonlyArray<EventRecord> {
    return numbers.map((number) => this.log[number - 1]!)
  }

  /** What matches, of the whole log. */
  private numbers(query: EventQuery.EventQuery): ReadonlyArray<number> {
    const key = JSON.stringify(query.filters ?? [])
    let numbers = this.matching.get(key)
    if (numbers === undefined) {
      numbers = this.log.filter((record) => matches(query, record)).map(({ sequenceNumber }) => sequenceNumber)
      this.matching.set(key, numbers)
    }
    return numbers
  }

  /** The context's version when the log ended at `head` (Q3). */
  private version(query: EventQuery.EventQuery, head: number): number | null {
    return this.numbers(query).findLast((number) => number <= head) ?? null
  }
}

const contentOf = ({ eventType, payload, tags }: Pick<EventRecord, "eventType" | "payload" | "tags">): string =>
  JSON.stringify(ordered({ eventType, payload, tags }))

const same = (one: ReadonlyArray<number>, other: ReadonlyArray<number>): boolean =>
  one.length === other.length && one.every((number, index) => number === other[index])

const range = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)

const show = (numbers: ReadonlyArray<number>): string =>
  numbers.length <= 12 ? `[${numbers.join(", ")}]` : `[${numbers.slice(0, 6).join(", ")}, ... ${numbers.at(-1)}]`
