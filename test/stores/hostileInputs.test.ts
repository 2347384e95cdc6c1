/**
 * Whatever a caller passes, a store either records what the contract's normalisation makes of it or refuses it with a typed
 * error: no defect, no half-stored append, no word of the input in a message.
 */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { describe, it } from "vitest"
import type { EventStore } from "../../src/stores/EventStore.ts"
import type { EventStoreError } from "../../src/stores/EventStoreError.ts"
import * as SqliteStore from "../../src/stores/sqlite/SqliteStore.ts"
import { itEffect } from "../support/it.ts"
import { normalise } from "../support/referenceModel.ts"
import { stores, temporaryFile } from "../support/stores.ts"

const secret = "never to be shown"

/** Values of every kind, JSON or not, some of them with the secret in it. */
const anything = fc.anything({
  maxDepth: 4,
  maxKeys: 4,
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
  key: fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("a", "__proto__", "", "toJSON", "constructor")),
  values: [
    fc.boolean(),
    fc.integer(),
    fc.double(),
    fc.string({ unit: "binary" }),
    fc.constantFrom(null, undefined, -0, secret, `${secret}\0`, Symbol(secret), () => secret)
  ]
})

/** By the contract's own words, as far as they can be said in a few lines: is this a JSON value? */
const isJson = (value: unknown): boolean => {
  if (value === null || typeof value === "boolean") return true
  if (typeof value === "number") return Number.isFinite(value)
  if (typeof value === "string") return value.isWellFormed() && !value.includes("\0")
  if (typeof value !== "object") return false
  if (Array.isArray(value)) return Array.from(value).every(isJson)
  const prototype: unknown = Object.getPrototypeOf(value)
  if ((prototype !== null && prototype !== Object.prototype) || Object.getOwnPropertySymbols(value).length > 0)
    return false
  return Object.entries(value).every(([key, member]) => member === undefined || (isJson(key) && isJson(member)))
}

const typedOnly = <A>(call: Effect.Effect<A, EventStoreError>): Effect.Effect<Result.Result<A, EventStoreError>> =>
  Effect.map(Effect.result(call), (result) => {
    if (Result.isSuccess(result)) return result
    const { reason } = result.failure
    assert.ok(["InvalidInput", "LimitExceeded", "EmptyAppend"].includes(reason._tag), reason._tag)
    assert.ok(!`${result.failure.message}${JSON.stringify(result.failure)}`.includes(secret))
    return result
  })

const headOf = (store: EventStore) => Effect.map(store.query(), (result) => result.headSequenceNumber ?? 0)

for (const { name, make } of stores) {
  describe(name, () => {
    itEffect("records a payload exactly when it is JSON, and then as normalised", () =>
      Effect.gen(function* () {
        const store = yield* make
        const seen = { accepted: 0, refused: 0 }
        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(fc.oneof(anything, fc.jsonValue({ maxDepth: 4 })), (payload) =>
              Effect.runPromise(
                Effect.gen(function* () {
                  const before = yield* headOf(store)
                  const result = yield* typedOnly(store.append([{ eventType: "A", payload }]))
                  assert.equal(Result.isSuccess(result), isJson(payload))
                  const { eventRecords } = yield* store.query({ minSequenceNumber: before })
                  const expected = Result.isSuccess(result) ? [normalise(payload)] : []
                  assert.deepStrictEqual(
                    eventRecords.map((record) => record.payload),
                    expected
                  )
                  seen[Result.isSuccess(result) ? "accepted" : "refused"]++
                  const found = yield* typedOnly(store.query({ filters: [{ payloadPredicates: [payload as never] }] }))
                  assert.equal(Result.isSuccess(found), Result.isSuccess(result))
                  if (Result.isSuccess(found)) assert.equal(found.success.currentContextVersion, before + 1)
                })
              )
            ),
            { numRuns: 400 }
          )
        )
        assert.ok(seen.accepted > 50 && seen.refused > 50, JSON.stringify(seen))
      })
    )

    itEffect("answers anything in any place with a typed error or with an append", () =>
      Effect.gen(function* () {
        const store = yield* make
        const event = fc.oneof(
          anything,
          fc.record(
            { eventType: anything, payload: anything, tags: anything, eventId: anything, metadata: anything },
            { requiredKeys: ["eventType", "payload"] }
          ),
          fc.record({ eventType: fc.constantFrom("A", "B"), payload: fc.jsonValue(), metadata: anything })
        )
        const query = fc.oneof(
          anything,
          fc.record({ filters: fc.array(fc.oneof(anything, fc.record({ eventTypes: anything, tags: anything }))) })
        )
        const hostile = (input: unknown): never => input as never
        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(fc.oneof(fc.array(event), anything), query, anything, (events, asked, position) =>
              Effect.runPromise(
                Effect.gen(function* () {
                  const before = yield* headOf(store)
                  const stored: Array<number> = []
                  const appended = yield* typedOnly(store.append(hostile(events)))
                  if (Result.isSuccess(appended)) stored.push(appended.success.committedCount)
                  const keyed = store.append([{ eventType: "A", payload: 1 }], { idempotencyKey: hostile(position) })
                  const repeated = yield* typedOnly(keyed)
                  if (Result.isSuccess(repeated)) {
                    if (repeated.success.firstSequenceNumber > before) stored.push(1)
                    if (position !== undefined) assert.deepStrictEqual(yield* keyed, repeated.success)
                  }
                  yield* typedOnly(store.query(hostile(asked)))
                  const handler = () => Effect.void
                  const stream = yield* typedOnly(store.streamTo(hostile(asked), handler))
                  if (Result.isSuccess(stream)) yield* stream.success.unsubscribe
                  yield* typedOnly(store.query(hostile({ minSequenceNumber: position })))
                  const impossible = { filters: [{ eventTypes: [] }] }
                  const context = typeof position === "number" ? hostile(`${position}`) : hostile(position)
                  const checked = yield* typedOnly(
                    store.appendIf([{ eventType: "A", payload: 1 }], impossible, context)
                  )
                  if (Result.isSuccess(checked)) stored.push(checked.success.committedCount)
                  assert.equal(yield* headOf(store), before + stored.reduce((sum, count) => sum + count, 0))
                })
              )
            ),
            { numRuns: 300 }
          )
        )
      })
    )
  })
}

describe("sqlite", () => {
  itEffect("refuses table prefixes that are no plain name, and creates nothing", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const prefixes = [
        "",
        '"',
        "a.b",
        "a b",
        "A",
        "1a",
        "a-b",
        "\u00e9",
        "a".repeat(49),
        "x".repeat(64),
        "pg_catalog",
        "sqlite_a"
      ]
      for (const tablePrefix of [...prefixes, null, 5]) {
        const opened = yield* Effect.result(SqliteStore.make({ file, tablePrefix: tablePrefix as never }))
        assert.ok(Result.isFailure(opened), `${tablePrefix} was accepted`)
        assert.equal(opened.failure.reason._tag, "InvalidInput")
      }
      const store = yield* SqliteStore.make({ file, tablePrefix: "a".repeat(48) })
      yield* store.append([{ eventType: "A", payload: 1 }])
    })
  )

  it("is among the stores under test", () => {
    assert.ok(stores.some((store) => store.name === "sqlite"))
  })
})
