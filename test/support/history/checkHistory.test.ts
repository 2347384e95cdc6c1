/** The check of histories itself: a right history passes, and each kind of wrong one is caught for what is wrong with it. */
import type { EventRecord } from "evolvent"
import { EventQuery } from "evolvent"
import { describe, expect, it } from "vitest"
import { checkHistory, whyVoid } from "./checkHistory.ts"
import type { Append, AppendIf, Appended, History, Operation, Query, Stream } from "./History.ts"
import { digestOf } from "./History.ts"

const record = (sequenceNumber: number, eventType: string, label = `event ${sequenceNumber}`): EventRecord => ({
  sequenceNumber,
  eventId: `00000000-0000-4000-8000-00000000000${sequenceNumber}`,
  eventType,
  schemaVersion: 1,
  payload: { label },
  tags: [],
  metadata: {},
  occurredAt: 0
})

type Times = readonly [invoked: number, answered: number]

const timed = (process: number, [invoked, answered]: Times) => ({ process, invoked, answered })

const at = (log: ReadonlyArray<EventRecord>, numbers: ReadonlyArray<number>) =>
  numbers.flatMap((number) => log[number - 1] ?? [])

/** The answer of an append that was recorded at these numbers of the log. */
const appended = (log: ReadonlyArray<EventRecord>, first: number, last = first): Appended => ({
  _tag: "Appended",
  first,
  last,
  digest: digestOf(log.slice(first - 1, last))
})

const offered = (log: ReadonlyArray<EventRecord>, first: number, last = first) =>
  log.slice(first - 1, last).map(({ eventType, payload, tags }) => ({
    eventType,
    tags,
    payload: payload as { readonly label: string }
  }))

/**
 * One batch each: 1 at 10, 2 and 3 at 20, 4 between 35 and 50. Process 1 registers a stream while it waits for 2 and 3, reads
 * while nothing happens, and has a conflict.
 */
const history = (log: ReadonlyArray<EventRecord>) => {
  const ofA = EventQuery.ofTypes("A")
  const first: Append = {
    kind: "append",
    ...timed(0, [0, 10]),
    events: offered(log, 1),
    answer: appended(log, 1)
  }
  const second: AppendIf = {
    kind: "appendIf",
    ...timed(0, [11, 20]),
    events: offered(log, 2, 3),
    query: ofA,
    expected: 1,
    seenHead: undefined,
    answer: appended(log, 2, 3)
  }
  const third: Append = {
    kind: "append",
    ...timed(0, [35, 50]),
    events: offered(log, 4),
    answer: appended(log, 4)
  }
  const stream: Stream = {
    kind: "stream",
    ...timed(1, [12, 18]),
    query: {},
    batches: [[2, 3], [4]],
    digest: digestOf(at(log, [2, 3, 4]))
  }
  const filtered: Stream = {
    kind: "stream",
    ...timed(1, [12, 18]),
    query: ofA,
    batches: [[3]],
    digest: digestOf(at(log, [3]))
  }
  const query: Query = {
    kind: "query",
    ...timed(1, [25, 30]),
    query: ofA,
    answer: { _tag: "Found", numbers: [1, 3], digest: digestOf(at(log, [1, 3])), lastReturned: 3, version: 3, head: 3 }
  }
  const conflict: AppendIf = {
    kind: "appendIf",
    ...timed(1, [31, 40]),
    events: [{ eventType: "A", tags: [], payload: { label: "refused" } }],
    query: ofA,
    expected: 1,
    seenHead: 1,
    answer: { _tag: "Conflict", expected: 1, actual: 3, head: 3, tail: [3] }
  }
  return { first, second, third, stream, filtered, query, conflict }
}

const log = [record(1, "A"), record(2, "B"), record(3, "A"), record(4, "B")]
const right = history(log)

type Parts = ReturnType<typeof history>

const complaints = (
  parts: Partial<Record<keyof Parts, Operation>>,
  more: ReadonlyArray<Operation> = [],
  witness = log
): string => checkHistory({ log: witness, operations: [...Object.values({ ...right, ...parts }), ...more] }).join("\n")

const found = (numbers: ReadonlyArray<number>, head: number | null): Query["answer"] => ({
  _tag: "Found",
  numbers,
  digest: digestOf(at(log, numbers)),
  lastReturned: numbers.at(-1) ?? null,
  version: numbers.at(-1) ?? null,
  head
})

const conflictOf = (actual: number | null, head: number, tail?: ReadonlyArray<number>): AppendIf => ({
  ...right.conflict,
  answer: { _tag: "Conflict", expected: 1, actual, head, tail }
})

