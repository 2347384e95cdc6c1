/** Roles whose settings are not those that the store is used to. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { OwnRole, OwnSchema } from "../../support/postgres.ts"
import { ownRole } from "../../support/postgres.ts"

/** A role that may do everything, with settings of its own: `ALTER ROLE ... SET`, each as it is written there. */
export const roleWith = (
  { query, url }: OwnSchema,
  settings: Readonly<Record<string, string>>
): Effect.Effect<OwnRole, never, Scope.Scope> =>
  Effect.gen(function* () {
    const own = yield* ownRole(url)
    yield* query(`ALTER ROLE "${own.role}" SUPERUSER`)
    for (const [name, value] of Object.entries(settings))
      yield* query(`ALTER ROLE "${own.role}" SET ${name} = ${value}`)
    return own
  }).pipe(Effect.orDie)

/** For this role the store opens its transactions itself. */
export const repeatableRead = { default_transaction_isolation: "'repeatable read'" }
