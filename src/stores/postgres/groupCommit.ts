/**
 * A group of appends as one statement: which of the waiting requests go together, what is sent of them, and what the answer
 * means. A request is sent with the number up to which its context has been checked here; the database refuses it when
 * something newer may belong to the context.
 */
import type { AppendResult } from "../EventStore.ts"
import { record } from "../internal/appending.ts"
import type { NormalisedEvent } from "../internal/normaliseEvents.ts"
import type { RecentEvents } from "../internal/RecentEvents.ts"
import type { EventText } from "../internal/rows.ts"
import { toText } from "../internal/rows.ts"
import type { AppendCondition, AppendRequest } from "../internal/StoreBackend.ts"
import type { Term } from "../internal/terms.ts"
import { int4s, int8s, texts, uuids } from "./arrays.ts"
import type { Rows } from "./Database.ts"
import type { Parameter } from "./driver.ts"
import type { Alternative } from "./keys.ts"
import { addAlternatives, alternativesOf, keysOf, noAlternatives, partlyKey } from "./keys.ts"
import type { Statements, StatementText } from "./statements.ts"

/** An event with what is made of it outside the lock. */
interface PreparedEvent {
  readonly event: NormalisedEvent
  readonly text: EventText
  readonly keys: ReadonlyArray<Term>
  /** Events after it in its batch. */
  readonly leftInBatch: number
}

/** A request on its way into the log. */
export interface PreparedRequest {
  readonly request: AppendRequest
  /** What the caller stands on: another condition than the request's where it was decided again. */
  readonly callers: AppendCondition | undefined
  readonly events: ReadonlyArray<PreparedEvent>
  /** What the context is found by; `undefined` where any event may belong to it. */
  readonly alternatives: ReadonlyArray<Alternative> | undefined
  /** Events and kibibytes: what a group is bounded by. */
  readonly weight: number
  /** The number up to which the context is known to be the expected one; `undefined` when that has to be looked up. */
  checkedThrough: number | undefined
  /** Whether it may be in the log already, for the answer to an earlier try was lost. */
  isDoubtful: boolean
  /** Until when to find that out: `performance.now()`, from the loss on. */
  resolveBy: number
  timesSent: number
}

/** Writes the JSON and the keys of a request. */
export const prepareRequest = (request: AppendRequest, callers = request.condition): PreparedRequest => {
  let weight = 0
  const events = request.batches.flatMap((batch) =>
    batch.map((event, index): PreparedEvent => {
      const text = toText(event)
      weight += 1 + Math.floor(text.payload.length / 1_024)
      return { event, text, keys: keysOf(event), leftInBatch: batch.length - 1 - index }
    })
  )
  const { condition } = request
  return {
    request,
    callers,
    events,
    alternatives: condition === undefined ? [] : alternativesOf(condition.query, false),
    weight,
    checkedThrough: condition === undefined ? undefined : vouchedHead(condition),
    isDoubtful: false,
    resolveBy: Number.POSITIVE_INFINITY,
    timesSent: 0
  }
}

/** The head that the caller vouches for, unless it lies before the expected version and so says nothing. */
const vouchedHead = ({ expected, seenHead }: AppendCondition): number | undefined =>
  seenHead !== undefined && seenHead >= (expected ?? 0) ? seenHead : undefined

/**
 * How many of the requests, from the front, can be judged without knowing the others' verdicts: up to the first whose context
 * an earlier one may write, which gives an id or a key that an earlier one gives, or which speaks of a head past the one that is
 * known, and that an earlier one may make true.
 */
export const independent = (requests: ReadonlyArray<PreparedRequest>, knownHead: number): number => {
  if (requests.length < 2) return requests.length
  const written = new Set<Term>()
  const given = new Set<string>()
  for (const [index, { alternatives, checkedThrough, events, request }] of requests.entries()) {
    if (index > 0 && checkedThrough !== undefined && checkedThrough > knownHead) return index
    if (index > 0 && request.condition !== undefined && mayMatch(alternatives, written)) return index
    const names = givenNames(request)
    if (names.some((name) => given.has(name))) return index
    for (const name of names) given.add(name)
    for (const { keys } of events) for (const key of keys) written.add(key)
  }
  return requests.length
}

const mayMatch = (alternatives: ReadonlyArray<Alternative> | undefined, written: ReadonlySet<Term>): boolean =>
  alternatives === undefined ||
  written.has(partlyKey) ||
  alternatives.some(({ all }) => all.every((key) => written.has(key)))

const givenNames = ({ batches, idempotency }: AppendRequest): ReadonlyArray<string> => {
  const names: Array<string> = idempotency === undefined ? [] : [`key ${idempotency.key}`]
  for (const batch of batches) for (const { eventId, idGiven } of batch) if (idGiven) names.push(eventId)
  return names
}

/** Events that are looked through under the log's lock at most, as far as this process knows: the index finds them without it. */
const farBehind = 16_384

/**
 * Checks a context as far as the newest events in memory reach. Says whether it has to be looked up: when too little is known of
 * it, or when it has changed.
 */
export const checkRecent = (prepared: PreparedRequest, recent: RecentEvents, knownHead: number): boolean => {
  const { condition } = prepared.request
  if (condition === undefined) return false
  const { checkedThrough } = prepared
  if (checkedThrough === undefined || checkedThrough > Math.max(recent.head, knownHead)) return true
  if (checkedThrough < recent.base || checkedThrough < knownHead - farBehind) return true
  if (checkedThrough >= recent.head) return false
  if (recent.lastMatch(condition.query, { after: checkedThrough, upTo: recent.head }) !== undefined) return true
  prepared.checkedThrough = recent.head
  return false
}

