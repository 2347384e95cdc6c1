/** The command line of the ticket sale. */
import { parseArgs } from "node:util"

export interface TicketOptions {
  readonly store: "memory" | "sqlite"
  /** The database; a new one in a temporary folder by default. */
  readonly file: string | undefined
  readonly buyers: number
  readonly capacity: number
  readonly concurrency: number
  readonly json: boolean
}

export const usage = `npm run tickets -- [--store memory|sqlite] [--file FILE] [--buyers 300] [--capacity 100] [--concurrency 128] [--json]`

/** Parses the flags; throws an error with a message for the user. */
export const parseOptions = (parameters: ReadonlyArray<string>): TicketOptions => {
  const { values } = parseArgs({
    args: [...parameters],
    options: {
      store: { type: "string", default: "sqlite" },
      file: { type: "string" },
      buyers: { type: "string", default: "300" },
      capacity: { type: "string", default: "100" },
      concurrency: { type: "string", default: "128" },
      json: { type: "boolean", default: false }
    }
  })
  const { file, json, store } = values
  if (store !== "memory" && store !== "sqlite") throw new Error(`--store: expected memory or sqlite, found ${store}`)
  if (file !== undefined && store === "memory") throw new Error("--file: the memory store has no file")
  return {
    store,
    file,
    json,
    buyers: whole("--buyers", values.buyers, 1),
    capacity: whole("--capacity", values.capacity, 0),
    concurrency: whole("--concurrency", values.concurrency, 1)
  }
}

const whole = (flag: string, text: string, least: number): number => {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= least && text.trim() !== "") return value
  throw new Error(`${flag}: expected a whole number of at least ${least}, found ${text}`)
}
