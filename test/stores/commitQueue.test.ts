/** Calls that queue up wake as many workers as there is work for, and each of them is answered once. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { expect } from "vitest"
import { CommitQueue } from "../../src/stores/internal/CommitQueue.ts"
import { itEffect } from "../support/it.ts"

/** Takes one call after the other and answers it with the worker's name. */
const work = (queue: CommitQueue<number, string>, name: string): Effect.Effect<never> =>
  Effect.gen(function* () {
    while (true) {
      yield* queue.nonEmpty
      yield* Effect.yieldNow
      for (const { answer, request } of queue.take(1)) {
        yield* Effect.sleep(1)
        answer(Effect.succeed(`${name} ${request}`))
      }
    }
  })

itEffect("every worker that waits is woken by a call of its own", () =>
  Effect.gen(function* () {
    const queue = new CommitQueue<number, string>()
    for (const name of ["a", "b"]) yield* Effect.forkScoped(work(queue, name), { startImmediately: true })
    const answers = yield* Effect.forEach([1, 2, 3, 4], (call) => queue.submit(call, 1), { concurrency: "unbounded" })
    expect(answers.map((answer) => Number(answer.split(" ")[1]))).toEqual([1, 2, 3, 4])
    expect(new Set(answers.map((answer) => answer.split(" ")[0]))).toEqual(new Set(["a", "b"]))
  }).pipe(Effect.scoped)
)

itEffect("a worker that is interrupted while it waits leaves the calls to the others", () =>
  Effect.gen(function* () {
    const queue = new CommitQueue<number, string>()
    const [first] = yield* Effect.forEach(["a", "b"], (name) =>
      Effect.forkScoped(work(queue, name), { startImmediately: true })
    )
    yield* Fiber.interrupt(first!)
    expect(yield* queue.submit(1, 1)).toBe("b 1")
  }).pipe(Effect.scoped)
)
