/**
 * Dead reactions: listed, revived, dropped. Within one transaction all of a reactor's dead entries are revived, and those that were not
 * meant are buried again, or taken out, before anybody else can see that.
 */
import * as Effect from "effect/Effect"
import type { EventStoreError } from "../../stores/EventStoreError.ts"
import type { OutboxEntry } from "../../stores/WorkspaceTables.ts"
import type { Transaction, Workspace } from "../../stores/Workspace.ts"
import type { DeadReaction, ReactionRef } from "../Outbox.ts"

/** More than a table of dead reactions may ever hold. */
const all = Number.MAX_SAFE_INTEGER

/** The dead reactions of these reactors, in the order of their events. */
export const listDead = (
  workspace: Workspace,
  reactors: ReadonlyArray<string>,
  limit: number
): Effect.Effect<ReadonlyArray<DeadReaction<any>>, EventStoreError> =>
  Effect.map(
    workspace.transaction(({ outbox }) => Effect.forEach(reactors, (reactor) => outbox.list(reactor, true, limit))),
    (lists) =>
      lists
        .flat()
        .sort((a, b) => a.sequenceNumber - b.sequenceNumber || a.place - b.place)
        .slice(0, limit)
        .map(({ attempts, body, failure = "", place, reactor, sequenceNumber }) => ({
          reactor,
          sequenceNumber,
          place,
          reaction: JSON.parse(body) as unknown,
          attempts,
          failure
        }))
  )

/** Revives these reactions of the reactors, or all, and says how many. */
export const reviveDead = (
  workspace: Workspace,
  reactors: ReadonlyArray<string>,
  reactions: ReadonlyArray<ReactionRef> | undefined
): Effect.Effect<number, EventStoreError> =>
  reactions === undefined
    ? Effect.map(
        workspace.transaction(({ outbox }) => Effect.forEach(reactors, outbox.revive)),
        (counts) => counts.reduce((sum, count) => sum + count, 0)
      )
    : amongDead(workspace, reactors, reactions, ({ outbox }, entry) =>
        outbox.postpone(entry, entry.attempts, 0, entry.failure ?? "")
      )

/** Takes these reactions of the reactors out, and says how many. */
export const dropDead = (
  workspace: Workspace,
  reactors: ReadonlyArray<string>,
  reactions: ReadonlyArray<ReactionRef>
): Effect.Effect<number, EventStoreError> =>
  amongDead(workspace, reactors, reactions, ({ outbox }, entry) => outbox.acknowledge(entry, entry.attempts))

/** Somebody else has buried an entry at that moment. */
class Disturbed {
  readonly _tag = "Disturbed"
}

const amongDead = (
  workspace: Workspace,
  reactors: ReadonlyArray<string>,
  reactions: ReadonlyArray<ReactionRef>,
  deal: (transaction: Transaction, entry: OutboxEntry) => Effect.Effect<boolean, EventStoreError>
): Effect.Effect<number, EventStoreError> => {
  const meant = new Set(reactions.map(keyOf))
  const named = reactors.filter((reactor) => reactions.some((reaction) => reaction.reactor === reactor))
  const dealWith = (transaction: Transaction, reactor: string) =>
    Effect.gen(function* () {
      const { outbox } = transaction
      const dead = yield* outbox.list(reactor, true, all)
      if ((yield* outbox.revive(reactor)) !== dead.length) return yield* Effect.fail(new Disturbed())
      let count = 0
      for (const entry of dead) {
        const isMeant = meant.has(keyOf(entry))
        count += Number(isMeant)
        const isThere = yield* isMeant
          ? deal(transaction, entry)
          : outbox.bury(entry, entry.attempts, entry.failure ?? "")
        // As many were revived, but not the same ones.
        if (!isThere) return yield* Effect.fail(new Disturbed())
      }
      return count
    })
  return workspace
    .transaction((transaction) => Effect.forEach(named, (reactor) => dealWith(transaction, reactor)))
    .pipe(
      Effect.retry({ while: (error) => error._tag === "Disturbed" }),
      Effect.map((counts) => counts.reduce((sum, count) => sum + count, 0))
    )
}

const keyOf = ({ place, reactor, sequenceNumber }: ReactionRef): string => `${sequenceNumber} ${place} ${reactor}`
