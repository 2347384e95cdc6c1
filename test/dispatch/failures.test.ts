/** What one command does wrong is that command's failure, and nobody else's in its lane. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { describe, expect } from "vitest"
import { withMetadata } from "../../src/dispatch/CommandMetadata.ts"
import { itEffect } from "../support/it.ts"
import { deposit, everything, misbehave, takeNote, withdraw } from "./accounts.ts"
import type { Watched } from "./watchedStore.ts"
import { atOnce, watchedDispatcher } from "./watchedStore.ts"

const good = ({ dispatch }: Watched) => dispatch(deposit, { account: "a", amount: 1 })

/** The command between two good ones, all in one round; gives what it fails with, and expects the others to succeed. */
const between = <E>(dispatcher: Watched, bad: Effect.Effect<unknown, E>) =>
  Effect.gen(function* () {
    const [first, exit, last] = yield* atOnce([good(dispatcher), Effect.exit(bad), good(dispatcher)])
    expect(first).toMatchObject({ _tag: "Accepted", position: 1, attempts: 1 })
    expect(last).toMatchObject({ _tag: "Accepted", position: 2, attempts: 1 })
    expect(yield* good(dispatcher)).toMatchObject({ _tag: "Accepted", position: 3, attempts: 1 })
    if (Exit.isSuccess(exit)) throw new Error("the bad command succeeded")
    return exit.cause
  })

const failureOf = <E>(cause: Cause.Cause<E>): E => {
  const reason = cause.reasons.find(Cause.isFailReason)
  if (reason === undefined) throw new Error("the cause holds no typed failure")
  return reason.error
}

const defectOf = (cause: Cause.Cause<unknown>): unknown => cause.reasons.find(Cause.isDieReason)?.defect

describe("a command of a round", () => {
  itEffect("fails alone when an event is too large for the store", () =>
    Effect.gen(function* () {
      const dispatcher = yield* watchedDispatcher({}, { maxPayloadBytes: 200 })
      const bad = dispatcher.dispatch(takeNote, { account: "a", text: "x".repeat(200) })
      const error = failureOf(yield* between(dispatcher, bad))
      expect(error).toMatchObject({ _tag: "EventStoreError", reason: { _tag: "LimitExceeded", limit: 200 } })
    })
  )

  itEffect("that is refused costs a crowded lane a few more appends, not one for every command", () =>
    Effect.gen(function* () {
      const dispatcher = yield* watchedDispatcher({}, { maxPayloadBytes: 200 })
      const fine = Array.from({ length: 150 }, () => Effect.asVoid(good(dispatcher)))
      const bad = Effect.asVoid(dispatcher.dispatch(takeNote, { account: "a", text: "x".repeat(200) }))
      const exits = yield* Effect.forEach([...fine, bad, ...fine], Effect.exit, { concurrency: "unbounded" })
      expect(exits.filter(Exit.isSuccess)).toHaveLength(300)
      expect(exits.findIndex(Exit.isFailure)).toBe(150)
      expect(dispatcher.watched.appends.length).toBeLessThan(30)
    })
  )

  itEffect("fails alone when an event holds what no store takes", () =>
    Effect.gen(function* () {
      const dispatcher = yield* watchedDispatcher()
      const bad = dispatcher.dispatch(takeNote, { account: "a", text: "a\0b" })
      const error = failureOf(yield* between(dispatcher, bad))
      expect(error).toMatchObject({ reason: { _tag: "InvalidInput", path: "batches[0][0].payload.text" } })
    })
  )

  itEffect("fails alone when its metadata is too large", () =>
    Effect.gen(function* () {
      const dispatcher = yield* watchedDispatcher()
      const bad = withMetadata({ long: "x".repeat(9_000) })(good(dispatcher))
      const error = failureOf(yield* between(dispatcher, bad))
      expect(error).toMatchObject({ reason: { _tag: "LimitExceeded", limit: 8_192 } })
    })
  )

  itEffect("fails alone with EncodeError when an event does not fit its catalog", () =>
    Effect.gen(function* () {
      for (const [how, expected] of [
        ["invalidPayload", { _tag: "EncodeError", eventType: "Deposited", problem: "InvalidPayload", path: "amount" }],
        ["unknownType", { _tag: "EncodeError", eventType: "Forged", problem: "UnknownEventType" }]
      ] as const) {
        const dispatcher = yield* watchedDispatcher()
        const bad = dispatcher.dispatch(misbehave, { account: "a", how })
        expect(failureOf(yield* between(dispatcher, bad))).toMatchObject(expected)
      }
    })
  )

  itEffect("dies alone of what its decide throws", () =>
    Effect.gen(function* () {
      const dispatcher = yield* watchedDispatcher()
      const bad = dispatcher.dispatch(misbehave, { account: "a", how: "throwInDecide" })
      expect(defectOf(yield* between(dispatcher, bad))).toEqual(new Error("a bug in decide"))
    })
  )

  itEffect("dies alone when its decide gives no decision", () =>
    Effect.gen(function* () {
      const dispatcher = yield* watchedDispatcher()
      const bad = dispatcher.dispatch(misbehave, { account: "a", how: "noDecision" })
      expect(defectOf(yield* between(dispatcher, bad))).toBeInstanceOf(TypeError)
    })
  )

  itEffect("dies alone of what its context throws, and fails where its query is refused", () =>
    Effect.gen(function* () {
      const dispatcher = yield* watchedDispatcher()
      const bug = dispatcher.dispatch(misbehave, { account: "a", how: "throwInView" })
      expect(defectOf(yield* between(dispatcher, bug))).toEqual(new Error("a bug in the context"))
      const other = yield* watchedDispatcher()
      const refused = other.dispatch(misbehave, { account: "a", how: "refusedQuery" })
      expect(failureOf(yield* between(other, refused))).toMatchObject({ reason: { _tag: "InvalidInput" } })
    })
  )

  itEffect("dies alone of what its evolve throws on its own event, which is not recorded", () =>
    Effect.gen(function* () {
      const dispatcher = yield* watchedDispatcher()
      const bad = dispatcher.dispatch(takeNote, { account: "a", text: "poison" })
      expect(defectOf(yield* between(dispatcher, bad))).toEqual(new Error("a bug in evolve"))
      expect((yield* dispatcher.watched.foreign.query()).headSequenceNumber).toBe(3)
    })
  )
})

