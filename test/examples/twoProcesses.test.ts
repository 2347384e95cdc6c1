/** The ticket sale as a program, alone and as two processes on one file: together they sell exactly the seats. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Application } from "evolvent"
import { SqliteStore } from "evolvent/sqlite"
import { compilePrograms } from "../support/compiled.ts"
import type { Ended } from "./sale.ts"
import { resultOf, startSale } from "./sale.ts"

const folder = mkdtempSync(join(tmpdir(), "evolvent-sale-"))

/** Runs the program to its end. */
const sale = (...flags: ReadonlyArray<string>): Promise<Ended> => startSale({ TMPDIR: folder }, ...flags).ended

beforeAll(compilePrograms, 90_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("the program", () => {
  it.each(["sqlite", "memory"])("sells 100 seats to 300 buyers on %s and says so in one line", async (store) => {
    const result = resultOf(await sale("--store", store, "--json"))
    expect(Object.keys(result)).toEqual([
      "store",
      "processes",
      "attempts",
      "accepted",
      "soldOut",
      "gaveUp",
      "recordedEvents",
      "ownEvents",
      "conflicts",
      "elapsedMs",
      "models",
      "announced"
    ])
    expect(result).toMatchObject({
      store,
      processes: 1,
      attempts: 300,
      accepted: 100,
      soldOut: 200,
      gaveUp: 0,
      recordedEvents: 100,
      ownEvents: 100,
      conflicts: 0
    })
    expect(readdirSync(folder).filter((name) => name.startsWith("evolvent-tickets-"))).toEqual([])
  })

  it("shows progress and a summary without --json", async () => {
    const { code, stderr, stdout } = await sale("--buyers", "20", "--capacity", "5")
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toContain("20 answered: 5 sold, 15 turned away")
    expect(stdout).toContain("5 tickets sold, 15 buyers turned away, 0 seats left")
  })

  it("exits with 2 and its usage for flags that it does not know", async () => {
    const { code, stderr, stdout } = await sale("--buyers", "none")
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
    expect(stderr).toContain("--buyers: expected a whole number of at least 1, found none\nnpm run tickets")
  })

  it("exits with 1 and a message on stderr where the file cannot be opened", async () => {
    const { code, stderr, stdout } = await sale("--file", join(folder, "missing", "sale.db"), "--json")
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toContain("options.file")
  })

  it("sells nothing more in a sale that is sold out, when it runs again on its file", async () => {
    const file = join(folder, "again.db")
    expect(resultOf(await sale("--file", file, "--json"))).toMatchObject({ accepted: 100, soldOut: 200 })
    expect(resultOf(await sale("--file", file, "--json"))).toMatchObject({
      accepted: 0,
      soldOut: 300,
      recordedEvents: 100
    })
    expect(existsSync(file)).toBe(true)
  })
})

describe("two processes on one file", () => {
  it.each([
    { buyers: 300, capacity: 100, concurrency: 128 },
    { buyers: 2_000, capacity: 2_500, concurrency: 16 }
  ])("sell exactly $capacity seats to $buyers buyers each", async ({ buyers, capacity, concurrency }) => {
    const file = join(folder, `sale-of-${capacity}.db`)
    const numbers = ["--buyers", buyers, "--capacity", capacity, "--concurrency", concurrency].map(String)
    const flags = ["--file", file, "--json", ...numbers]
    const [first, second] = (await Promise.all([sale(...flags), sale(...flags)])).map(resultOf)
    expect(first!.accepted + second!.accepted).toBe(capacity)
    expect(first!.soldOut + second!.soldOut).toBe(2 * buyers - capacity)
    const application = await Application.open({ store: SqliteStore.layer({ file }) })
    const { eventRecords } = await application.query({ filters: [{ eventTypes: ["TicketSold"] }] })
    await application.close()
    expect(eventRecords.length).toBe(capacity)
    const owners = eventRecords.map(({ payload }) => (payload as { readonly buyer: string }).buyer)
    expect(new Set(owners).size).toBe(capacity)
    const processes = owners.map((owner) => owner.split("-")[1])
    // In the large sale both were at it at the same time: each sold something after the other one had.
    if (capacity > 1_000) expect(turnsOf(processes)).toBeGreaterThan(2)
  })
})

/** How often the seller changes. */
const turnsOf = (processes: ReadonlyArray<string | undefined>): number =>
  processes.filter((process, index) => index > 0 && process !== processes[index - 1]).length
