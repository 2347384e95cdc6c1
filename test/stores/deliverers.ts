/** Processes that deliver durable streams, for tests that kill or freeze them, and the record of what they delivered. */
import { spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { expect } from "vitest"
import type { EventStore } from "../../src/stores/EventStore.ts"
import * as PostgresStore from "../../src/stores/postgres/PostgresStore.ts"
import * as SqliteStore from "../../src/stores/sqlite/SqliteStore.ts"
import { eventually, inTime, range } from "../../src/testing/conformance/expectations.ts"
import { root } from "../support/compiled.ts"
import { ownSchema } from "../support/postgres.ts"
import { temporaryFile } from "../support/stores.ts"
import { rawConnection as fileConnection } from "./sqlite/processes.ts"

/** Where the store is that they open, and where they write down what they get. */
export interface Place {
  readonly kind: "sqlite" | "postgres"
  /** A file, or a schema. */
  readonly place: string
  readonly url?: string
  readonly record: string
  /** Milliseconds. */
  readonly lease: number
  /** Milliseconds that a handler takes. */
  readonly pause: number
  /** The table in which they count events, in the transaction of a cursor; none where it is empty. */
  readonly table: string
}

/** A process that runs `programs/deliver.mjs`. */
export interface Deliverer {
  readonly name: string
  readonly isReady: Effect.Effect<void>
  /** What its stream says it is doing. */
  readonly state: Effect.Effect<string>
  readonly signal: (signal: "SIGSTOP" | "SIGCONT" | "SIGKILL") => Effect.Effect<void>
}

export const startDeliverer = (at: Place, name: string): Effect.Effect<Deliverer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const program = join(import.meta.dirname, "programs/deliver.mjs")
    const { kind, lease, pause, place, record, table, url } = at
    const parameters = [program, kind, place, record, name, lease, pause, table].map(String)
    const env = { ...process.env, STORE_URL: url }
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, parameters, { cwd: root, env, stdio: ["pipe", "pipe", "inherit"] })),
      (spawned) => Effect.sync(() => spawned.kill("SIGKILL"))
    )
    const lines: Array<string> = []
    let hasExited = false
    child.once("close", () => (hasExited = true))
    child.stdin.on("error", () => undefined)
    createInterface({ input: child.stdout }).on("line", (line) => lines.push(line))
    const lineAt = (index: number, what: string) =>
      Effect.map(
        eventually(`${name} ${what}`, () => lines.length > index || hasExited),
        () => lines[index] ?? "ended"
      )
    return {
      name,
      isReady: Effect.map(lineAt(0, "is ready"), (line) => expect(line).toBe("ready")),
      state: Effect.suspend(() => {
        const next = lines.length
        child.stdin.write("state\n")
        return lineAt(next, "says its state")
      }),
      signal: (signal) =>
        Effect.andThen(
          Effect.sync(() => child.kill(signal)),
          signal === "SIGKILL" ? eventually(`${name} has ended`, () => hasExited) : Effect.void
        )
    }
  })

/** One delivery, as its handler wrote it down before anything else. */
export interface Delivery {
  readonly by: string
  readonly first: number
  readonly last: number
}

export const readRecord = ({ record }: Place): ReadonlyArray<Delivery> => {
  if (!existsSync(record)) return []
  const text = readFileSync(record, "utf8")
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const parts = line.split(" ")
      return { by: parts.slice(0, -2).join(" "), first: Number(parts.at(-2)), last: Number(parts.at(-1)) }
    })
}

/** Waits for a delivery that `wanted` says yes to, from the `after`th on. */
export const delivered = (at: Place, after: number, what: string, wanted: (delivery: Delivery) => boolean) =>
  eventually(what, () => readRecord(at).slice(after).some(wanted))

/**
 * Every batch of the log was delivered, in order; one that comes again comes right after itself, at most once for each time that
 * somebody else took over.
 */
