/**
 * The race from several processes: this one opens the sale, the others, each of which runs `seller.ts`, share the buyers, begin
 * together and report what they were told. They end with the scope, and by themselves when this process is gone.
 */
import { dispatch } from "evolvent"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ChildProcess } from "node:child_process"
import { fork } from "node:child_process"
import { join } from "node:path"
import { SaleId } from "./events.ts"
import { openSale } from "./openSale.ts"
import type { Answers, RaceOptions, RaceResult } from "./race.ts"
import { ownersIn, race } from "./race.ts"
import type { StoreLocation } from "./stores.ts"

/** A part of the sale, for one process. */
export interface Order extends Omit<RaceOptions, "onProgress"> {
  readonly location: StoreLocation
  readonly reportProgress: boolean
}

/** What a seller is told: its order once it is loaded, and to begin once it is ready. */
export type ToSeller = { readonly _tag: "Sell"; readonly order: Order } | { readonly _tag: "Begin" }

/** What a seller says. */
export type FromSeller =
  | { readonly _tag: "Loaded" }
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Progress"; readonly answers: Answers }
  | { readonly _tag: "Finished"; readonly result: RaceResult }
  | { readonly _tag: "Failed"; readonly message: string }

/** A process of the sale did not do its part. */
export class SellerError extends Data.TaggedError("SellerError")<{ readonly message: string }> {}

export interface ProcessesOptions extends RaceOptions {
  readonly location: StoreLocation
  readonly processes: number
}

/** `race` by so many processes; a single one is this process itself. */
export const raceOfProcesses = ({ location, processes, ...options }: ProcessesOptions) =>
  Effect.gen(function* () {
    if (processes === 1) return yield* race(options)
    const { buyers, capacity, name, onProgress } = options
    const saleId = SaleId.make(options.saleId)
    yield* dispatch(openSale, { saleId, capacity })
    const progress = Array.from({ length: processes }, () => noAnswers)
    const sellers = yield* Effect.forEach(shares(buyers, processes), (share, index) => {
      const { concurrency } = options
      const reportProgress = onProgress !== undefined
      const order = { saleId, capacity, concurrency, buyers: share, name: `${name}.${index + 1}`, location }
      return startSeller(`Process ${index + 1} of ${processes}`, { ...order, reportProgress }, (answers) => {
        progress[index] = answers
        onProgress?.(progress.reduce(addAnswers))
      })
    })
    yield* Effect.forEach(sellers, ({ ready }) => ready, { concurrency: "unbounded", discard: true })
    for (const { begin } of sellers) begin()
    const results = yield* Effect.forEach(sellers, ({ result }) => result, { concurrency: "unbounded" })
    const owners = yield* ownersIn(saleId)
    return { ...results.reduce(addResults), recordedEvents: owners.length }
  }).pipe(Effect.scoped)

const noAnswers: Answers = { accepted: 0, soldOut: 0, gaveUp: 0 }

/** As even as whole buyers can be shared. */
const shares = (buyers: number, processes: number): ReadonlyArray<number> =>
  Array.from({ length: processes }, (_, index) => Math.floor((buyers + index) / processes))

const addAnswers = (one: Answers, other: Answers): Answers => ({
  accepted: one.accepted + other.accepted,
  soldOut: one.soldOut + other.soldOut,
  gaveUp: one.gaveUp + other.gaveUp
})

/** They began together, so the slowest says how long it took. */
const addResults = (one: RaceResult, other: RaceResult): RaceResult => ({
  ...one,
  ...addAnswers(one, other),
  attempts: one.attempts + other.attempts,
  ownEvents: one.ownEvents + other.ownEvents,
  conflicts: one.conflicts + other.conflicts,
  elapsedMs: Math.max(one.elapsedMs, other.elapsedMs)
})

interface Seller {
  /** Resolves when the store is open. */
  readonly ready: Effect.Effect<void, SellerError>
  readonly begin: () => void
  readonly result: Effect.Effect<RaceResult, SellerError>
}

const startSeller = (
  name: string,
  order: Order,
  onProgress: (answers: Answers) => void
): Effect.Effect<Seller, never, Scope.Scope> =>
  Effect.gen(function* () {
    const ready = yield* Deferred.make<void, SellerError>()
    const result = yield* Deferred.make<RaceResult, SellerError>()
    const fail = (problem: string): void => {
      const failure = Effect.fail(new SellerError({ message: `${name} ${problem}` }))
      Deferred.doneUnsafe(ready, failure)
      Deferred.doneUnsafe(result, failure)
    }
    const child = yield* Effect.acquireRelease(Effect.sync(start), stop)
    const tell = (message: ToSeller): void => void child.send(message, () => {})
    child.on("message", (message: FromSeller) => {
      if (message._tag === "Loaded") tell({ _tag: "Sell", order })
      else if (message._tag === "Ready") Deferred.doneUnsafe(ready, Effect.void)
      else if (message._tag === "Progress") onProgress(message.answers)
      else if (message._tag === "Finished") Deferred.doneUnsafe(result, Effect.succeed(message.result))
      else fail(`failed: ${message.message}`)
    })
    child.once("error", (error) => fail(`did not start: ${error.message}`))
    // Not "exit", which may come before the last message.
    child.once("close", (code, signal) => fail(`ended (${code ?? signal}) before its buyers were answered`))
    return {
      ready: Deferred.await(ready),
      begin: () => tell({ _tag: "Begin" }),
      result: Deferred.await(result)
    }
  })

/** Without `execArgv`: a debugger's port is this process's own. */
const start = (): ChildProcess =>
  fork(join(import.meta.dirname, "seller.js"), [], { execArgv: [], stdio: ["ignore", "ignore", "inherit", "ipc"] })

/** A seller that is left alone closes its store and ends; one that does not is ended. */
const stop = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    const late = setTimeout(() => child.kill("SIGKILL"), 5_000)
    child.once("exit", () => {
      clearTimeout(late)
      resume(Effect.void)
    })
    if (child.connected) child.disconnect()
    return undefined
  })
