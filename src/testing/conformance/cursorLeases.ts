/** Leases of cursors, as the workspace gives them to those who follow the log: who holds one, until when, and who moves what (D2, D5). */
import assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type { EventStore } from "../../stores/EventStore.ts"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import type { Claim, Claimed, CursorTable } from "../../stores/WorkspaceTables.ts"
import { onLog, onStore } from "./ConformanceCase.ts"
import { eventually, inTime, range } from "./expectations.ts"

const hour = 3_600_000

const claim = (owner: string, leaseMs: number, more: Partial<Claim> = {}): Claim => ({
  cursor: "mine",
  query: "all",
  start: 0,
  owner,
  leaseMs,
  ...more
})

type Held = Extract<Claimed, { readonly _tag: "Held" }>

/** Does one thing with the cursors, in a transaction of its own. */
const using =
  (store: EventStore) =>
  <A>(run: (cursors: CursorTable) => Effect.Effect<A, EventStoreError>) =>
    store.workspace.transaction(({ cursors }) => run(cursors))

const held = (claimed: Claimed): Held => {
  assert.equal(claimed._tag, "Held")
  return claimed as Held
}

export const cursorLeases = [
  onStore("D5", "a lease is had by one, and by the next one when it has ended, under a higher epoch", (store) =>
    Effect.gen(function* () {
      const cursors = using(store)
      const first = held(yield* cursors((it) => it.claim(claim("one", 150))))
      assert.equal(first.position, 0)
      const taken = yield* cursors((it) => it.claim(claim("other", hour)))
      assert.ok(taken._tag === "Taken" && !taken.paused && taken.leftMs <= 150)
      const claimed = yield* inTime(
        Effect.repeat(
          cursors((it) => it.claim(claim("other", hour))),
          { until: ({ _tag }) => _tag === "Held", schedule: Schedule.spaced("5 millis") }
        ),
        "the lease ends"
      )
      assert.ok(held(claimed).epoch > first.epoch)
      const refused = yield* cursors((it) => it.claim(claim("one", hour)))
      assert.ok(refused._tag === "Taken" && refused.leftMs > hour / 2)
    })
  ),
  onStore("D5", "who lost a lease moves, renews and gives back nothing", (store) =>
    Effect.gen(function* () {
      const cursors = using(store)
      const first = held(yield* cursors((it) => it.claim(claim("one", hour))))
      yield* cursors((it) => it.move("mine", first.epoch, 3, 0))
      const second = held(yield* cursors((it) => it.claim(claim("other", hour))))
      assert.equal(second.position, 3)
      assert.equal(yield* cursors((it) => it.move("mine", first.epoch, 7, hour)), undefined)
      assert.equal(yield* cursors((it) => it.renew("mine", first.epoch, 7, hour)), undefined)
      yield* cursors((it) => it.release("mine", first.epoch, 7))
      const [row] = yield* cursors((it) => it.read(["mine"]))
      assert.deepStrictEqual([row!.position, row!.epoch, row!.held], [3, second.epoch, true])
    })
  ),
  onStore("D5", "the owner of a lease may claim it again, and is another holder then", (store) =>
    Effect.gen(function* () {
      const cursors = using(store)
      const first = held(yield* cursors((it) => it.claim(claim("one", hour))))
      const again = held(yield* cursors((it) => it.claim(claim("one", hour))))
      assert.ok(again.epoch > first.epoch)
      assert.equal(yield* cursors((it) => it.move("mine", first.epoch, 1, hour)), undefined)
    })
  ),
  onStore("D2", "a cursor moves forward only", (store) =>
    Effect.gen(function* () {
      const cursors = using(store)
      const { epoch } = held(yield* cursors((it) => it.claim(claim("one", hour, { start: 4 }))))
      const at = (position: number) => ({ position, paused: false })
      assert.deepStrictEqual(yield* cursors((it) => it.renew("mine", epoch, 2, hour)), at(4))
      assert.equal(yield* cursors((it) => it.move("mine", epoch, 4, hour)), undefined)
      assert.equal(yield* cursors((it) => it.move("mine", epoch, 3, hour)), undefined)
      assert.deepStrictEqual(yield* cursors((it) => it.move("mine", epoch, 5, hour)), at(5))
      assert.deepStrictEqual(yield* cursors((it) => it.renew("mine", epoch, 6, hour)), at(6))
      yield* cursors((it) => it.release("mine", epoch, 1))
      const [row] = yield* cursors((it) => it.read(["mine"]))
      assert.deepStrictEqual([row!.position, row!.held], [6, false])
    })
  ),
  onStore("D2", "a move that is undone with its transaction has not happened", (store) =>
    Effect.gen(function* () {
      const cursors = using(store)
      const { epoch } = held(yield* cursors((it) => it.claim(claim("one", hour))))
      yield* Effect.ignore(cursors((it) => Effect.andThen(it.move("mine", epoch, 1, hour), Effect.fail("no" as never))))
      assert.deepStrictEqual((yield* cursors((it) => it.read(["mine"])))[0]!.position, 0)
    })
  ),
  onStore("D2", "work that dies, throws or is interrupted leaves nothing behind in its transaction", (store) =>
    Effect.gen(function* () {
      const cursors = using(store)
      const { epoch } = held(yield* cursors((it) => it.claim(claim("one", hour))))
      let begun = 0
      const ends: ReadonlyArray<Effect.Effect<never>> = [
        Effect.die(new Error("a defect")),
        Effect.sync((): never => {
          throw new Error("thrown")
        }),
        Effect.interrupt,
        Effect.never
      ]
      for (const [index, end] of ends.entries()) {
        const working = yield* Effect.forkChild(
          cursors((it) =>
            it
              .move("mine", epoch, index + 1, hour)
              .pipe(
                Effect.andThen(it.ensure(claim("", 0, { cursor: `made ${index}` }))),
                Effect.andThen(Effect.suspend(() => (begun++, end)))
              )
          )
        )
        yield* eventually("the work is half done", () => begun === index + 1)
        if (index === ends.length - 1) yield* Fiber.interrupt(working)
        const exit = yield* inTime(Fiber.await(working), "the transaction ends")
        assert.ok(Exit.isFailure(exit))
        const rows = yield* cursors((it) => it.read(["mine", `made ${index}`]))
        assert.deepStrictEqual(
          rows.map(({ cursor, position }) => [cursor, position]),
          [["mine", 0]]
        )
      }
    })
  ),
  onStore("D5", "a cursor that is paused cannot be claimed, and its holder is told", (store) =>
    Effect.gen(function* () {
      const cursors = using(store)
      const { epoch } = held(yield* cursors((it) => it.claim(claim("one", hour))))
      yield* cursors((it) => it.setPaused("mine", true))
      assert.equal((yield* cursors((it) => it.move("mine", epoch, 1, hour)))?.paused, true)
      assert.equal((yield* cursors((it) => it.renew("mine", epoch, 1, hour)))?.paused, true)
      for (const owner of ["one", "other"]) {
        const taken = yield* cursors((it) => it.claim(claim(owner, hour)))
        assert.ok(taken._tag === "Taken" && taken.paused)
      }
      yield* cursors((it) => it.setPaused("mine", false))
      held(yield* cursors((it) => it.claim(claim("one", hour))))
    })
  ),
  onStore("D5", "a cursor that is set back has no holder any more", (store) =>
    Effect.gen(function* () {
      const cursors = using(store)
      const { epoch } = held(yield* cursors((it) => it.claim(claim("one", hour, { start: 9 }))))
      yield* cursors((it) => it.reset("mine", 2))
      assert.equal(yield* cursors((it) => it.renew("mine", epoch, 10, hour)), undefined)
      const next = held(yield* cursors((it) => it.claim(claim("other", hour))))
      assert.deepStrictEqual([next.position, next.epoch > epoch], [2, true])
    })
  ),
  onStore("D4", "a cursor belongs to what it was made for, whoever holds it", (store) =>
    Effect.gen(function* () {
      const cursors = using(store)
      yield* cursors((it) => it.ensure(claim("", 0, { start: 5 })))
      assert.equal((yield* cursors((it) => it.claim(claim("one", hour, { query: "another" }))))._tag, "OtherQuery")
      assert.equal(held(yield* cursors((it) => it.claim(claim("one", hour)))).position, 5)
      assert.equal((yield* cursors((it) => it.claim(claim("one", hour, { query: "another" }))))._tag, "OtherQuery")
      yield* cursors((it) => it.remove("mine"))
      held(yield* cursors((it) => it.claim(claim("other", hour, { query: "another" }))))
    })
  ),
  onLog("D5", "of claims at once, through several stores, exactly one is granted", (open) =>
    Effect.gen(function* () {
      const stores = [yield* open, yield* open, yield* open, yield* open]
      for (const round of range(1, 12)) {
        const made = claim("", 0, { cursor: `cursor ${round}` })
        // New ones, and such as are there and free.
        if (round % 2 === 0) yield* using(stores[0]!)((it) => it.ensure(made))
        const answers = yield* Effect.all(
          stores.map((store, index) => using(store)((it) => it.claim({ ...made, owner: `${index}`, leaseMs: hour }))),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(answers.map(({ _tag }) => _tag).sort(), ["Held", "Taken", "Taken", "Taken"])
      }
    })
  )
]