const delivering = (...batches: ReadonlyArray<ReadonlyArray<number>>): Stream => ({
  ...right.stream,
  batches,
  digest: digestOf(at(log, batches.flat()))
})

describe("the check of a history", () => {
  it("finds nothing wrong with a right one", () => {
    expect(complaints({})).toBe("")
  })

  it("lets calls that overlap be in either order", () => {
    const during: Times = [36, 45]
    expect(complaints({ query: { ...right.query, ...timed(1, during) } })).toBe("")
    expect(complaints({ conflict: { ...conflictOf(3, 4), ...timed(1, during) } })).toBe("")
    expect(complaints({ stream: { ...delivering([4]), ...timed(1, [12, 30]) } })).toBe("")
    expect(complaints({ stream: { ...delivering(), ...timed(1, during) } })).toBe("")
    expect(complaints({ stream: { ...delivering([4]), ...timed(1, during) } })).toBe("")
  })

  it("catches a lost update: two appends on one version", () => {
    const third: AppendIf = { ...right.second, ...right.third, kind: "appendIf", expected: 1 }
    expect(complaints({ third })).toContain("it expected 1 and was recorded at 4, where the version was 3 (C1)")
    expect(complaints({ second: { ...right.second, expected: null } })).toContain("it expected null and was recorded")
  })

  it("catches a stale query", () => {
    const query = { ...right.query, answer: found([1], 1) }
    expect(complaints({ query })).toBe("query of process 1 at 25: it saw the log up to 1, but 3 was there before it")
    expect(complaints({ query: { ...right.query, answer: found([], null) } })).toContain("it saw the log up to 0")
  })

  it("catches a query that saw what was not there yet", () => {
    const query = { ...right.query, answer: found([1, 3], 4) }
    expect(complaints({ query })).toContain("query of process 1 at 25: it saw the log up to 4, but 4 was not there yet")
  })

  it("catches queries that go back behind what another one was shown of an append under way", () => {
    const sees: Query = { ...right.query, ...timed(0, [36, 38]), answer: found([1, 3], 4) }
    const sawLess: Query = { ...right.query, ...timed(1, [39, 41]) }
    expect(complaints({}, [sees])).toBe("")
    expect(complaints({}, [sees, sawLess])).toContain("it saw the log up to 3, but 4 was there before it")
  })

  it("catches a query that saw a part of an append", () => {
    const query = { ...right.query, ...timed(1, [15, 19] as const), answer: found([1], 2) }
    expect(complaints({ query })).toContain("it saw the log up to 2, a part of an append (A2)")
  })

  it("catches a query that lacks a record, has another one, or other numbers about it", () => {
    const answering = (numbers: ReadonlyArray<number>, changed: object = {}) =>
      complaints({ query: { ...right.query, answer: { ...found(numbers, 3), ...changed } as Query["answer"] } })
    expect(answering([1])).toContain("it found [1] instead of [1, 3] up to 3 (Q5)")
    expect(answering([1, 2, 3])).toContain("it found [1, 2, 3] instead of [1, 3] up to 3 (Q5)")
    expect(answering([3, 1])).toContain("it found [3, 1] instead of [1, 3] up to 3 (Q5)")
    expect(answering([1, 3], { version: 1 })).toContain("it found the version 1 instead of 3 at 3 (Q3)")
    expect(answering([1, 3], { lastReturned: null })).toContain("its last number is another one (Q4)")
    expect(answering([1, 3], { digest: digestOf(at(log, [1, 4])) })).toContain("it found other records")
  })

  it("keeps a read cursor apart from the version", () => {
    const query = { ...right.query, query: EventQuery.after(right.query.query, 3) }
    const answer = { ...found([], 3), version: 3 } as Query["answer"]
    expect(complaints({ query: { ...query, answer } })).toBe("")
    expect(complaints({ query: { ...query, answer: found([], 3) } })).toContain("the version null instead of 3")
    expect(complaints({ query })).toContain("it found [1, 3] instead of [] up to 3 (Q5)")
  })

  it("catches reordered numbers", () => {
    const first: Append = { ...right.first, ...timed(0, [60, 70]) }
    expect(complaints({ first })).toContain("append of process 0 at 60: it got the number 1, but 4 was there before it")
  })

  it("catches an event that is in the log twice", () => {
    const twice = [...log, record(5, "B", "event 4")]
    expect(complaints({}, [], twice)).toContain("the event at 5 is at 4 as well (A2)")
    const again: Append = { ...right.third, answer: appended(twice, 5) }
    expect(complaints({}, [again], twice)).toContain("the event at 5 is at 4 as well (A2)")
  })

  it("catches a number that is missing, belongs to nobody, or to two", () => {
    expect(complaints({}, [], [...log.slice(0, 3), record(5, "B")])).toBe("the log has the number 5 in place 4 (A1)")
    expect(complaints({}, [], log.toReversed())).toBe("the log has the number 4 in place 1 (A1)")
    expect(complaints({}, [], [...log, record(5, "B")])).toContain(
      "the numbers 5 to 5 belong to no append that succeeded"
    )
    const refused: Append = { ...right.first, answer: { _tag: "Failed", message: "no" } }
    expect(complaints({ first: refused })).toContain("the numbers 1 to 1 belong to no append that succeeded (A3)")
    const third = { ...right.third, answer: appended(log, 3) }
    expect(complaints({ third })).toContain("the number 3 was given to two appends (A1)")
  })

  it("catches an append that is not in the log as it was offered, or as it was answered", () => {
    const torn: AppendIf = { ...right.second, events: [...right.second.events, ...right.third.events] }
    expect(complaints({ second: torn })).toContain("its events are not what the log holds at 2 to 3 (A2)")
    const swapped: AppendIf = { ...right.second, events: right.second.events.toReversed() }
    expect(complaints({ second: swapped })).toContain("its events are not what the log holds at 2 to 3 (A2)")
    const misled: Append = { ...right.third, answer: { ...appended(log, 4), digest: digestOf(at(log, [3])) } }
    expect(complaints({ third: misled })).toContain("it was told other records than the log holds at 4 to 4")
  })

  it("catches a conflict that was never there, no more, or not yet", () => {
    expect(complaints({ conflict: conflictOf(2, 3) })).toContain("the conflict says 2, at 3 it was 3 (C1)")
    expect(complaints({ conflict: conflictOf(1, 1) })).toContain("it expected 1, the conflict says 1 and 1 (C1)")
    const earlier: AppendIf = { ...conflictOf(1, 1), expected: null }
    expect(complaints({ conflict: earlier })).toContain("it saw the log up to 1, but 3 was there before it")
    const soon: AppendIf = { ...conflictOf(3, 4), ...timed(1, [31, 34]) }
    expect(complaints({ conflict: soon })).toContain("it saw the log up to 4, but 4 was not there yet")
  })

  it("catches a conflict's tail that lacks a record or has one too many", () => {
    expect(complaints({ conflict: conflictOf(3, 3, []) })).toContain("the conflict brought [] instead of [3] (C3)")
    expect(complaints({ conflict: conflictOf(3, 3, [1, 3]) })).toContain("brought [1, 3] instead of [3] (C3)")
  })

  it.each([
    ["leaves a batch out", [[2, 3]]],
    ["leaves a record out", [[3], [4]]],
    ["delivers a batch twice", [[2, 3], [2, 3], [4]]],
    ["delivers in another order", [[4], [2, 3]]],
    ["cuts a batch in two", [[2], [3], [4]]],
    ["puts two batches together", [[2, 3, 4]]],
    ["begins before its registration", [[1], [2, 3], [4]]],
    ["begins after its registration", []]
  ])("catches a stream that %s", (_, batches) => {
    expect(complaints({ stream: delivering(...batches) })).toContain("(S2)")
  })

  it("catches a filtered stream that delivers what does not match, and one that delivers other records", () => {
    const filtered = { ...delivering([2, 3], [4]), query: right.filtered.query }
    expect(complaints({ filtered })).toContain("it delivered [2, 3, 4], which is not everything after 1")
    expect(complaints({ stream: { ...right.stream, digest: "" } })).toContain("it delivered other records")
  })

  it("takes any other failure for wrong", () => {
    const query: Query = { ...right.query, answer: { _tag: "Failed", message: "The log is corrupt" } }
    expect(complaints({ query })).toBe("query of process 1 at 25: failed: The log is corrupt")
  })
})

describe("a run", () => {
  const run = (successes: number, conflicts: number): History => ({
    log,
    operations: [
      right.query,
      right.first,
      ...Array.from({ length: successes }, () => right.second),
      ...Array.from({ length: conflicts }, () => right.conflict)
    ]
  })

  it("is void unless at least 15 % of its conditional appends succeed and 15 % conflict", () => {
    expect(whyVoid(run(15, 85))).toBeUndefined()
    expect(whyVoid(run(85, 15))).toBeUndefined()
    expect(whyVoid(run(14, 86))).toBe("void: of 100 conditional appends 14 % succeeded, 86 % conflicted")
    expect(whyVoid(run(86, 14))).toBe("void: of 100 conditional appends 86 % succeeded, 14 % conflicted")
    expect(whyVoid(run(0, 0))).toContain("of 0 conditional appends")
  })
})