describe("a context that cannot be folded", () => {
  itEffect("is a DecodeError that names position and type", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      yield* watched.foreign.append([
        { eventType: "Deposited", payload: { account: "else", amount: 1 } },
        { eventType: "Deposited", payload: { account: "a", amount: "much" } }
      ])
      const error = yield* Effect.flip(dispatch(deposit, { account: "a", amount: 1 }))
      expect(error).toMatchObject({
        _tag: "DecodeError",
        sequenceNumber: 2,
        eventType: "Deposited",
        problem: "InvalidPayload",
        path: "amount"
      })
      expect(error.message).not.toContain("much")
      expect(yield* dispatch(deposit, { account: "b", amount: 1 })).toMatchObject({ _tag: "Accepted" })
    })
  )

  itEffect("is a DecodeError for an event that the catalog does not know, when it comes in between too", () =>
    Effect.gen(function* () {
      const { dispatchToStream, watched } = yield* watchedDispatcher()
      const known = { eventType: "Deposited", payload: { account: "a", amount: 1 }, tags: ["account:a"] }
      yield* watched.foreign.append([known])
      const command = { account: "a", amount: 1 }
      expect(yield* dispatchToStream(everything, "account:a", command)).toMatchObject({ state: 2 })
      yield* watched.foreign.append([{ eventType: "Merged", payload: { account: "a" }, tags: ["account:a"] }])
      const error = yield* Effect.flip(dispatchToStream(everything, "account:a", command))
      expect(error).toMatchObject({
        _tag: "DecodeError",
        sequenceNumber: 3,
        eventType: "Merged",
        problem: "UnknownEventType"
      })
    })
  )

  itEffect("is a DecodeError for one decider, and no matter for another in its lane that does not look there", () =>
    Effect.gen(function* () {
      const { dispatchToStream, watched } = yield* watchedDispatcher()
      yield* watched.foreign.append([{ eventType: "Merged", payload: { account: "a" }, tags: ["account:a"] }])
      const command = { account: "a", amount: 1 }
      const [failed, done] = yield* Effect.all([
        Effect.flip(dispatchToStream(everything, "account:a", command)),
        dispatchToStream(deposit, "account:a", command)
      ])
      expect(failed).toMatchObject({ _tag: "DecodeError", sequenceNumber: 1, eventType: "Merged" })
      expect(done).toMatchObject({ _tag: "Accepted", position: 2 })
    })
  )

  itEffect("is the bug of the decider whose evolve throws, and of no other in its lane", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      yield* watched.foreign.append([{ eventType: "NoteTaken", payload: { account: "a", text: "poison" } }])
      const [exit, ...others] = yield* atOnce([
        Effect.exit(dispatch(takeNote, { account: "a", text: "fine" })),
        Effect.exit(dispatch(deposit, { account: "a", amount: 2 })),
        Effect.exit(dispatch(withdraw, { account: "a", amount: 2 }))
      ])
      expect(exit!._tag === "Failure" && defectOf(exit!.cause)).toEqual(new Error("a bug in evolve"))
      expect(others.map((other) => other._tag)).toEqual(["Success", "Success"])
      expect((yield* watched.foreign.query()).headSequenceNumber).toBe(3)
    })
  )

  itEffect("is not remembered once the process knows better: a failed fold is no obstacle for others later", () =>
    Effect.gen(function* () {
      const { dispatch, watched } = yield* watchedDispatcher()
      yield* watched.foreign.append([{ eventType: "NoteTaken", payload: { account: "a", text: "poison" } }])
      const exit = yield* Effect.exit(dispatch(takeNote, { account: "a", text: "fine" }))
      expect(exit._tag === "Failure" && defectOf(exit.cause)).toEqual(new Error("a bug in evolve"))
      expect(yield* dispatch(deposit, { account: "a", amount: 2 })).toMatchObject({ _tag: "Accepted", position: 2 })
    })
  )
})

describe("a defect of the store", () => {
  itEffect("is the defect of the commands it met, and the next ones find a new lane", () =>
    Effect.gen(function* () {
      const dispatcher = yield* watchedDispatcher()
      dispatcher.watched.beforeAppend = () => Effect.die(new Error("a bug in the store"))
      const exits = yield* atOnce([Effect.exit(good(dispatcher)), Effect.exit(good(dispatcher))])
      for (const exit of exits) {
        expect(exit._tag === "Failure" && defectOf(exit.cause)).toEqual(new Error("a bug in the store"))
      }
      dispatcher.watched.beforeAppend = () => Effect.void
      expect(yield* good(dispatcher)).toMatchObject({ _tag: "Accepted", position: 1 })
    })
  )
})
