/** The command line of the ticket sale. */
import { describe, expect, it } from "vitest"
import { parseOptions } from "../../examples/tickets/options.ts"

const defaults = {
  store: "sqlite",
  file: undefined,
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
    const flags = "--store sqlite --file a.db --buyers=5 --capacity 0 --concurrency 1 --json".split(" ")
    expect(parseOptions(flags)).toEqual({
      store: "sqlite",
      file: "a.db",
      buyers: 5,
      capacity: 0,
      concurrency: 1,
      json: true
    })
    expect(parseOptions(["--store", "memory"])).toEqual({ ...defaults, store: "memory" })
  })

  it.each([
    ["--store postgres", "--store: expected memory or sqlite, found postgres"],
    ["--store memory --file a.db", "--file: the memory store has no file"],
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
})
