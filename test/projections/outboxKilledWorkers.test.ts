/**
 * A process manager whose processes are killed between effect and acknowledgement, and wherever else they happen to be: every effect is
 * repeated under its key, and what the commands recorded is there once.
 */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { beforeAll, describe, expect } from "vitest"
import type { EventStore } from "../../src/stores/EventStore.ts"
import type { EventStoreError } from "../../src/stores/EventStoreError.ts"
import * as PostgresStore from "../../src/stores/postgres/PostgresStore.ts"
import * as SqliteStore from "../../src/stores/sqlite/SqliteStore.ts"
import { event, eventually, logOf, range } from "../../src/testing/conformance/expectations.ts"
import { compilePrograms, root } from "../support/compiled.ts"
import { itEffect } from "../support/it.ts"
import { ownSchema } from "../support/postgres.ts"
import { temporaryFile } from "../support/stores.ts"
import { until } from "./outboxes.ts"

interface Place {
  readonly store: EventStore
  readonly place: string
  readonly url?: string
}

const places: ReadonlyArray<readonly [string, Effect.Effect<Place, EventStoreError, Scope.Scope>]> = [
  [
    "sqlite",
    Effect.gen(function* () {
      const place = yield* temporaryFile
      return { store: yield* SqliteStore.make({ file: place }), place }
    })
  ],
  [
    "postgres",
    Effect.gen(function* () {
      const { schema, url } = yield* ownSchema
      return { store: yield* PostgresStore.make({ url, schema }), place: schema, url }
    })
  ]
]

/** A command that a process says was accepted. */
interface Confirmed {
  readonly ticket: number
  readonly attempt: number
  readonly idempotencyKey: string
  readonly position: number
}

/** A process that runs `programs/confirm.mjs`. */
const startManager = ({ place, url }: Place, ...options: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const program = join(import.meta.dirname, "programs/confirm.mjs")
    const env = url === undefined ? process.env : { ...process.env, STORE_URL: url }
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [program, place, ...options], { cwd: root, env, stdio: ["ignore", "pipe", "inherit"] })
      ),
      (spawned) => Effect.sync(() => spawned.kill("SIGKILL"))
    )
    const confirmed: Array<Confirmed> = []
    let isReady = false
    let hasExited = false
    child.once("close", () => (hasExited = true))
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line === "ready") isReady = true
      else confirmed.push(JSON.parse(line) as Confirmed)
    })
    return {
      confirmed,
      isReady: eventually("the process is ready", () => isReady || hasExited),
      has: (count: number) => eventually("commands are accepted", () => confirmed.length >= count || hasExited),
      /** Ends it without any warning, if it has not ended by itself, which it must not. */
      kill: Effect.gen(function* () {
        expect(hasExited, "the process has ended by itself").toBe(false)
        child.kill("SIGKILL")
        yield* eventually("the process has ended", () => hasExited)
      })
    }
  })

const waiting = ({ workspace }: EventStore) => workspace.transaction(({ outbox }) => outbox.count("confirmations"))

const sell = ({ store }: Place, tickets: ReadonlyArray<number>) =>
  Effect.map(
    store.append(
      tickets.map((ticket) => ({ ...event("TicketSold", { ticket }), metadata: { correlationId: `order ${ticket}` } }))
    ),
    ({ eventRecords }) => eventRecords
  )

const confirmationsOf = ({ store }: Place) =>
  Effect.map(logOf(store), (log) => log.filter(({ eventType }) => eventType === "TicketConfirmed"))

for (const [name, open] of places) {
  describe(`a process manager that is killed on ${name}`, () => {
    beforeAll(compilePrograms, 90_000)

    itEffect(
      "between the command and its acknowledgement repeats the command under the same key, and it is recorded once",
      () =>
        Effect.gen(function* () {
          const place = yield* open
          const [sold] = yield* sell(place, [1])
          const first = yield* startManager(place, "hold")
          yield* first.has(1)
          yield* first.kill
          expect(yield* waiting(place.store)).toEqual({ waiting: 1, dead: 0 })
          // The first one's lease is for a minute: as if that had passed.
          yield* place.store.workspace.transaction(({ outbox }) =>
            outbox.postpone({ reactor: "confirmations", sequenceNumber: 1, place: 0 }, 1, 0, "killed")
          )
          const second = yield* startManager(place)
          yield* second.has(1)
          yield* until("it is acknowledged", waiting(place.store), (count) => count.waiting === 0)
          yield* second.kill
          const [before, after] = [first.confirmed[0]!, second.confirmed[0]!]
          expect([before.attempt, after.attempt]).toEqual([1, 2])
          expect({ ...after, attempt: 1 }).toEqual(before)
          expect(before.idempotencyKey).toBe(`confirmations/${sold!.eventId}/0`)
          const confirmations = yield* confirmationsOf(place)
          expect(confirmations).toMatchObject([
            {
              payload: { ticket: 1 },
              metadata: {
                causationId: sold!.eventId,
                correlationId: "order 1",
                idempotencyKey: before.idempotencyKey
              }
            }
          ])
        }),
      { timeout: 60_000 }
    )

    itEffect(
      "wherever it happens to be, again and again, confirms every ticket once",
      () =>
        Effect.gen(function* () {
          const place = yield* open
          const repeated: Array<Confirmed> = []
          let tickets = 0
          for (const kill of range(1, 10)) {
            yield* sell(place, range(tickets + 1, (tickets += 20)))
            const manager = yield* startManager(place)
            yield* manager.isReady
            yield* manager.has(kill)
            yield* manager.kill
            repeated.push(...manager.confirmed)
          }
          const last = yield* startManager(place)
          yield* until(
            "all is acknowledged",
            Effect.zip(waiting(place.store), confirmationsOf(place)),
            ([count, all]) => count.waiting === 0 && all.length >= tickets
          )
          yield* last.kill
          repeated.push(...last.confirmed)
          expect(yield* waiting(place.store)).toEqual({ waiting: 0, dead: 0 })
          expect(repeated.some(({ attempt }) => attempt > 1)).toBe(true)
          const confirmations = yield* confirmationsOf(place)
          expect(
            confirmations.map(({ payload }) => (payload as { ticket: number }).ticket).sort((a, b) => a - b)
          ).toEqual(range(1, tickets))
          const sold = new Map((yield* logOf(place.store)).map((record) => [record.eventId, record]))
          for (const { metadata, payload } of confirmations) {
            const cause = sold.get(metadata["causationId"]!)!
            expect(cause).toMatchObject({
              eventType: "TicketSold",
              payload,
              metadata: { correlationId: metadata["correlationId"] }
            })
            const answers = repeated.filter(({ ticket }) => ticket === (payload as { ticket: number }).ticket)
            expect(
              new Set(answers.map(({ idempotencyKey, position }) => `${idempotencyKey} ${position}`)).size
            ).toBeLessThanOrEqual(1)
          }
        }),
      { timeout: 90_000 }
    )
  })
}
