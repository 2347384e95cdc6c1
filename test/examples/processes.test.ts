/** The ticket sale held by several processes at once: exactly the seats are sold, and nothing is left behind. */
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Application } from "evolvent"
import { PostgresStore } from "evolvent/postgres"
import { SqliteStore } from "evolvent/sqlite"
import * as Effect from "effect/Effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { eventually } from "../../src/testing/conformance/expectations.ts"
import { compilePrograms } from "../support/compiled.ts"
import { itEffect } from "../support/it.ts"
import { ownSchema } from "../support/postgres.ts"
import { temporaryFile } from "../support/stores.ts"
import type { Ended, Environment } from "./sale.ts"
import { resultOf, startSale } from "./sale.ts"

/** Others may look, among them the user that a server started by root runs as. */
const folder = mkdtempSync(join(tmpdir(), "evolvent-processes-"))
chmodSync(folder, 0o755)

const sale = (...flags: ReadonlyArray<string>): Promise<Ended> => startSale({ TMPDIR: folder }, ...flags).ended

beforeAll(compilePrograms, 90_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("a sale on PostgreSQL", () => {
  itEffect("is one of its own whenever it is held on a server that is there", () =>
    Effect.gen(function* () {
      const { query, schema, url } = yield* ownSchema
      const flags = ["--store", "postgres", "--url", url, "--schema", schema, "--json"]
      for (let run = 0; run < 2; run++) {
        const result = resultOf(yield* Effect.promise(() => sale(...flags)))
        expect(result).toMatchObject({ store: "postgres", processes: 1, accepted: 100, soldOut: 200 })
        expect(result).toMatchObject({ recordedEvents: 100, conflicts: 0 })
      }
      const [row] = yield* query(`SELECT count(*)::int AS sold FROM "${schema}".events WHERE event_type = 'TicketSold'`)
      expect(row).toEqual({ sold: 200 })
    })
  )

  itEffect("says where it is held without the password", () =>
    Effect.gen(function* () {
      const { schema, url } = yield* ownSchema
      const flags = ["--store", "postgres", "--url", url, "--schema", schema, "--buyers", "20", "--capacity", "5"]
      const { code, stderr, stdout } = yield* Effect.promise(() => sale(...flags))
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      const { host, password, pathname } = new URL(url)
      expect(stdout).toContain(`Store: postgres, ${host}${pathname}, schema ${schema}\n`)
      expect(stdout).toContain("5 tickets sold, 15 buyers turned away, 0 seats left")
      if (password !== "") expect(stdout).not.toContain(password)
    })
  )
})

describe("four processes", () => {
  const expected = { processes: 4, attempts: 300, accepted: 100, soldOut: 200, gaveUp: 0, recordedEvents: 100 }

  it("sell 100 seats to 300 buyers on a throw-away PostgreSQL, and leave nothing behind", async () => {
    const result = resultOf(await sale("--store", "postgres", "--processes", "4", "--json"))
    expect(result).toMatchObject({ ...expected, store: "postgres", ownEvents: 100 })
    expect(readdirSync(folder)).toEqual([])
  })

  it("sell 100 seats to 300 buyers on a temporary SQLite file, and leave nothing behind", async () => {
    const result = resultOf(await sale("--store", "sqlite", "--processes", "4", "--json"))
    expect(result).toMatchObject({ ...expected, store: "sqlite", ownEvents: 100 })
    expect(readdirSync(folder)).toEqual([])
  })

  const sizes = ["--buyers", "1201", "--capacity", "1000", "--concurrency", "4"]

  itEffect("take turns on PostgreSQL, where nobody has to try again", () =>
    Effect.gen(function* () {
      const { schema, url } = yield* ownSchema
      const flags = ["--store", "postgres", "--url", url, "--schema", schema, "--processes", "4", "--json", ...sizes]
      const result = resultOf(yield* Effect.promise(() => sale(...flags)))
      expect(result).toMatchObject({ attempts: 1_201, accepted: 1_000, soldOut: 201, gaveUp: 0, recordedEvents: 1_000 })
      yield* expectTurns(PostgresStore.layer({ url, schema }), 1_000)
    })
  )

  itEffect("take turns on SQLite, where nobody has to try again", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const flags = ["--file", file, "--processes", "4", "--json", ...sizes]
      const result = resultOf(yield* Effect.promise(() => sale(...flags)))
      expect(result).toMatchObject({ attempts: 1_201, accepted: 1_000, soldOut: 201, gaveUp: 0, recordedEvents: 1_000 })
      yield* expectTurns(SqliteStore.layer({ file }), 1_000)
    })
  )

  it("show the progress of all of them in one summary", async () => {
    const { code, stderr, stdout } = await sale("--processes", "4", "--buyers", "20", "--capacity", "5")
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toContain("5 seats, 20 buyers, 128 of them at once from each of 4 processes\n")
    expect(stdout).toContain("20 answered: 5 sold, 15 turned away\n")
    expect(stdout).toContain("5 tickets sold, 15 buyers turned away, 0 seats left\n")
  })
})

