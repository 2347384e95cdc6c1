/** What becomes of commands when the dispatcher, or the store under it, is closed. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { describe, expect } from "vitest"
import * as MemoryStore from "../../src/stores/memory/MemoryStore.ts"
import { closable, inTime, range } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { deposit } from "./accounts.ts"
import { dispatcherOn, makeGate, started, watch } from "./watchedStore.ts"

const command = { account: "a", amount: 1 }

const setUp = Effect.gen(function* () {
  const { close: closeStore, store } = yield* closable(MemoryStore.make())
  const watched = watch(store)
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const dispatcher = yield* Scope.provide(dispatcherOn(watched.store), scope)
  return { ...dispatcher, close: Scope.close(scope, Exit.void), closeStore, watched }
})

const storeClosed = { _tag: "EventStoreError", reason: { _tag: "StoreClosed" } }

describe("a closed dispatcher", () => {
  itEffect("answers commands that still wait with StoreClosed and records nothing of them", () =>
    Effect.gen(function* () {
      const { close, dispatch, watched } = yield* setUp
      const gate = yield* makeGate
      watched.beforeAppend = () => gate.pass
      yield* started(Effect.exit(dispatch(deposit, command)))
      yield* gate.reached
      const waiting = yield* Effect.forEach([1, 2], () => started(Effect.flip(dispatch(deposit, command))))
      yield* started(close)
      yield* gate.open
      for (const fiber of waiting) expect(yield* Fiber.join(fiber)).toMatchObject(storeClosed)
      yield* close
      expect((yield* watched.foreign.query()).headSequenceNumber ?? 0).toBeLessThanOrEqual(1)
    })
  )

  itEffect("answers every command, wherever its own fiber or that of the lane has yielded", () =>
    Effect.gen(function* () {
      const store = yield* MemoryStore.make()
      const atMost = (operations: number) => Effect.provideService(Scheduler.MaxOpsBeforeYield, operations)
      for (const operations of range(5, 60)) {
        for (const [ofCommand, ofLane] of [
          [operations, 1_000],
          [1_000, operations]
        ] as const) {
          const scope = yield* Scope.make()
          const { dispatch } = yield* Scope.provide(dispatcherOn(store), scope).pipe(atMost(ofLane))
          const answer = yield* started(Effect.exit(dispatch(deposit, command)).pipe(atMost(ofCommand)))
          yield* Scope.close(scope, Exit.void)
          yield* inTime(Fiber.join(answer), `the answer where a fiber yields after ${operations} operations`)
        }
      }
    })
  )

  itEffect("refuses commands, and can be closed twice", () =>
    Effect.gen(function* () {
      const { close, dispatch, watched } = yield* setUp
      yield* dispatch(deposit, command)
      yield* close
      expect(yield* Effect.flip(dispatch(deposit, command))).toMatchObject(storeClosed)
      yield* close
      expect((yield* watched.foreign.query()).headSequenceNumber).toBe(1)
    })
  )

  itEffect("does not say of a command that it was not recorded when it was", () =>
    Effect.gen(function* () {
      const { close, dispatch, watched } = yield* setUp
      const gate = yield* makeGate
      watched.afterAppend = gate.pass
      const committed = yield* started(Effect.exit(dispatch(deposit, command)))
      yield* gate.reached
      const closing = yield* started(close)
      yield* gate.open
      const exit = yield* Fiber.join(committed)
      yield* Fiber.join(closing)
      expect((yield* watched.foreign.query()).headSequenceNumber).toBe(1)
      const failure = Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isFailReason)?.error : undefined
      const deniesIt = failure?._tag === "EventStoreError" && !failure.mayHaveCommitted
      expect(deniesIt).toBe(false)
    })
  )
})

describe("a dispatcher on a closed store", () => {
  itEffect("answers with the store's StoreClosed at once", () =>
    Effect.gen(function* () {
      const { closeStore, dispatch, watched } = yield* setUp
      yield* dispatch(deposit, command)
      yield* closeStore
      for (const amount of [1, 0]) {
        expect(yield* Effect.flip(dispatch(deposit, { account: "a", amount }))).toMatchObject(storeClosed)
      }
      expect(yield* Effect.flip(dispatch(deposit, { account: "b", amount: 1 }))).toMatchObject(storeClosed)
      expect(watched.appends.length).toBe(2)
    })
  )
})
