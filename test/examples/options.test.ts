/** The command line of the ticket sale. */
import { describe, expect, it } from "vitest"
import { parseOptions } from "../../examples/tickets/options.ts"

const defaults = {
  store: "sqlite",
  file: undefined,
  url: undefined,
  schema: "evolvent_tickets",
  processes: 1,
  buyers: 300,
  capacity: 100,
  concurrency: 128,
  json: false
}

describe("the flags of the ticket sale", () => {
  it("have defaults", () => {
    expect(parseOptions([])).toEqual(defaults)
  })

  it("can all be given, in either form", () => {
    const flags = "--store sqlite --file a.db --processes 2 --buyers=5 --capacity 0 --concurrency 1 --json".split(" ")
    expect(parseOptions(flags)).toEqual({
      ...defaults,
      store: "sqlite",
      file: "a.db",
      processes: 2,
      buyers: 5,
      capacity: 0,
      concurrency: 1,
      json: true
    })
    expect(parseOptions(["--store", "memory"])).toEqual({ ...defaults, store: "memory" })
    const url = "postgres://ann:secret@db.example.com:5433/app?sslmode=require"
    const postgres = ["--store", "postgres", "--url", url, "--schema=sale", "--processes", "64"]
    expect(parseOptions(postgres)).toEqual({ ...defaults, store: "postgres", url, schema: "sale", processes: 64 })
  })

  it.each([
    ["--store mysql", "--store: expected memory, sqlite or postgres, found mysql"],
    ["--store memory --file a.db", "--file: the memory store has no file"],
    ["--store postgres --file a.db", "--file: the postgres store has no file"],
    ["--url postgres://h/d", "--url: the sqlite store has no server; add --store postgres"],
    ["--store postgres --url http://h/d", "--url: expected postgres://USER:PASSWORD@HOST:PORT/DATABASE"],
    ["--store postgres --url postgres://[", "--url: expected postgres://USER:PASSWORD@HOST:PORT/DATABASE"],
    ["--store postgres --url=", "--url: expected postgres://USER:PASSWORD@HOST:PORT/DATABASE"],
    ["--store memory --schema s", "--schema: the memory store has no schema; add --store postgres"],
    ["--store postgres --schema S", "--schema: expected lower-case letters, digits and underscores, at most 48"],
    ["--store postgres --schema pg_s", "--schema: expected lower-case letters, digits and underscores, at most 48"],
    ["--processes 0", "--processes: expected a whole number of at least 1, found 0"],
    ["--processes 65", "--processes: expected at most 64, found 65"],
    ["--processes 4 --buyers 3", "--processes: 4 processes cannot share 3 buyers"],
    [
      "--store memory --processes 2",
      "--processes: other processes do not see the memory store; use sqlite or postgres"
    ],
    ["--buyers 0", "--buyers: expected a whole number of at least 1, found 0"],
    ["--buyers=-1", "--buyers: expected a whole number of at least 1, found -1"],
    ["--buyers 1.5", "--buyers: expected a whole number of at least 1, found 1.5"],
    ["--buyers many", "--buyers: expected a whole number of at least 1, found many"],
    ["--buyers=", "--buyers: expected a whole number of at least 1, found "],
    ["--capacity=-1", "--capacity: expected a whole number of at least 0, found -1"],
    ["--capacity=", "--capacity: expected a whole number of at least 0, found "],
    ["--capacity 9007199254740992", "--capacity: expected a whole number of at least 0, found 9007199254740992"],
    ["--concurrency 0", "--concurrency: expected a whole number of at least 1, found 0"],
    ["--nonsense", "Unknown option '--nonsense'"],
    ["--buyers", "Option '--buyers <value>' argument missing"],
    ["extra", "Unexpected argument 'extra'"]
  ])("are refused with a message for the user: %s", (line, message) => {
    expect(() => parseOptions(line.split(" "))).toThrow(message)
  })

  it("are refused without repeating a URL, which may hold a password", () => {
    const flags = ["--store", "postgres", "--url", "postgres//ann:secret@db/app"]
    expect(() => parseOptions(flags)).toThrow(/^(?!.*secret)--url: /)
  })
})
