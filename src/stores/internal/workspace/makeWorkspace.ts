/** The workspace of a store on top of its backend. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { fromReason } from "../../EventStoreError.ts"
import type { Workspace } from "../../Workspace.ts"
import type { Followers } from "../following.ts"
import { normaliseQuery, refuseReadCursor } from "../normaliseQuery.ts"
import type { StoreBackend } from "../StoreBackend.ts"
import { turns } from "../turns.ts"

export const makeWorkspace = (backend: StoreBackend, followers: Followers): Workspace => ({
  transaction: backend.transaction,
  follow: (options) =>
    Effect.fromResult(Result.flatMap(normaliseQuery(options.query, "query"), refuseReadCursor)).pipe(
      Effect.mapError(fromReason),
      Effect.flatMap((query) => followers.follow({ ...options, query }))
    ),
  page: (query, after, limit) =>
    Effect.fromResult(normaliseQuery(query, "query")).pipe(
      Effect.flatMap((checked) => backend.reading.page(checked, after, limit)),
      Effect.mapError(fromReason)
    ),
  inTurn: turns(backend),
  head: Effect.mapError(backend.reading.head, fromReason),
  awaitChange: backend.awaitChange
})
