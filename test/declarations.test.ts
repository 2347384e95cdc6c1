/**
 * Applications that publish declarations (`declaration`, `composite`): the compiler has to find a name for every type that is
 * inferred, in the package as it is installed.
 */
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { compilePrograms, root } from "./support/compiled.ts"

const folder = mkdtempSync(join(tmpdir(), "evolvent-declarations-"))
afterAll(() => rmSync(folder, { recursive: true }))

/** What is exported under a name of its own, as applications and their tests do. */
const exported = `
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Application, Decider, dispatch, EventCatalog, EventStore, layerDispatcher, layerOutboxes, layerProjectionWorker, MemoryStore } from "evolvent"
import { DurableStream, EventQuery, Limits, Outbox, Projection, Reactor, View } from "evolvent"
import { PostgresStore } from "evolvent/postgres"
import { SqliteStore } from "evolvent/sqlite"
import { Arbitrary, FaultyStore, History, Laws, ProjectionCheck, Serialisability, Spec } from "evolvent/testing"
import { buyTicket } from "./tickets/buyTicket.js"

export const Events = EventCatalog.make({ Opened: Schema.Struct({ id: Schema.String }) })
export const opened = Events.Opened({ id: "1" })
export const view = View.make({ name: "count", events: Events, query: () => Events.queryAll(), initial: 0, evolve: { Opened: (count: number) => count + 1 } })
export const views = View.struct({ view: view() })
export const query = EventQuery.or(Events.query("Opened", { id: "1" }), EventQuery.all)
export const limits = { ...Limits }
export const decided = Effect.exit(dispatch(buyTicket, {} as never))
export const stores = [MemoryStore.layer(), SqliteStore.layer({ file: "x" }), PostgresStore.layer({ url: "x" })]
export const makers = { memory: MemoryStore.make(), sqlite: SqliteStore.make({ file: "x" }) }
export const model = Projection.make({ name: "model", events: Events, handle: () => undefined })
export const workers = [layerDispatcher(), layerProjectionWorker({ projections: [model] })]
export const appended = Effect.flatMap(EventStore, (store) => store.append([{ eventType: "Opened", payload: {} }]))
export const asked = Effect.flatMap(EventStore, (store) => store.query(query))
export const modules = { Application, Decider, DurableStream, layerOutboxes, Outbox, Reactor }
export const tools = { Arbitrary, FaultyStore, History, Laws, ProjectionCheck, Serialisability, Spec }
`

describe("declarations of an application", () => {
  it("name every type that its slices, its layers and its tests infer", () => {
    compilePrograms()
    const modules = join(folder, "node_modules")
    mkdirSync(join(modules, "evolvent"), { recursive: true })
    for (const part of ["dist", "package.json"]) {
      cpSync(join(root, part), join(modules, "evolvent", part), { recursive: true })
    }
    const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      devDependencies: Record<string, string>
    }
    for (const name of ["@types", ...Object.keys(devDependencies).filter((name) => !name.includes("/"))]) {
      symlinkSync(join(root, "node_modules", name), join(modules, name))
    }
    cpSync(join(root, "examples/tickets"), join(folder, "tickets"), { recursive: true })
    writeFileSync(join(folder, "exported.ts"), exported)
    const { compilerOptions } = JSON.parse(readFileSync(join(root, "tsconfig.json"), "utf8")) as {
      compilerOptions: Record<string, unknown>
    }
    const own = { noEmit: false, composite: true, customConditions: [], rootDir: ".", outDir: "out" }
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({ compilerOptions: { ...compilerOptions, ...own }, include: ["exported.ts", "tickets"] })
    )
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }))
    const { stdout } = spawnSync(join(root, "node_modules/.bin/tsc"), ["-p", folder], { encoding: "utf8" })
    expect(stdout).toBe("")
    expect(readFileSync(join(folder, "out/tickets/buyTicket.d.ts"), "utf8")).toContain('import("evolvent/')
  })
})
