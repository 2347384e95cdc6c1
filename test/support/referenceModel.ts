/**
 * A naive event store, written from the contract's text: a plain array, scanned for every question. Commands carry with
 * them what is wrong with their input, so the model needs no validation of its own and cannot repeat the library's mistakes.
 */
import { isDeepStrictEqual } from "node:util"
import type { EventQuery } from "../../src/stores/EventQuery.ts"
import { matches, propertiesOf } from "./referenceMatcher.ts"

/** What the contract says about an input: where it is refused, below the argument, and with which figures. */
export interface Refusal {
  readonly tag: "InvalidInput" | "LimitExceeded"
  readonly path: string
  readonly limit?: number
  readonly actual?: number
}

/** An argument, and what is wrong with it. */
export interface Argument<A> {
  readonly raw: A
  readonly refusal?: Refusal | undefined
}

export interface ValidEvent {
  readonly eventType: string
  readonly payload: unknown
  readonly tags?: ReadonlyArray<string>
  readonly eventId?: string | undefined
  readonly schemaVersion?: number
  readonly metadata?: Readonly<Record<string, string>>
}

/** The events of one append: a valid array of perhaps invalid events, or something else altogether. */
export interface EventsArgument extends Argument<unknown> {
  readonly events: ReadonlyArray<Argument<ValidEvent>>
}

export interface Condition {
  readonly query: Argument<EventQuery>
  readonly expected: Argument<number | null>
  readonly head: Argument<number | null | undefined>
  readonly conflictTail: boolean
}

/** An append of one batch, perhaps under an idempotency key. */
export interface Keyed {
  readonly events: EventsArgument
  readonly key: Argument<string | undefined>
}

export type AppendCommand =
  | ({ readonly kind: "append" } & Keyed)
  | ({ readonly kind: "appendIf"; readonly condition: Condition } & Keyed)
  | {
      readonly kind: "appendBatchesIf"
      readonly batches: ReadonlyArray<EventsArgument>
      readonly condition: Condition
    }

/** What the model says must come back, in the form in which the stores' answers are written down as well. */
export type Outcome = Readonly<Record<string, unknown>>

export interface ModelRecord {
  readonly sequenceNumber: number
  /** As given, in lower case, or `generated`. */
  readonly eventId: string
  readonly eventType: string
  readonly schemaVersion: number
  readonly payload: unknown
  readonly tags: ReadonlyArray<string>
  readonly metadata: Readonly<Record<string, string>>
}

/** The contract's "Input": `undefined` properties are dropped, `-0` becomes 0, everything else stays. */
export const normalise = (value: unknown): unknown => {
  if (typeof value === "number") return value + 0
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(normalise)
  return Object.fromEntries([...propertiesOf(value)].map(([key, member]) => [key, normalise(member)]))
}

const failed = (refusal: Refusal | undefined, argument: string): Outcome | undefined =>
  refusal && {
    failed: refusal.tag,
    path: argument + refusal.path,
    ...(refusal.limit === undefined ? {} : { limit: refusal.limit, actual: refusal.actual })
  }

/** A rule that is checked: its refusal, or `undefined`. The first one counts. */
type Check = () => Outcome | undefined

const firstOf = (checks: ReadonlyArray<Check>): Outcome | undefined => {
  for (const check of checks) {
    const outcome = check()
    if (outcome !== undefined) return outcome
  }
  return undefined
}

/** An append that was recorded under a key: which one, and the answer to it. */
interface Keeping extends Keyed {
  readonly content: unknown
  readonly answer: Outcome
}

export class ReferenceModel {
  readonly batches: Array<ReadonlyArray<ModelRecord>> = []
  readonly log: Array<ModelRecord> = []
  readonly keepings: Array<Keeping> = []

  get head(): number {
    return this.log.length
  }

  /** The numbers after `from` of what matches. */
  matching(query: EventQuery, from: number = 0): ReadonlyArray<ModelRecord> {
    return this.log.filter((record) => record.sequenceNumber > from && matches(query, record))
  }

  /** The context's version as it was when the log ended at `head` (Q3). */
  version(query: EventQuery, head: number = this.head): number | null {
    const upTo = this.matching(query).filter((record) => record.sequenceNumber <= head)
    return upTo.at(-1)?.sequenceNumber ?? null
  }

  query(query: Argument<EventQuery>): Outcome {
    const refused = failed(query.refusal, "query")
    if (refused !== undefined) return refused
    const records = this.matching(query.raw, query.raw.minSequenceNumber ?? 0)
    return {
      records,
      lastReturnedSequenceNumber: records.at(-1)?.sequenceNumber ?? null,
      currentContextVersion: this.version(query.raw),
      headSequenceNumber: this.head === 0 ? null : this.head
    }
  }

