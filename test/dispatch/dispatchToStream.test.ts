/** `dispatchToStream`: the special case of a decision whose boundary is one stream, a tag. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { WrongRevision } from "../../src/dispatch/Outcome.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"
import { deposit, depositEvent, Insufficient, streamOf, takeNote, withdraw } from "./accounts.ts"
import { atOnce, dispatcherOn, watch } from "./watchedStore.ts"

const stream = streamOf("a")
const one = { account: "a", amount: 1 }

for (const { name, make } of stores) {
  describe(`a command for a stream on ${name}`, () => {
    const setUp = Effect.gen(function* () {
      const watched = watch(yield* make)
      return { ...(yield* dispatcherOn(watched.store)), watched }
    })

    itEffect("is decided on the stream's events and recorded there", () =>
      Effect.gen(function* () {
        const { dispatchToStream, watched } = yield* setUp
        yield* watched.foreign.append([
          depositEvent("a", 5),
          { ...depositEvent("a", 100), tags: [] },
          depositEvent("b", 100)
        ])
        const accepted = yield* dispatchToStream(withdraw, stream, { account: "a", amount: 4 })
        expect(accepted).toMatchObject({ _tag: "Accepted", position: 4, state: { balance: 1 }, attempts: 1 })
        const error = yield* Effect.flip(dispatchToStream(withdraw, stream, { account: "a", amount: 4 }))
        expect(error).toEqual(new Insufficient({ balance: 1 }))
      })
    )

    itEffect("conflicts with whatever comes into the stream, though the decider does not look at it", () =>
      Effect.gen(function* () {
        const { dispatchToStream, watched } = yield* setUp
        watched.beforeAppend = () => {
          watched.beforeAppend = () => Effect.void
          return watched.foreign.append([{ eventType: "Something", payload: 1, tags: [stream] }])
        }
        expect(yield* dispatchToStream(deposit, stream, one)).toMatchObject({ position: 2, attempts: 2 })
      })
    )

    itEffect("is for exactly the revision that it names", () =>
      Effect.gen(function* () {
        const { dispatchToStream, watched } = yield* setUp
        yield* watched.foreign.append([depositEvent("b", 1)])
        expect(yield* dispatchToStream(deposit, stream, one, { expectedRevision: null })).toMatchObject({ position: 2 })
        for (const expected of [null, 0, 1, 3]) {
          const error = yield* Effect.flip(dispatchToStream(deposit, stream, one, { expectedRevision: expected }))
          expect(error).toEqual(new WrongRevision({ stream, expected, actual: 2 }))
        }
        expect(yield* dispatchToStream(deposit, stream, one, { expectedRevision: 2 })).toMatchObject({ position: 3 })
        expect(yield* dispatchToStream(deposit, stream, one)).toMatchObject({ position: 4 })
        expect((yield* watched.foreign.query()).headSequenceNumber).toBe(4)
      })
    )

    itEffect("is accepted for a revision that another process has just made", () =>
      Effect.gen(function* () {
        const { dispatchToStream, watched } = yield* setUp
        yield* dispatchToStream(deposit, stream, one)
        yield* watched.foreign.append([depositEvent("a", 1)])
        expect(yield* dispatchToStream(deposit, stream, one, { expectedRevision: 2 })).toMatchObject({ position: 3 })
      })
    )

    itEffect("wins alone among several at once for the same revision", () =>
      Effect.gen(function* () {
        const { dispatchToStream, watched } = yield* setUp
        const answers = yield* atOnce(
          [1, 2, 3, 4].map((amount) =>
            Effect.result(dispatchToStream(deposit, stream, { account: "a", amount }, { expectedRevision: null }))
          )
        )
        expect(answers.map((answer) => answer._tag)).toEqual(["Success", "Failure", "Failure", "Failure"])
        for (const answer of answers.slice(1)) {
          expect(answer).toMatchObject({ failure: { _tag: "WrongRevision", expected: null, actual: 1 } })
        }
        expect((yield* watched.foreign.query()).headSequenceNumber).toBe(1)
      })
    )

    itEffect("knows the revision that commands before it at once have made", () =>
      Effect.gen(function* () {
        const { dispatchToStream } = yield* setUp
        const answers = yield* atOnce([
          Effect.result(dispatchToStream(deposit, stream, one)),
          Effect.result(dispatchToStream(deposit, stream, one, { expectedRevision: 1 })),
          Effect.result(dispatchToStream(deposit, stream, one, { expectedRevision: 2 })),
          Effect.result(dispatchToStream(deposit, stream, one, { expectedRevision: 2 })),
          Effect.result(dispatchToStream(deposit, stream, one))
        ])
        expect(answers.map((answer) => answer._tag)).toEqual(["Success", "Success", "Success", "Failure", "Success"])
      })
    )

    itEffect("dies when it leads to an event without the stream's tag, and records nothing", () =>
      Effect.gen(function* () {
        const { dispatchToStream, watched } = yield* setUp
        const [exit, other] = yield* atOnce([
          Effect.exit(dispatchToStream(takeNote, stream, { account: "a", text: "hello" })),
          dispatchToStream(deposit, stream, one)
        ])
        const defect = exit._tag === "Failure" && exit.cause.reasons.find(Cause.isDieReason)?.defect
        expect(String(defect)).toContain(`TakeNote emitted an event without the tag "${stream}"`)
        expect(other).toMatchObject({ _tag: "Accepted", position: 1 })
        expect((yield* watched.foreign.query()).headSequenceNumber).toBe(1)
      })
    )

    itEffect("fails for a stream whose name no tag can have", () =>
      Effect.gen(function* () {
        const { dispatchToStream } = yield* setUp
        for (const bad of ["", "x".repeat(256), "a\0b"]) {
          const error = yield* Effect.flip(dispatchToStream(deposit, bad, one))
          expect(error).toMatchObject({ _tag: "EventStoreError" })
        }
      })
    )

    itEffect("fails for a revision that cannot be one, as a conditional append does", () =>
      Effect.gen(function* () {
        const { dispatchToStream } = yield* setUp
        for (const expectedRevision of [-1, 1.5, Number.NaN, 2 ** 53, "3" as never]) {
          const error = yield* Effect.flip(dispatchToStream(deposit, stream, one, { expectedRevision }))
          expect(error).toMatchObject({ _tag: "EventStoreError", reason: { _tag: "InvalidInput" } })
        }
      })
    )
  })
}
