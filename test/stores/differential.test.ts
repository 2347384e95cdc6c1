/**
 * The same generated commands, valid and hostile, against every store and against a naive model written from the contract:
 * all must give the same answers, errors and deliveries included.
 */
import assert from "node:assert/strict"
import { inspect } from "node:util"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as fc from "fast-check"
import { describe, it } from "vitest"
import type { EventBatch, EventRecord } from "../../src/stores/Event.ts"
import type { EventQuery } from "../../src/stores/EventQuery.ts"
import type { AppendResult, EventStore } from "../../src/stores/EventStore.ts"
import type { EventStoreError } from "../../src/stores/EventStoreError.ts"
import type { EventStream } from "../../src/stores/EventStream.ts"
import type { OpenStore } from "../../src/testing/index.ts"
import type { Command } from "../support/commands.ts"
import { bulk, command, givenIds, question } from "../support/commands.ts"
import { shortened } from "../support/faults.ts"
import { Choices, seeded } from "../support/generated.ts"
import type { AppendCommand, Argument, ModelRecord, Outcome } from "../support/referenceModel.ts"
import { ReferenceModel } from "../support/referenceModel.ts"
import { stores } from "../support/stores.ts"

/** A record as it is compared: without its time, and without an id that the store made up. */
const plainRecord = ({ occurredAt, eventId, ...record }: EventRecord): ModelRecord => {
  assert.ok(Number.isInteger(occurredAt))
  return { ...record, eventId: givenIds.has(eventId) ? eventId : "generated" }
}

const plainRecords = (records: ReadonlyArray<EventRecord>) => records.map(plainRecord)

const plainAppend = ({ eventRecords, commitId, ...numbers }: AppendResult): Outcome => ({
  ...numbers,
  commitId: commitId === eventRecords[0]?.eventId ? "id of the first event" : "another",
  records: plainRecords(eventRecords)
})

const plainFailure = ({ reason }: EventStoreError): Outcome => {
  switch (reason._tag) {
    case "InvalidInput":
      return { failed: reason._tag, path: reason.path }
    case "LimitExceeded":
      return { failed: reason._tag, path: shortened(reason.path), limit: reason.limit, actual: reason.actual }
    case "ConditionalAppendConflict":
      return {
        failed: reason._tag,
        expected: reason.expected,
        actual: reason.actual,
        head: reason.headSequenceNumber,
        tail: reason.tail && plainRecords(reason.tail)
      }
    default:
      return { failed: reason._tag }
  }
}

const outcomeOf = <A>(
  call: Effect.Effect<A, EventStoreError>,
  onSuccess: (value: A) => Outcome
): Effect.Effect<Outcome> =>
  Effect.map(Effect.result(call), (result) =>
    Result.isSuccess(result) ? onSuccess(result.success) : plainFailure(result.failure)
  )

/** A store under test, with the streams that commands have registered on it. */
class Subject {
  readonly name: string
  private readonly open: OpenStore
  private readonly outlives: boolean
  private scope: Scope.Closeable | undefined
  private store: EventStore | undefined
  private streams: Array<{ readonly stream: EventStream; readonly batches: Array<EventBatch> }> = []

  constructor(name: string, open: OpenStore, outlives: boolean) {
    this.name = name
    this.open = open
    this.outlives = outlives
  }

  readonly start = Effect.suspend(() =>
    Effect.gen({ self: this }, function* () {
      this.scope = yield* Scope.make()
      this.store = yield* Scope.provide(this.open, this.scope)
    })
  )

  readonly stop = Effect.suspend(() => (this.scope ? Scope.close(this.scope, Exit.void) : Effect.void))

  run(given: Command): Effect.Effect<unknown, EventStoreError> {
    switch (given.kind) {
      case "query":
        return outcomeOf(this.store!.query(given.query.raw), ({ eventRecords, ...numbers }) => ({
          records: plainRecords(eventRecords),
          ...numbers
        }))
      case "stream":
        return this.register(given.query.raw)
      case "atOnce":
        return Effect.all(
          given.commands.map((it) => this.append(it)),
          { concurrency: "unbounded" }
        )
      case "reopen":
        return this.reopen
      default:
        return this.append(given)
    }
  }

  private append(given: AppendCommand): Effect.Effect<Outcome> {
    const store = this.store!
    if (given.kind === "append") {
      const options = given.key.raw === undefined ? undefined : { idempotencyKey: given.key.raw }
      return outcomeOf(store.append(given.events.raw as never, options), (result) => ({
        committed: [plainAppend(result)]
      }))
    }
    const { query, expected, head, conflictTail } = given.condition
    const options = { headSequenceNumber: head.raw, conflictTail }
    if (given.kind === "appendIf") {
      const keyed = { ...options, idempotencyKey: given.key.raw }
      const call = store.appendIf(given.events.raw as never, query.raw, expected.raw, keyed)
      return outcomeOf(call, (result) => ({ committed: [plainAppend(result)] }))
    }
    const batches = given.batches.map((batch) => batch.raw)
    const call = store.appendBatchesIf(batches as never, query.raw, expected.raw, options)
    return outcomeOf(call, (results) => ({ committed: results.map(plainAppend) }))
  }

  private register(query: EventQuery): Effect.Effect<Outcome> {
    const batches: Array<EventBatch> = []
    const handler = (batch: EventBatch) => Effect.sync(() => batches.push(batch))
    return outcomeOf(this.store!.streamTo(query, handler), (stream) => {
      this.streams.push({ stream, batches })
      return { registered: true }
    })
  }