describe("a process that ends", () => {
  it("has been heard to its last word, however busy the one that listens is", async () => {
    const file = join(folder, "busy.cjs")
    writeFileSync(
      file,
      `if (process.argv[1].endsWith("seller.js")) {
        let index = 0
        process.once("message", ({ order }) => (index = Number(order.name.split(".")[1]) - 1))
        const send = process.send.bind(process)
        process.send = (message, said) =>
          setTimeout(() => send(message, said), message._tag === "Finished" ? index * 120 : 0)
      } else {
        const { ChildProcess } = require("node:child_process")
        const { emit } = ChildProcess.prototype
        ChildProcess.prototype.emit = function (name, message) {
          const until = Date.now() + (name === "message" && message._tag === "Finished" ? 250 : 0)
          while (Date.now() < until);
          return emit.apply(this, arguments)
        }
      }`
    )
    const environment = { TMPDIR: folder, NODE_OPTIONS: `--require ${file}` }
    const flags = ["--processes", "4", "--buyers", "20", "--capacity", "5", "--json"]
    const result = resultOf(await startSale(environment, ...flags).ended)
    expect(result).toMatchObject({ processes: 4, attempts: 20, accepted: 5, recordedEvents: 5 })
  })
})

describe("a process that fails", () => {
  /** Runs the code in the second of four processes, with the first message that tells it to sell. */
  const inSecondProcess = (name: string, code: string): Environment => {
    const file = join(folder, `${name}.cjs`)
    writeFileSync(
      file,
      `process.argv[1].endsWith("seller.js") && process.once("message", ({ order }) => {
      if (order.name.endsWith(".2")) { ${code} }
    })`
    )
    return { TMPDIR: folder, NODE_OPTIONS: `--require ${file}` }
  }

  it("ends the sale with what it has to say", async () => {
    const environment = inSecondProcess("elsewhere", `order.location.file = "/missing/sale.db"`)
    const { code, stderr, stdout } = await startSale(environment, "--processes", "4", "--json").ended
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toContain("Process 2 of 4 failed: ")
    expect(stderr).toContain("options.file")
  })

  it("ends the sale where it has nothing to say", async () => {
    const environment = inSecondProcess("killed", `process.kill(process.pid, "SIGKILL")`)
    const { code, stderr, stdout } = await startSale(environment, "--processes", "4", "--json").ended
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toContain("Process 2 of 4 ended (SIGKILL) before its buyers were answered")
  })
})

describe("Ctrl-C", () => {
  it.each(["sqlite", "postgres"])("ends all processes of a sale on %s, and leaves nothing behind", async (store) => {
    const temporary = mkdtempSync(join(folder, "interrupted-"))
    chmodSync(temporary, 0o755)
    const size = ["--buyers", "40000", "--capacity", "40000"]
    const { ended, process: leader } = startSale({ TMPDIR: temporary }, "--store", store, "--processes", "4", ...size)
    let printed = ""
    leader.stdout!.on("data", (chunk: Buffer) => (printed += chunk.toString()))
    await Effect.runPromise(eventually("buyers are answered", () => printed.includes(" answered: ")))
    process.kill(-leader.pid!, "SIGINT")
    expect(await ended).toMatchObject({ code: 130, stderr: "" })
    expect(readdirSync(temporary)).toEqual([])
  })
})

/** Every ticket has an owner of its own; all four were needed to sell them, and they did not do so one after the other. */
const expectTurns = (store: Parameters<typeof Application.open>[0]["store"], tickets: number): Effect.Effect<void> =>
  Effect.promise(async () => {
    const application = await Application.open({ store })
    const { eventRecords } = await application.query({ filters: [{ eventTypes: ["TicketSold"] }] })
    await application.close()
    const owners = eventRecords.map(({ payload }) => (payload as { readonly buyer: string }).buyer)
    expect(new Set(owners).size).toBe(tickets)
    expect(owners.length).toBe(tickets)
    const sellers = owners.map((owner) => owner.split("-")[1])
    expect(new Set(sellers).size).toBe(4)
    expect(sellers.filter((seller, index) => index > 0 && seller !== sellers[index - 1]).length).toBeGreaterThan(4)
  })
