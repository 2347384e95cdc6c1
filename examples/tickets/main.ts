/** Runs the ticket sale: `npm run tickets`. Exits with 1 when a promise was broken, with 2 for wrong flags. */
import { layerDispatcher, runOutbox } from "evolvent"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import { randomBytes } from "node:crypto"
import { Announcements, announceSoldOut } from "./announceSoldOut.ts"
import type { TicketOptions } from "./options.ts"
import { parseOptions, usage } from "./options.ts"
import { raceOfProcesses } from "./processes.ts"
import type { Models } from "./models.ts"
import { askModels, brokenModels, lastNumberOf, layerModels } from "./models.ts"
import type { Answers, RaceResult } from "./race.ts"
import { broken } from "./race.ts"
import { SaleId } from "./events.ts"
import { seatsLeft } from "./seatsLeft.ts"
import type { StoreLocation } from "./stores.ts"
import { layerAt, locate } from "./stores.ts"

const main = (options: TicketOptions) =>
  Effect.gen(function* () {
    const name = randomBytes(4).toString("hex")
    // A database that is there already may know earlier sales; a file that is named is for one sale.
    const saleId = options.store === "postgres" ? `summer-night-${name}` : "summer-night"
    if (!options.json) announce(options, saleId)
    const location = yield* locate(options)
    const program = Effect.gen(function* () {
      if (!options.json) announceStore(options, location)
      const onProgress = options.json ? {} : { onProgress: progress(options) }
      const announcing = yield* runOutbox(announceSoldOut)
      const result = yield* raceOfProcesses({ ...options, ...onProgress, location, saleId, name: `buyer-${name}` })
      const sale = SaleId.make(saleId)
      const left = yield* seatsLeft(sale)
      const said = yield* askModels(location, sale)
      yield* announcing.settled(yield* lastNumberOf(sale))
      return { result, left, said }
    })
    const announced = new Set<string>()
    const announcements = Layer.succeed(Announcements, {
      soldOut: (sale) => Effect.sync(() => void announced.add(sale))
    })
    const services = Layer.mergeAll(layerDispatcher(), layerModels(location), announcements)
    const layer = Layer.provideMerge(services, layerAt(location))
    const { left, result, said } = yield* Effect.provide(Effect.scoped(program), layer)
    report(options, { result, left, said, announced: announced.has(saleId) })
    const problem = broken(result, options.capacity) ?? brokenModels(result, left, said)
    if (problem === undefined) return
    console.error(`BROKEN: ${problem}`)
    process.exitCode = 1
  }).pipe(Effect.scoped)

const announce = ({ buyers, capacity, concurrency, processes }: TicketOptions, saleId: string): void => {
  const several = processes === 1 ? "" : ` from each of ${processes} processes`
  console.log(`Sale "${saleId}": ${capacity} seats, ${buyers} buyers, ${concurrency} of them at once${several}`)
}

/** Without the URL's password. */
const announceStore = ({ url }: TicketOptions, location: StoreLocation): void => {
  const where = () => {
    if (location.store === "memory") return ""
    if (location.store === "sqlite") return `, ${location.file}`
    const { host, pathname } = new URL(location.url)
    return `, ${url === undefined ? "a throw-away server" : `${host}${pathname}`}, schema ${location.schema}`
  }
  console.log(`Store: ${location.store}${where()}\n`)
}

/** A line for every tenth of the buyers. */
const progress = ({ buyers }: TicketOptions) => {
  const step = Math.max(1, Math.floor(buyers / 10))
  return ({ accepted, gaveUp, soldOut }: Answers): void => {
    const answered = accepted + soldOut + gaveUp
    if (answered % step !== 0 && answered !== buyers) return
    console.log(
      `  ${String(answered).padStart(6)} answered: ${accepted} sold, ${soldOut} turned away${unlucky(gaveUp)}`
    )
  }
}

const unlucky = (gaveUp: number): string => (gaveUp === 0 ? "" : `, ${gaveUp} told to try again`)

interface Outcome {
  readonly result: RaceResult
  /** As the log says. */
  readonly left: number
  /** What the query models say, where there are any. */
  readonly said: Models | undefined
  /** Whether this process has announced that the sale is sold out. */
  readonly announced: boolean
}

const report = ({ json, processes, store }: TicketOptions, { announced, left, result, said }: Outcome): void => {
  if (json) return console.log(JSON.stringify({ store, processes, ...result, models: said ?? null, announced }))
  const { accepted, conflicts, elapsedMs, gaveUp, recordedEvents, soldOut } = result
  console.log(`\n${accepted} tickets sold, ${soldOut} buyers turned away${unlucky(gaveUp)}, ${left} seats left`)
  console.log(`${recordedEvents} TicketSold events recorded, ${conflicts} conflicts between processes, ${elapsedMs} ms`)
  if (said !== undefined) {
    console.log(`Query models: ${said.seatsLeft} seats left, ${said.ticketsHeld} tickets in somebody's hands`)
  }
  if (announced) console.log("Announced: the sale is sold out")
}

/** Runs the program; SIGINT and SIGTERM interrupt it, so that everything it has started ends. Twice is once. */
const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  const interrupt = () => fiber.interruptUnsafe()
  process.on("SIGINT", interrupt)
  process.on("SIGTERM", interrupt)
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