/** The statement that appends a group, and its parameters. */
export const writing = (
  group: ReadonlyArray<PreparedRequest>,
  { append, appendOne }: Statements,
  lockTimeout: number
): { readonly statement: StatementText; readonly values: Array<Parameter> } => {
  const [first] = group
  return group.length === 1 && isPlain(first!)
    ? { statement: appendOne, values: parametersOfOne(first!, lockTimeout) }
    : { statement: append, values: groupParameters(group, lockTimeout) }
}

/** Whether a request is one event, whose id cannot be in the log already, without a key. */
const isPlain = ({ events, isDoubtful, request }: PreparedRequest): boolean =>
  events.length === 1 && !events[0]!.event.idGiven && !isDoubtful && request.idempotency === undefined

const parametersOfOne = (
  { alternatives = [], checkedThrough, events, request }: PreparedRequest,
  lockTimeout: number
): Array<Parameter> => {
  const { event, keys, text } = events[0]!
  const { eventId, eventType, schemaVersion } = event
  const columns = noAlternatives()
  addAlternatives(columns, 1, alternatives)
  return [
    eventId,
    eventType,
    schemaVersion,
    text.payload,
    text.tags,
    text.metadata,
    int4s(keys),
    ...(request.condition === undefined
      ? [null, null, null, null]
      : [checkedThrough!, int4s(columns.terms), texts(columns.alls), texts(columns.anys)]),
    lockTimeout
  ]
}

const groupParameters = (group: ReadonlyArray<PreparedRequest>, lockTimeout: number): Array<Parameter> => {
  const events = group.flatMap(({ events }, index) => events.map((prepared) => ({ ...prepared, request: index + 1 })))
  const keys = keyColumns(events)
  return [
    uuids(events.map(({ event }) => event.eventId)),
    texts(events.map(({ event }) => event.eventType)),
    int8s(events.map(({ event }) => event.schemaVersion)),
    texts(events.map(({ text }) => text.payload)),
    texts(events.map(({ text }) => text.tags)),
    texts(events.map(({ text }) => text.metadata)),
    int4s(events.map(({ leftInBatch }) => leftInBatch)),
    int4s(events.map(({ request }) => request)),
    ...keys,
    ...conditionColumns(group),
    ...givenColumns(events, group),
    ...idempotencyColumns(group),
    lockTimeout
  ]
}

const keyColumns = (events: ReadonlyArray<PreparedEvent>): Array<Buffer> => {
  const flat: Array<Term> = []
  const starts: Array<number> = []
  const ends: Array<number> = []
  for (const { keys } of events) {
    starts.push(flat.length + 1)
    for (const key of keys) flat.push(key)
    ends.push(flat.length)
  }
  return [int4s(flat), int4s(starts), int4s(ends)]
}

const conditionColumns = (group: ReadonlyArray<PreparedRequest>): Array<Buffer | number | null> => {
  const checked = group.flatMap(({ checkedThrough, request }) =>
    request.condition === undefined ? [] : checkedThrough!
  )
  if (checked.length === 0) return [null, null, null, null, null, null, null]
  const columns = noAlternatives()
  for (const [index, { alternatives }] of group.entries()) addAlternatives(columns, index + 1, alternatives ?? [])
  return [
    int8s(group.map(({ checkedThrough }) => checkedThrough ?? null)),
    Math.min(...checked),
    Math.max(...checked),
    int4s(columns.requests),
    int4s(columns.terms),
    texts(columns.alls),
    texts(columns.anys)
  ]
}

const givenColumns = (
  events: ReadonlyArray<PreparedEvent & { readonly request: number }>,
  group: ReadonlyArray<PreparedRequest>
): Array<Buffer | null> => {
  const given = events.filter(({ event, request }) => event.idGiven || group[request - 1]!.isDoubtful)
  if (given.length === 0) return [null, null]
  return [uuids(given.map(({ event }) => event.eventId)), int4s(given.map(({ request }) => request))]
}

const idempotencyColumns = (group: ReadonlyArray<PreparedRequest>): Array<Buffer | null> => {
  const keyed = group.flatMap(({ request }, index) =>
    request.idempotency === undefined ? [] : [{ ...request.idempotency, request: index + 1 }]
  )
  if (keyed.length === 0) return [null, null, null]
  return [
    texts(keyed.map(({ key }) => key)),
    texts(keyed.map(({ fingerprint }) => fingerprint)),
    int4s(keyed.map(({ request }) => request))
  ]
}

/** What became of a group. */
export interface GroupOutcome {
  /** The results of each request, in order; `undefined` for one that was refused. */
  readonly results: ReadonlyArray<ReadonlyArray<AppendResult> | undefined>
  readonly headBefore: number
  readonly head: number
  readonly indexedThrough: number
}

/** Reads the answer and makes the records that the database has numbered. */
export const readOutcome = (group: ReadonlyArray<PreparedRequest>, rows: Rows): GroupOutcome => {
  const [head, occurredAt, indexedThrough, refused] = rows[0]![0]!.split(" ") as [string, string, string, string]
  const isRefused = new Set(refused === "" ? [] : refused.split(",").map(Number))
  let last = Number(head)
  const results = group.map(({ request }, index) => {
    if (isRefused.has(index + 1)) return undefined
    return request.batches.map((batch) => {
      const result = record(batch, last, Number(occurredAt))
      last = result.lastSequenceNumber
      return result
    })
  })
  return { results, headBefore: Number(head), head: last, indexedThrough: Number(indexedThrough) }
}
