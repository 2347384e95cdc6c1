/** The verdict on a history against brute force, which tries every order of the commands; and each reason for a refusal. */
import * as fc from "fast-check"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import * as Decider from "../../src/decider/Decider.ts"
import * as EventCatalog from "../../src/decider/EventCatalog.ts"
import type { EventRecord } from "../../src/stores/Event.ts"
import { CommitUnknown, fromReason, StoreUnavailable } from "../../src/stores/EventStoreError.ts"
import { Serialisability } from "../../src/testing/index.ts"

const limit = 4
const Events = EventCatalog.make({ Added: Schema.Struct({ amount: Schema.Int }) })

class Full extends Schema.TaggedError<Full>()("Full", { total: Schema.Int }) {}

/** Adds up to a limit; nothing is to be done for an even total and no amount. */
const add = Decider.make({
  name: "Add",
  events: Events,
  context: () => Events.queryAll(),
  initial: { total: 0 },
  evolve: { Added: ({ total }, { amount }) => ({ total: total + amount }) },
  decide: ({ amount }: { readonly amount: number }, { total }) => {
    if (amount === 0 && total % 2 === 0) return Decider.nothing
    return amount === 0 || total + amount > limit
      ? Decider.reject(new Full({ total }))
      : Decider.accept(Events.Added({ amount }))
  }
})

interface Did {
  readonly amount: number
  readonly called: number
  readonly answered: number
  readonly answer: Serialisability.Answer
}

const record = (sequenceNumber: number, amount: number, id: number): EventRecord => ({
  sequenceNumber,
  eventId: `00000000-0000-4000-8000-00000000000${sequenceNumber}`,
  eventType: "Added",
  schemaVersion: 1,
  payload: { amount },
  tags: [],
  metadata: { "evolvent.testing.command": String(id) },
  occurredAt: 0
})

/** What the command is answered where the log is this, by hand: not with the decider. */
const expected = (amount: number, id: number, log: ReadonlyArray<EventRecord>): Serialisability.Answer => {
  const total = log.reduce((sum, { payload }) => sum + (payload as { amount: number }).amount, 0)
  const position = log.length === 0 ? null : log.length
  if (amount === 0 && total % 2 === 0) return { _tag: "NothingToDo", state: { total }, position, attempts: 1 }
  if (amount === 0 || total + amount > limit) return { _tag: "Rejected", rejection: new Full({ total }), attempts: 1 }
  const eventRecords = [record(log.length + 1, amount, id)]
  return { _tag: "Accepted", eventRecords, state: { total: total + amount }, position: log.length + 1, attempts: 1 }
}

/** Carries the amounts out in this order. */
const inSeries = (amounts: ReadonlyArray<number>, order: ReadonlyArray<number>) => {
  const log: Array<EventRecord> = []
  const answers = new Map<number, Serialisability.Answer>()
  for (const id of order) {
    const answer = expected(amounts[id - 1]!, id, log)
    if (answer._tag === "Accepted") log.push(...answer.eventRecords)
    answers.set(id, answer)
  }
  return { log, answers }
}

