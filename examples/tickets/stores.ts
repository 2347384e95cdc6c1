/** The stores that a sale can be held on. */
import type { EventStore, EventStoreError } from "evolvent"
import { MemoryStore } from "evolvent"
import { PostgresStore } from "evolvent/postgres"
import { SqliteStore } from "evolvent/sqlite"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { embeddedPostgres } from "./embeddedPostgres.ts"
import type { TicketOptions } from "./options.ts"
import type { EmbeddedPostgresError } from "./postgresPrograms.ts"

/** Where the log is: plain data, which one process can tell another. */
export type StoreLocation =
  | { readonly store: "memory" }
  | { readonly store: "sqlite"; readonly file: string }
  | { readonly store: "postgres"; readonly url: string; readonly schema: string }

/** Where the options say. What they leave open is made for this run, and gone with its scope. */
export const locate = (options: TicketOptions): Effect.Effect<StoreLocation, EmbeddedPostgresError, Scope.Scope> =>
  Effect.gen(function* () {
    const { file, processes, schema, store, url } = options
    if (store === "memory") return { store }
    if (store === "sqlite") return { store, file: file ?? (yield* temporaryFile) }
    if (url !== undefined) return { store, url, schema }
    const settings = { max_connections: String(20 + (processes + 1) * connections) }
    return { store, url: (yield* embeddedPostgres({ settings })).url, schema }
  })

/** Of one process to PostgreSQL: the pool, and one that listens. */
const connections = 5

export const layerAt = (location: StoreLocation): Layer.Layer<EventStore, EventStoreError.EventStoreError> => {
  if (location.store === "memory") return MemoryStore.layer()
  if (location.store === "sqlite") return SqliteStore.layer({ file: location.file })
  const { schema, url } = location
  return PostgresStore.layer({ url: inSchema(url, schema), schema, maxConnections: connections - 1 })
}

/** Tables of query models are made, and found, beside the log. */
const inSchema = (url: string, schema: string): string => {
  const within = new URL(url)
  within.searchParams.set("options", `-c search_path=${schema}`)
  return within.href
}

const temporaryFile = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "evolvent-tickets-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
).pipe(Effect.map((folder) => join(folder, "tickets.db")))