  append(command: AppendCommand): Outcome {
    const batches = command.kind === "appendBatchesIf" ? command.batches : [command.events]
    const name = (batch: number): string => (command.kind === "appendBatchesIf" ? `batches[${batch}]` : "events")
    const condition = command.kind === "append" ? undefined : command.condition
    const keyed = command.kind === "appendBatchesIf" ? undefined : command
    const refused = firstOf([
      () => (batches.length === 0 || batches.some(isEmpty) ? { failed: "EmptyAppend" } : undefined),
      ...batches.map(
        (batch, index): Check =>
          () =>
            refusedEvents(batch, name(index))
      ),
      () => repeatedId(batches, name),
      () => failed(keyed?.key.refusal, "options.idempotencyKey"),
      () => failed(condition?.query.refusal, "contextQuery"),
      () => failed(condition?.expected.refusal, "expectedContextVersion"),
      () => failed(condition?.head.refusal, "options.headSequenceNumber"),
      () => keyed && this.repetition(keyed),
      () => this.takenId(batches, name),
      () => condition && this.conflict(condition)
    ])
    if (refused !== undefined) return refused
    const answer = { committed: batches.map((batch) => this.record(batch.events.map((event) => event.raw))) }
    if (keyed?.key.raw !== undefined) this.keepings.push({ ...keyed, content: contentOf(keyed), answer })
    return answer
  }

  /** What a stream delivers that was registered when the log ended at `from` (S1, S2). */
  deliveries(query: EventQuery, from: number): ReadonlyArray<ReadonlyArray<ModelRecord>> {
    return this.batches
      .map((batch) => batch.filter((record) => record.sequenceNumber > from && matches(query, record)))
      .filter((batch) => batch.length > 0)
  }

  /** I1: the first answer to the same content under the key, the refusal of other content, or nothing for a new key. */
  private repetition(keyed: Keyed): Outcome | undefined {
    const kept = this.keepings.find(({ key }) => key.raw !== undefined && key.raw === keyed.key.raw)
    if (kept === undefined) return undefined
    return isDeepStrictEqual(contentOf(keyed), kept.content) ? kept.answer : { failed: "IdempotencyMismatch" }
  }

  private takenId(batches: ReadonlyArray<EventsArgument>, name: (batch: number) => string): Outcome | undefined {
    const taken = new Set(this.log.map((record) => record.eventId))
    return idRefusal(batches, name, (id) => taken.has(id))
  }

  /**
   * C1, C3. A known head limits the check to what came after it, and the caller vouches for what came before. A head that no
   * snapshot of this log can have shown with that version says nothing: then the whole context counts.
   */
  private conflict({ query, expected, head, conflictTail }: Condition): Outcome | undefined {
    const known = head.raw === null ? 0 : head.raw
    const vouched = known !== undefined && known >= (expected.raw ?? 0) && known <= this.head
    const newer = vouched ? this.matching(query.raw, known).at(-1)?.sequenceNumber : undefined
    const actual = vouched ? (newer ?? expected.raw) : this.version(query.raw)
    if (actual === expected.raw) return undefined
    return {
      failed: "ConditionalAppendConflict",
      expected: expected.raw,
      actual,
      head: this.head,
      tail: conflictTail ? this.matching(query.raw, known ?? expected.raw ?? 0) : undefined
    }
  }

  private record(events: ReadonlyArray<ValidEvent>): Outcome {
    const first = this.head + 1
    const records = events.map((event, index): ModelRecord => ({ sequenceNumber: first + index, ...asRecorded(event) }))
    this.batches.push(records)
    this.log.push(...records)
    return {
      firstSequenceNumber: first,
      lastSequenceNumber: this.head,
      committedCount: records.length,
      commitId: "id of the first event",
      records
    }
  }
}

const asRecorded = (event: ValidEvent): Omit<ModelRecord, "sequenceNumber"> => ({
  eventId: event.eventId?.toLowerCase() ?? "generated",
  eventType: event.eventType,
  schemaVersion: event.schemaVersion ?? 1,
  payload: normalise(event.payload),
  tags: [...new Set(event.tags ?? [])].sort(),
  metadata: event.metadata ?? {}
})

/** What counts as the content of an append: the events as they are recorded, with the ids that were given. */
const contentOf = ({ events }: Keyed): unknown => events.events.map(({ raw }) => asRecorded(raw))

const isEmpty = (batch: EventsArgument): boolean => Array.isArray(batch.raw) && batch.raw.length === 0

const refusedEvents = (batch: EventsArgument, name: string): Outcome | undefined =>
  firstOf([
    () => failed(batch.refusal, name),
    ...batch.events.map(
      (event, index): Check =>
        () =>
          failed(event.refusal, `${name}[${index}]`)
    )
  ])

const idRefusal = (
  batches: ReadonlyArray<EventsArgument>,
  name: (batch: number) => string,
  isRefused: (id: string) => boolean
): Outcome | undefined => {
  for (const [batch, { events }] of batches.entries()) {
    for (const [index, { raw }] of events.entries()) {
      if (raw.eventId === undefined || !isRefused(raw.eventId.toLowerCase())) continue
      return { failed: "InvalidInput", path: `${name(batch)}[${index}].eventId` }
    }
  }
  return undefined
}

const repeatedId = (batches: ReadonlyArray<EventsArgument>, name: (batch: number) => string): Outcome | undefined => {
  const seen = new Set<string>()
  return idRefusal(batches, name, (id) => seen.size === seen.add(id).size)
}
