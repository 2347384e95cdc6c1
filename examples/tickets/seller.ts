/** A process that sells its share of the tickets, as `processes.ts` tells it to. It ends when nobody is there to tell it. */
import { layerDispatcher } from "evolvent"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type { FromSeller, ToSeller } from "./processes.ts"
import type { Answers } from "./race.ts"
import { race } from "./race.ts"
import { layerAt } from "./stores.ts"

const say = (message: FromSeller): Effect.Effect<void> =>
  Effect.callback((resume) => void process.send?.(message, () => resume(Effect.void)))

const program = Effect.gen(function* () {
  const messages = yield* Queue.unbounded<ToSeller>()
  process.on("message", (message: ToSeller) => Queue.offerUnsafe(messages, message))
  yield* say({ _tag: "Loaded" })
  const first = yield* Queue.take(messages)
  if (first._tag !== "Sell") return
  const { location, reportProgress, ...options } = first.order
  const onProgress = (answers: Answers): void => void process.send?.({ _tag: "Progress", answers }, () => {})
  const sell = Effect.gen(function* () {
    yield* say({ _tag: "Ready" })
    yield* Queue.take(messages)
    return yield* race({ ...options, ...(reportProgress ? { onProgress } : {}) })
  })
  const result = yield* Effect.provide(sell, Layer.provideMerge(layerDispatcher(), layerAt(location)))
  yield* say({ _tag: "Finished", result })
})

/** Ctrl-C goes to every process of a terminal; the one that started this one decides what it means. */
process.on("SIGINT", () => {})

const complain = (cause: Cause.Cause<unknown>) =>
  Cause.hasInterruptsOnly(cause) ? Effect.void : say({ _tag: "Failed", message: String(Cause.squash(cause)) })

const fiber = Effect.runFork(program.pipe(Effect.tapCause(complain)))
process.once("disconnect", () => fiber.interruptUnsafe())
fiber.addObserver((exit) => {
  if (Exit.isFailure(exit)) process.exitCode = 1
  if (process.connected) process.disconnect()
})
