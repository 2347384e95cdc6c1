/** Runs historians, as many processes as there are orders, and puts their histories together. */
import { fork } from "node:child_process"
import { join } from "node:path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { root } from "../compiled.ts"
import type { Operation } from "./History.ts"
import type { FromHistorian, Orders, ToHistorian } from "./messages.ts"

/** What all of them did. The programs have to be compiled. */
export const recordOperations = (
  orders: ReadonlyArray<Orders>
): Effect.Effect<ReadonlyArray<Operation>, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const historians = yield* Effect.forEach(orders, startHistorian)
    const all = <A>(of: (historian: Historian) => Effect.Effect<A, Error>) =>
      Effect.forEach(historians, of, { concurrency: "unbounded" })
    yield* all(({ ready }) => ready)
    for (const { tell } of historians) tell({ _tag: "Begin" })
    yield* all(({ done }) => done)
    for (const { tell } of historians) tell({ _tag: "Finish" })
    return (yield* all(({ recorded }) => recorded)).flat()
  })

interface Historian {
  readonly ready: Effect.Effect<void, Error>
  readonly done: Effect.Effect<void, Error>
  readonly recorded: Effect.Effect<ReadonlyArray<Operation>, Error>
  readonly tell: (message: ToHistorian) => void
}

const startHistorian = (orders: Orders): Effect.Effect<Historian, never, Scope.Scope> =>
  Effect.gen(function* () {
    const ready = yield* Deferred.make<void, Error>()
    const done = yield* Deferred.make<void, Error>()
    const recorded = yield* Deferred.make<ReadonlyArray<Operation>, Error>()
    const fail = (problem: string): void => {
      const failure = Effect.fail(new Error(`process ${orders.process}: ${problem}`))
      Deferred.doneUnsafe(ready, failure)
      Deferred.doneUnsafe(done, failure)
      Deferred.doneUnsafe(recorded, failure)
    }
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        fork(join(root, "build/test/support/history/historian.js"), [], {
          cwd: root,
          execArgv: [],
          serialization: "advanced"
        })
      ),
      (started) => Effect.sync(() => void started.kill("SIGKILL"))
    )
    const tell = (message: ToHistorian): void => void child.send(message, () => {})
    child.on("message", (message: FromHistorian) => {
      if (message._tag === "Loaded") tell({ _tag: "Orders", orders })
      else if (message._tag === "Ready") Deferred.doneUnsafe(ready, Effect.void)
      else if (message._tag === "Done") Deferred.doneUnsafe(done, Effect.void)
      else if (message._tag === "Recorded") Deferred.doneUnsafe(recorded, Effect.succeed(message.operations))
      else fail(message.message)
    })
    child.once("error", (error) => fail(error.message))
    child.once("close", (code, signal) => fail(`ended (${code ?? signal})`))
    return {
      ready: Deferred.await(ready),
      done: Deferred.await(done),
      recorded: Deferred.await(recorded),
      tell
    }
  })