export const expectNothingLost = (
  deliveries: ReadonlyArray<Delivery>,
  batches: ReadonlyArray<readonly [number, number]>,
  takeovers: number
): void => {
  let next = 0
  let repeated = 0
  for (const [index, { by, first, last }] of deliveries.entries()) {
    const before = deliveries[index - 1]
    const isAgain = before !== undefined && before.first === first
    if (isAgain) {
      repeated++
      expect(by, `${first} comes again from the same process`).not.toBe(before.by)
    } else {
      expect([first, last], `delivery ${index}`).toEqual(batches[next])
      next++
    }
  }
  expect(next).toBe(batches.length)
  expect(repeated).toBeLessThanOrEqual(takeovers)
}

/** Appends batches of one to three events, one after the other, until it is told to stop; gives their ranges. */
export const appendAlways = (store: EventStore, pauseMs: number) =>
  Effect.gen(function* () {
    const state = { isStopped: false }
    const batches: Array<readonly [number, number]> = []
    const fiber = yield* Effect.forkScoped(
      Effect.gen(function* () {
        for (let n = 0; !state.isStopped; n++) {
          const events = range(0, n % 3).map((part) => ({ eventType: "Counted", payload: { n, part } }))
          const result = yield* store.append(events)
          batches.push([result.firstSequenceNumber, result.lastSequenceNumber])
          yield* Effect.sleep(pauseMs)
        }
      })
    )
    const stop = Effect.suspend(() => {
      state.isStopped = true
      return Effect.as(inTime(Fiber.join(fiber), "the appends end"), batches)
    })
    return { stop }
  })

/** Where deliverers of a store of one's own work, and a look at what they have counted. */
export interface Site {
  readonly at: Place
  readonly store: EventStore
  readonly counted: Effect.Effect<{ readonly events: number; readonly total: number }>
}

const settings = { lease: 200, pause: 2 }

const onSqlite = Effect.gen(function* () {
  const file = yield* temporaryFile
  const store = yield* SqliteStore.make({ file })
  const connection = yield* fileConnection(file)
  connection.exec("CREATE TABLE counted (events INTEGER, total INTEGER)")
  connection.exec("INSERT INTO counted VALUES (0, 0)")
  const counted = Effect.sync(
    () => connection.prepare("SELECT * FROM counted").get() as { events: number; total: number }
  )
  const at: Place = { kind: "sqlite", place: file, record: `${file}.record`, table: "counted", ...settings }
  return { at, store, counted }
})

const onPostgres = Effect.gen(function* () {
  const file = yield* temporaryFile
  const { query, schema, url } = yield* ownSchema
  const store = yield* PostgresStore.make({ url, schema })
  const table = `"${schema}".counted`
  yield* query(`CREATE TABLE ${table} (events int, total int)`)
  yield* query(`INSERT INTO ${table} VALUES (0, 0)`)
  const counted = Effect.map(
    Effect.orDie(query<{ events: number; total: number }>(`SELECT * FROM ${table}`)),
    ([row]) => row!
  )
  const at: Place = { kind: "postgres", place: schema, url, record: `${file}.record`, table, ...settings }
  return { at, store, counted }
})

/** A new log for deliverers, in each of the stores that processes can share. */
export const sites: ReadonlyArray<readonly [name: string, make: Effect.Effect<Site, unknown, Scope.Scope>]> = [
  ["sqlite", onSqlite],
  ["postgres", onPostgres]
]

/** Waits until all batches were delivered and each event was counted once. */
export const expectComplete = (
  { at, counted }: Site,
  batches: ReadonlyArray<readonly [number, number]>,
  takeovers: number
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const head = batches.at(-1)![1]
    // However far behind a busy machine is, as long as it gets on.
    for (let seen = -1; readRecord(at).every(({ last }) => last !== head);) {
      const before = seen
      yield* eventually("deliveries go on", () => readRecord(at).length > before)
      seen = readRecord(at).length
    }
    yield* inTime(
      Effect.repeat(counted, { until: ({ events }) => events >= head, schedule: Schedule.spaced("5 millis") }),
      "all events are counted"
    )
    expect(yield* counted).toEqual({ events: head, total: (head * (head + 1)) / 2 })
    expectNothingLost(readRecord(at), batches, takeovers)
  })
