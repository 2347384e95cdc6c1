/** Partitions: every event once, in order within its key, over whichever workers there are. */
import assert from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { describe } from "vitest"
import * as Projection from "../../src/projections/Projection.ts"
import { inTime, range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import {
  appendEach,
  byBuyer,
  databases,
  Events,
  eventuallyStatus,
  listing,
  makeModel,
  memory,
  numbersOf,
  sharedLog,
  sold,
  startWorker
} from "./sales.ts"

const partitions = 4

const buyers = range(1, 9).map((n) => `buyer ${n}`)

for (const under of databases) {
  describe(under.name, () => {
    itEffect("two workers share the partitions; when one ends the other has all; every event counts once", () =>
      Effect.gen(function* () {
        const open = yield* sharedLog(under)
        const [one, other] = [yield* open, yield* open]
        const model = yield* makeModel(one)
        const by: Array<readonly [worker: string, buyer: string, number: number]> = []
        const of = (worker: string) =>
          listing(model, {
            partitions,
            key: byBuyer,
            handle: (events, transaction) =>
              Effect.tap(model.handle(events, transaction), () =>
                Effect.sync(() => {
                  for (const { event, record } of events) by.push([worker, event.payload.buyer, record.sequenceNumber])
                })
              )
          })
        const sell = (count: number) =>
          Effect.forEach(range(1, count), () => one.append(buyers.map((buyer) => sold(buyer))), { discard: true })
        yield* sell(3)
        const first = yield* startWorker(one, [of("first")])
        yield* first.waitFor(model.table, 27)
        assert.equal(new Set((yield* first.status(model.table)).partitions.map(({ state }) => state)).size, 1)
        const second = yield* startWorker(other, [of("second")])
        // Some of them change hands: whoever asks first has them.
        const cursors = [0, 1].map((partition) => `projection ${model.table}\u00011\u0001${partition}`)
        yield* inTime(
          Effect.gen(function* () {
            while ((yield* second.status(model.table)).partitions.every(({ state }) => state === "waiting")) {
              yield* one.workspace.transaction((transaction) =>
                Effect.forEach(cursors, (cursor) => transaction.cursors.reset(cursor, 27))
              )
              yield* Effect.sleep("300 millis")
            }
          }),
          "the second worker has a part"
        )
        yield* sell(3)
        yield* second.waitFor(model.table, 54)
        assert.deepStrictEqual([...new Set(by.slice(27).map(([worker]) => worker))].sort(), ["first", "second"])
        yield* first.stop
        yield* sell(3)
        yield* second.waitFor(model.table, 81)
        const status = yield* second.status(model.table)
        assert.deepStrictEqual(
          status.partitions.map(({ partition, state }) => [partition, state]),
          range(0, 3).map((partition) => [partition, "running"])
        )
        assert.deepStrictEqual(
          [...(yield* model.numbers)].sort((a, b) => a - b),
          range(1, 81)
        )
        for (const buyer of buyers) {
          const numbers = by.filter(([, of]) => of === buyer).map(([, , number]) => number)
          assert.deepStrictEqual(
            numbers,
            [...numbers].sort((a, b) => a - b),
            buyer
          )
        }
      })
    )
  })
}

for (const under of [memory, ...databases]) {
  describe(`${under.name}, elsewhere`, () => {
    itEffect("a partition that is held up holds up its own keys only, and the projection is as far as that one", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const [started, mayFinish] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const handled: Array<number> = []
        const projection = Projection.elsewhere({
          name: "parted",
          events: Events,
          partitions,
          key: byBuyer,
          handle: (events) =>
            Effect.gen(function* () {
              if (numbersOf(events).includes(1)) {
                yield* Deferred.succeed(started, undefined)
                yield* Deferred.await(mayFinish)
              }
              handled.push(...numbersOf(events))
            })
        })
        yield* appendEach(store, buyers.map(sold))
        const worker = yield* startWorker(store, [projection])
        const status = yield* eventuallyStatus(
          worker,
          projection,
          "the others are done",
          (now) => now.partitions.filter(({ position }) => position === 9).length === partitions - 1
        )
        assert.deepStrictEqual([status.position, status.lag], [0, 9])
        assert.ok(handled.length > 0 && !handled.includes(1))
        const held = [...handled]
        yield* Deferred.succeed(mayFinish, undefined)
        yield* worker.waitFor(projection, 9)
        const rest = handled.slice(held.length)
        assert.deepStrictEqual(
          rest,
          [...rest].sort((a, b) => a - b)
        )
        assert.equal(rest[0], 1)
        assert.deepStrictEqual(
          [...handled].sort((a, b) => a - b),
          range(1, 9)
        )
      })
    )

    itEffect("a key that is no text is a failure of the projection", () =>
      Effect.gen(function* () {
        const store = yield* under.make
        const projection = Projection.elsewhere({
          name: "keyless",
          events: Events,
          partitions: 2,
          key: () => 7 as never,
          handle: () => undefined
        })
        yield* store.append([sold()])
        const worker = yield* startWorker(store, [projection])
        const status = yield* eventuallyStatus(
          worker,
          projection,
          "it fails",
          ({ lastError }) => lastError !== undefined
        )
        assert.match(String(status.lastError), /the key of event 1/)
      })
    )
  })
}
