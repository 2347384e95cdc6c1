/** Runs the ticket sale: `npm run tickets`. Exits with 1 when a promise was broken, with 2 for wrong flags. */
import { layerDispatcher, MemoryStore } from "evolvent"
import { SqliteStore } from "evolvent/sqlite"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TicketOptions } from "./options.ts"
import { parseOptions, usage } from "./options.ts"
import type { RaceResult } from "./race.ts"
import { broken, race } from "./race.ts"
import { SaleId } from "./events.ts"
import { seatsLeft } from "./seatsLeft.ts"

const saleId = "summer-night"

const main = (options: TicketOptions) =>
  Effect.gen(function* () {
    const file = options.store === "sqlite" ? (options.file ?? (yield* temporaryFile)) : undefined
    const store = file === undefined ? MemoryStore.layer() : SqliteStore.layer({ file })
    const program = Effect.gen(function* () {
      if (!options.json) announce(options, file)
      const onProgress = options.json ? {} : { onProgress: progress(options) }
      const result = yield* race({ ...options, ...onProgress, saleId, name: `buyer-${process.pid}` })
      return { result, left: yield* seatsLeft(SaleId.make(saleId)) }
    })
    const { left, result } = yield* Effect.provide(program, Layer.provideMerge(layerDispatcher(), store))
    report(options, result, left)
    const problem = broken(result, options.capacity)
    if (problem === undefined) return
    console.error(`BROKEN: ${problem}`)
    process.exitCode = 1
  }).pipe(Effect.scoped)

const temporaryFile = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "evolvent-tickets-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
).pipe(Effect.map((folder) => join(folder, "tickets.db")))

const announce = ({ buyers, capacity, concurrency, store }: TicketOptions, file: string | undefined): void => {
  console.log(`Sale "${saleId}": ${capacity} seats, ${buyers} buyers, ${concurrency} of them at once`)
  console.log(`Store: ${store}${file === undefined ? "" : `, ${file}`}\n`)
}

/** A line for every tenth of the buyers. */
const progress = ({ buyers }: TicketOptions) => {
  const step = Math.max(1, Math.floor(buyers / 10))
  return (accepted: number, soldOut: number): void => {
    const answered = accepted + soldOut
    if (answered % step !== 0 && answered !== buyers) return
    console.log(`  ${String(answered).padStart(6)} answered: ${accepted} sold, ${soldOut} turned away`)
  }
}

const report = ({ json, store }: TicketOptions, result: RaceResult, left: number): void => {
  if (json) return console.log(JSON.stringify({ store, ...result }))
  const { accepted, conflicts, elapsedMs, recordedEvents, soldOut } = result
  console.log(`\n${accepted} tickets sold, ${soldOut} buyers turned away, ${left} seats left`)
  console.log(
    `${recordedEvents} TicketSold events recorded, ${conflicts} conflicts with other processes, ${elapsedMs} ms`
  )
}

/** Runs the program; SIGINT and SIGTERM interrupt it, so that the store is closed. */
const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  const interrupt = () => fiber.interruptUnsafe()
  process.once("SIGINT", interrupt)
  process.once("SIGTERM", interrupt)
  fiber.addObserver((exit) => {
    process.off("SIGINT", interrupt)
    process.off("SIGTERM", interrupt)
    teardown(exit, (code) => {
      process.exitCode ||= code
    })
  })
})

/** To stderr: with `--json` nothing but the result goes to stdout. */
const complain = (cause: Cause.Cause<unknown>) =>
  Effect.sync(() => {
    if (!Cause.hasInterruptsOnly(cause)) console.error(String(Cause.squash(cause)))
  })

const optionsOrUsage = (): TicketOptions | undefined => {
  try {
    return parseOptions(process.argv.slice(2))
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`)
    process.exitCode = 2
    return undefined
  }
}

const options = optionsOrUsage()
if (options !== undefined) {
  runMain(main(options).pipe(Effect.tapCause(complain)), { disableErrorReporting: true })
}