  private readonly reopen = Effect.suspend(() =>
    Effect.gen({ self: this }, function* () {
      const deliveries: Array<unknown> = []
      for (const { stream, batches } of this.streams) {
        yield* stream.caughtUp
        yield* stream.unsubscribe
        deliveries.push(batches.map(plainRecords))
      }
      this.streams = []
      if (this.outlives) {
        yield* this.stop
        yield* this.start
      }
      return deliveries
    })
  )
}

/** What the model says to a command. */
class Oracle {
  readonly model = new ReferenceModel()
  private streams: Array<{ readonly query: EventQuery; readonly from: number }> = []

  run(given: Command): unknown {
    switch (given.kind) {
      case "query":
        return this.model.query(given.query)
      case "stream": {
        const { refusal, raw } = given.query
        if (refusal !== undefined) return this.model.query(given.query)
        this.streams.push({ query: raw, from: this.model.head })
        return { registered: true }
      }
      case "atOnce":
        return given.commands.map((it) => this.model.append(it))
      case "reopen": {
        const streams = this.streams
        this.streams = []
        return streams.map(({ query, from }) => this.model.deliveries(query, from))
      }
      default:
        return this.model.append(given)
    }
  }
}

/** How selective the queries were that the run has asked: those that match something but not everything tell most. */
const selectivity = { asked: 0, proper: 0 }

const count = (model: ReferenceModel, { raw, refusal }: Argument<EventQuery>): void => {
  if (refusal !== undefined) return
  selectivity.asked++
  const matching = model.matching(raw).length
  if (matching > 0 && matching < model.head) selectivity.proper++
}

const countQueries = (model: ReferenceModel, given: Command): void => {
  if (given.kind === "query" || given.kind === "stream") count(model, given.query)
  else if (given.kind === "appendIf" || given.kind === "appendBatchesIf") count(model, given.condition.query)
  else if (given.kind === "atOnce") for (const one of given.commands) countQueries(model, one)
}

/** How often keys were used again. */
const keys = { repeated: 0, mismatched: 0 }

const countKeys = (model: ReferenceModel, given: Command, outcome: unknown): void => {
  if (given.kind === "atOnce") {
    for (const [index, one] of given.commands.entries()) countKeys(model, one, (outcome as Array<unknown>)[index])
  }
  if (given.kind !== "append" && given.kind !== "appendIf") return
  const { committed, failed } = outcome as Outcome
  if (failed === "IdempotencyMismatch") keys.mismatched++
  const kept = model.keepings.find(({ answer }) => answer.committed === committed)
  if (kept !== undefined && kept.events !== given.events) keys.repeated++
}

/** Fails with the difference first and the command after it. */
const agree = (store: string, given: Command, actual: unknown, expected: unknown): void => {
  const compared = Result.try(() => assert.deepStrictEqual(actual, expected))
  if (Result.isSuccess(compared)) return
  const difference = compared.failure instanceof Error ? compared.failure.message : ""
  const asked = inspect(given, { depth: 8, maxArrayLength: 8, maxStringLength: 80, breakLength: 120 })
  assert.fail(`${store} disagrees with the model: ${difference}\n\nThe command was ${asked}`)
}

const subjects = Effect.forEach(stores, (store) =>
  Effect.map(
    store.reopen ?? Effect.succeed(store.make),
    (open) => new Subject(store.name, open, store.reopen !== undefined)
  )
)

/** Runs a script against the model and every store; `step` runs one command and compares. */
const againstAll = <E>(
  run: (
    step: (given: Command) => Effect.Effect<void, EventStoreError>,
    model: ReferenceModel
  ) => Effect.Effect<void, E, Scope.Scope>
): Promise<void> =>
  Effect.gen(function* () {
    const oracle = new Oracle()
    const opened = yield* subjects
    for (const subject of opened) {
      yield* Effect.addFinalizer(() => subject.stop)
      yield* subject.start
    }
    const step = Effect.fnUntraced(function* (given: Command) {
      countQueries(oracle.model, given)
      const expected = oracle.run(given)
      countKeys(oracle.model, given, expected)
      for (const subject of opened) agree(subject.name, given, yield* subject.run(given), expected)
    })
    yield* run(step, oracle.model)
    yield* step({ kind: "reopen" })
    yield* step({ kind: "query", query: { raw: {} } })
  }).pipe(Effect.scoped, Effect.runPromise)

const script = fc.array(fc.noBias(fc.array(fc.nat(9_999), { minLength: 30, maxLength: 60 })), {
  minLength: 5,
  maxLength: 40,
  size: "max"
})

describe("all stores and the reference model", () => {
  it("give the same answers, errors and deliveries to the same commands", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(script, (numbers) =>
        againstAll((step, model) =>
          Effect.forEach(numbers, (choices) => Effect.suspend(() => step(command(new Choices(choices), model))), {
            discard: true
          })
        )
      ),
      { numRuns: 120, interruptAfterTimeLimit: 60_000 }
    )
    assert.ok(keys.repeated >= 5 && keys.mismatched >= 5, `keys were used again too rarely: ${inspect(keys)}`)
    const share = selectivity.proper / selectivity.asked
    assert.ok(share >= 0.2, `only ${Math.round(share * 100)} % of the queries matched a part of the log`)
  })

  it("give the same answers on logs that are read in many steps", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), (seed) =>
        againstAll((step, model) =>
          Effect.gen(function* () {
            const choices = seeded(seed, 50_000)
            for (const batchCount of [150, 1, 100, 50]) {
              yield* step(bulk(choices, batchCount))
              for (let asked = 0; asked < 12; asked++) yield* step(question(choices, model))
            }
          })
        )
      ),
      { numRuns: 2, endOnFailure: true }
    )
  })
})