const permutations = (ids: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<number>> =>
  ids.length === 0
    ? [[]]
    : ids.flatMap((id) => permutations(ids.filter((other) => other !== id)).map((rest) => [id, ...rest]))

const isInTime = (order: ReadonlyArray<number>, did: ReadonlyArray<Did>): boolean =>
  order.every((id, index) => order.slice(index + 1).every((later) => did[later - 1]!.answered >= did[id - 1]!.called))

const textOf = (answer: Serialisability.Answer | undefined): string => JSON.stringify({ ...answer, attempts: 1 })

const explains = (order: ReadonlyArray<number>, did: ReadonlyArray<Did>, log: ReadonlyArray<EventRecord>): boolean => {
  const series = inSeries(
    did.map(({ amount }) => amount),
    order
  )
  return (
    isInTime(order, did) &&
    JSON.stringify(series.log) === JSON.stringify(log) &&
    did.every(({ answer }, index) => textOf(answer) === textOf(series.answers.get(index + 1)))
  )
}

const historyOf = (did: ReadonlyArray<Did>, log: ReadonlyArray<EventRecord>): Serialisability.History => ({
  commands: did.map(({ amount, answer, answered, called }, index) => ({
    id: index + 1,
    request: Serialisability.request(add, { amount }),
    process: 0,
    given: false,
    called,
    answered,
    answer
  })),
  steps: [],
  log
})

/** A right history, or one with an answer, a time or two events exchanged. */
const histories = fc
  .record({
    commands: fc.array(fc.record({ amount: fc.nat(2), late: fc.nat(25), long: fc.integer({ min: 1, max: 40 }) }), {
      minLength: 2,
      maxLength: 5
    }),
    order: fc.array(fc.nat(), { minLength: 5, maxLength: 5 }),
    change: fc.constantFrom("none", "answers", "times", "time", "log"),
    at: fc.tuple(fc.nat(), fc.nat())
  })
  .map(({ at, change, commands, order }) => {
    const ids = commands.map((_, index) => index + 1).toSorted((a, b) => order[a - 1]! - order[b - 1]!)
    const amounts = commands.map(({ amount }) => amount)
    const { answers, log } = inSeries(amounts, ids)
    const did = commands.map(({ amount, late, long }, index): Did => {
      const moment = ids.indexOf(index + 1) * 20 + 30
      return { amount, called: moment - late, answered: moment + long, answer: answers.get(index + 1)! }
    })
    const [a, b] = at.map((number) => number % did.length) as [number, number]
    if (change === "answers") exchange(did, a, b, ({ answer }) => ({ answer }))
    if (change === "times") exchange(did, a, b, ({ answered, called }) => ({ answered, called }))
    if (change === "time") did[a] = { ...did[a]!, answered: did[a]!.called + 1 }
    if (change === "log" && log.length > 1) log.reverse()
    return { did, log: log.map((it, index) => ({ ...it, sequenceNumber: index + 1 })) }
  })

const exchange = (did: Array<Did>, a: number, b: number, part: (it: Did) => Partial<Did>): void => {
  const [first, second] = [did[a]!, did[b]!]
  did[a] = { ...first, ...part(second) }
  did[b] = { ...second, ...part(first) }
}

describe("a history is explained", () => {
  it("if and only if some order of its commands explains it, and the order it names does", () => {
    const seen = { explained: 0, unexplained: 0 }
    fc.assert(
      fc.property(histories, ({ did, log }) => {
        const explanation = Serialisability.explain(historyOf(did, log))
        const orders = permutations(did.map((_, index) => index + 1))
        if (explanation._tag === "Explained") {
          seen.explained += 1
          return explains(explanation.order, did, log)
        }
        seen.unexplained += 1
        return !orders.some((order) => explains(order, did, log))
      }),
      { numRuns: 1_000, seed: 11 }
    )
    expect(seen.explained).toBeGreaterThan(250)
    expect(seen.unexplained).toBeGreaterThan(250)
  })
})

describe("a history is refused", () => {
  const one = expected(2, 1, []) as Extract<Serialisability.Answer, { _tag: "Accepted" }>
  const log = [record(1, 2, 1)]
  const did = (answer: Serialisability.Answer, times: readonly [number, number] = [0, 1], amount = 2): Did => ({
    amount,
    called: times[0],
    answered: times[1],
    answer
  })
  const problemsOf = (commands: ReadonlyArray<Did>, records: ReadonlyArray<EventRecord>) => {
    const explanation = Serialisability.explain(historyOf(commands, records))
    return explanation._tag === "Explained" ? [] : explanation.problems
  }
  const failed = (reason: CommitUnknown | StoreUnavailable, isTolerated = true): Serialisability.Answer => {
    const error = fromReason(reason)
    return { _tag: "Failed", error, mayHaveCommitted: error.mayHaveCommitted, isTolerated }
  }
  const unknown = new CommitUnknown({ commitId: "c" })
  const down = new StoreUnavailable({ code: "X", operation: "answer", retryable: true })

  it("where nobody was asked for an event", () => {
    expect(problemsOf([did(one)], [...log, { ...record(2, 1, 9), metadata: {} }])).toEqual([
      "nobody was asked for 2 Added { amount: 1 }"
    ])
  })

  it("where a command has recorded twice", () => {
    const other = expected(1, 2, log)
    expect(problemsOf([did(one), did(other, [0, 1], 1)], [...log, record(2, 1, 2), record(3, 2, 1)])).toContain(
      "#1 recorded twice: 1 Added { amount: 2 }, and again 3 Added { amount: 2 }"
    )
    expect(problemsOf([did(failed(unknown))], [...log, record(2, 2, 1)])).toEqual([
      "#1 recorded 1 Added { amount: 2 }, 2 Added { amount: 2 }, but on the empty log its decider decides Added { amount: 2 }"
    ])
  })

  it("where an answer tells of events that the log does not hold", () => {
    expect(problemsOf([did(one)], [])).toEqual([
      "#1 was told that 1 Added { amount: 2 } is recorded, which the log does not hold"
    ])
  })

  it("where a failure that promises that nothing is recorded has recorded something", () => {
    expect(problemsOf([did(failed(down))], log)).toEqual([
      "#1 recorded 1 Added { amount: 2 }, but failed with EventStoreError: StoreUnavailable: The store failed to answer (X): check the store, then try again."
    ])
  })

  it("where a state was told that is another", () => {
    expect(problemsOf([did({ ...one, state: { total: 3 } })], log)).toEqual([
      "#1 recorded 1 Added { amount: 2 } and was told the state { total: 3 }; it is { total: 2 }"
    ])
  })

  it("where a command comes before one in the log that was answered before it was called", () => {
    const two = expected(2, 2, log)
    expect(problemsOf([did(one, [5, 6]), did(two, [1, 2])], [...log, record(2, 2, 2)])).toEqual([
      "#1 was called when #2 had been answered, but comes before it in the log"
    ])
  })

  it("where a rejection was never right while the command was under way, and says what would have been", () => {
    const stale: Serialisability.Answer = { _tag: "Rejected", rejection: new Full({ total: 0 }), attempts: 1 }
    expect(problemsOf([did(one), did(stale, [3, 4], 3)], log)).toEqual([
      '#2 was rejected with Full { _tag: "Full", total: 0 }, which was never right between its call and its answer:\n' +
        '    on the log up to 1 its decider rejects with Full { _tag: "Full", total: 2 }'
    ])
  })

  it("where two readers disagree about the order of what they have seen", () => {
    const writer = did(expected(1, 1, []), [0, 9], 1)
    const odd: Serialisability.Answer = { _tag: "Rejected", rejection: new Full({ total: 1 }), attempts: 1 }
    const none: Serialisability.Answer = { _tag: "NothingToDo", state: { total: 0 }, position: null, attempts: 1 }
    expect(problemsOf([writer, did(none, [1, 2], 0), did(odd, [3, 4], 0)], [record(1, 1, 1)])).toEqual([])
    expect(problemsOf([writer, did(odd, [1, 2], 0), did(none, [3, 4], 0)], [record(1, 1, 1)])).toEqual([
      "#3 had nothing to do, its context at null, the state { total: 0 }, which was never right between its call and its answer:\n" +
        "    on the empty log (its context at null, the state { total: 0 }) its decider has nothing to do, which is before the place of a command that was answered earlier\n" +
        '    on the log up to 1 (its context at 1, the state { total: 1 }) its decider rejects with Full { _tag: "Full", total: 1 }'
    ])
  })

  it("not where the answer to a commit was lost, recorded or not", () => {
    expect(problemsOf([did(failed(unknown))], log)).toEqual([])
    expect(problemsOf([did(failed(unknown))], [])).toEqual([])
    expect(problemsOf([did(failed(unknown, false))], [])).toEqual([
      "#1 failed with EventStoreError: CommitUnknown: Whether commit c happened is unknown: look for an event with this id before you append again."
    ])
  })
})
