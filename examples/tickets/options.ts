/** The command line of the ticket sale. */
import { parseArgs } from "node:util"

export interface TicketOptions {
  readonly store: "memory" | "sqlite" | "postgres"
  /** The SQLite database; a new one in a temporary folder by default. */
  readonly file: string | undefined
  /** The PostgreSQL database; a throw-away server by default. */
  readonly url: string | undefined
  /** The schema of the log in PostgreSQL. */
  readonly schema: string
  readonly processes: number
  readonly buyers: number
  readonly capacity: number
  /** Commands at once in each process. */
  readonly concurrency: number
  readonly json: boolean
}

export const usage = `npm run tickets -- [--store memory|sqlite|postgres] [--file FILE] [--url postgres://...] [--schema evolvent_tickets] [--processes 1] [--buyers 300] [--capacity 100] [--concurrency 128] [--json]`

/** Each has the sale in its memory and a few connections to the database. */
const mostProcesses = 64

/** Parses the flags; throws an error with a message for the user. */
export const parseOptions = (parameters: ReadonlyArray<string>): TicketOptions => {
  const { values } = parseArgs({
    args: [...parameters],
    options: {
      store: { type: "string", default: "sqlite" },
      file: { type: "string" },
      url: { type: "string" },
      schema: { type: "string" },
      processes: { type: "string", default: "1" },
      buyers: { type: "string", default: "300" },
      capacity: { type: "string", default: "100" },
      concurrency: { type: "string", default: "128" },
      json: { type: "boolean", default: false }
    }
  })
  const { file, json, schema, store, url } = values
  if (store !== "memory" && store !== "sqlite" && store !== "postgres") {
    throw new Error(`--store: expected memory, sqlite or postgres, found ${store}`)
  }
  if (file !== undefined && store !== "sqlite") throw new Error(`--file: the ${store} store has no file`)
  if (url !== undefined) checkUrl(store, url)
  if (schema !== undefined) checkSchema(store, schema)
  const buyers = whole("--buyers", values.buyers, 1)
  return {
    store,
    file,
    url,
    schema: schema ?? "evolvent_tickets",
    json,
    processes: processesOf(store, values.processes, buyers),
    buyers,
    capacity: whole("--capacity", values.capacity, 0),
    concurrency: whole("--concurrency", values.concurrency, 1)
  }
}

/** Says nothing of the URL itself: there may be a password in it. */
const checkUrl = (store: string, url: string): void => {
  if (store !== "postgres") throw new Error(`--url: the ${store} store has no server; add --store postgres`)
  if (/^postgres(ql)?:\/\//.test(url) && URL.canParse(url)) return
  throw new Error("--url: expected postgres://USER:PASSWORD@HOST:PORT/DATABASE, found something else")
}

const checkSchema = (store: string, schema: string): void => {
  if (store !== "postgres") throw new Error(`--schema: the ${store} store has no schema; add --store postgres`)
  if (/^[a-z_][a-z0-9_]{0,47}$/.test(schema) && !schema.startsWith("pg_")) return
  const expected = "lower-case letters, digits and underscores, at most 48, not pg_"
  throw new Error(`--schema: expected ${expected}, found ${schema}`)
}

const processesOf = (store: string, text: string, buyers: number): number => {
  const processes = whole("--processes", text, 1)
  if (processes > 1 && store === "memory") {
    throw new Error("--processes: other processes do not see the memory store; use sqlite or postgres")
  }
  if (processes > mostProcesses) {
    throw new Error(`--processes: expected at most ${mostProcesses}, found ${processes}`)
  }
  if (processes > buyers) throw new Error(`--processes: ${processes} processes cannot share ${buyers} buyers`)
  return processes
}

const whole = (flag: string, text: string, least: number): number => {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= least && text.trim() !== "") return value
  throw new Error(`${flag}: expected a whole number of at least ${least}, found ${text}`)
}
