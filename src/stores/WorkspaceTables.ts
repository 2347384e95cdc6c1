/**
 * What a store keeps beside its log, one operation a line: cursors under leases, dead letters of projections, the outbox of
 * reactors, which version of a projection is in use. All operations of one transaction happen together or not at all; times
 * are the database's.
 */
import type * as Effect from "effect/Effect"
import type { EventStoreError } from "./EventStoreError.ts"

type Stored<A> = Effect.Effect<A, EventStoreError>

/** Who wants a cursor, and for what. */
export interface Claim {
  readonly cursor: string
  /** The canonical text of the query that the cursor belongs to (D4). */
  readonly query: string
  /** Where the cursor starts if it is new. */
  readonly start: number
  /** Different for everybody who may ask. */
  readonly owner: string
  readonly leaseMs: number
}

/** What became of a claim. Epochs tell the holders of a cursor apart: the one with the highest is the holder. */
export type Claimed =
  | { readonly _tag: "Held"; readonly position: number; readonly epoch: number }
  /** Somebody else holds it, for `leftMs` more at the most if they do not renew their lease; or it is paused. */
  | { readonly _tag: "Taken"; readonly position: number; readonly leftMs: number; readonly paused: boolean }
  | { readonly _tag: "OtherQuery" }
  /** The cursor counts the events of another log. */
  | { readonly _tag: "OtherLog"; readonly position: number }

/** What the holder of a cursor is told of it. */
export interface Held {
  readonly position: number
  readonly paused: boolean
}

/** A cursor as it is stored. */
export interface CursorRow {
  readonly cursor: string
  readonly position: number
  readonly epoch: number
  readonly paused: boolean
  /** Whether somebody's lease on it has not ended. */
  readonly held: boolean
  /** Milliseconds since the Unix epoch. */
  readonly movedAt: number
}

export interface CursorTable {
  /** Takes the lease if it is free, has ended, or is the asker's own already; makes the cursor if there is none. */
  readonly claim: (claim: Claim) => Stored<Claimed>
  /**
   * Moves the cursor forward and renews the lease; `undefined` when the epoch is over or the cursor is there already. Nobody
   * takes the cursor over between this and the end of the transaction.
   */
  readonly move: (cursor: string, epoch: number, position: number, leaseMs: number) => Stored<Held | undefined>
  /** Renews the lease, and moves the cursor forward where it is not as far yet; `undefined` when the epoch is over. */
  readonly renew: (cursor: string, epoch: number, position: number, leaseMs: number) => Stored<Held | undefined>
  /** Ends the lease, and moves the cursor forward a last time, if the epoch is not over. */
  readonly release: (cursor: string, epoch: number, position: number) => Stored<void>
  readonly read: (cursors: ReadonlyArray<string>) => Stored<ReadonlyArray<CursorRow>>
  /** Back to `position`, with a new epoch, so that whoever held it must stop. Nothing where there is none. */
  readonly reset: (cursor: string, position: number) => Stored<void>
  /**
   * Makes the cursor if there is none, and says whether it belongs to the query. Whoever else does that, or claims it, waits until
   * the end of the transaction.
   */
  readonly ensure: (claim: Pick<Claim, "cursor" | "query" | "start">) => Stored<boolean>
  /** A paused cursor cannot be claimed, and its holder is told when it moves it or renews its lease. */
  readonly setPaused: (cursor: string, paused: boolean) => Stored<void>
  readonly remove: (cursor: string) => Stored<void>
}

/** An event that was set aside. */
export interface DeadLetter {
  readonly sequenceNumber: number
  /** Events of the same key wait behind each other. */
  readonly key: string
  /** What the handler failed with; `undefined` for one that only waits behind another. */
  readonly failure: string | undefined
  /** Milliseconds since the Unix epoch. */
  readonly parkedAt: number
}

export interface DeadLetterTable {
  readonly park: (cursor: string, letters: ReadonlyArray<Omit<DeadLetter, "parkedAt">>) => Stored<void>
  /** The keys of which something is parked. */
  readonly keys: (cursor: string) => Stored<ReadonlyArray<string>>
  /** In ascending order; after `after`, at most `limit`. */
  readonly list: (cursor: string, after: number, limit: number) => Stored<ReadonlyArray<DeadLetter>>
  /** Asks for another try, of all or of one key, and says of how many. */
  readonly requestReplay: (cursor: string, key: string | undefined) => Stored<number>
  /** The letters of which another try was asked for, ascending, at most `limit`. */
  readonly toReplay: (cursor: string, limit: number) => Stored<ReadonlyArray<DeadLetter>>
  /** The other try has failed: the key's letters wait again, the first one with its new failure. */
  readonly failReplay: (cursor: string, letter: Pick<DeadLetter, "sequenceNumber" | "key" | "failure">) => Stored<void>
  readonly remove: (cursor: string, sequenceNumbers: ReadonlyArray<number>) => Stored<void>
  readonly clear: (cursor: string) => Stored<void>
}

/** What identifies an entry of the outbox: the reactor, the event, the place among the reactions to it. */
export interface OutboxKey {
  readonly reactor: string
  readonly sequenceNumber: number
  /** From 0. */
  readonly place: number
}

/** A reaction that is to be carried out. */
export interface NewOutboxEntry extends OutboxKey {
  /** The reaction as JSON text. */
  readonly body: string
}

/** An entry that is leased, or listed. */
export interface OutboxEntry extends NewOutboxEntry {
  /** How often it was leased, this time included. It also tells the holders of an entry apart. */
  readonly attempts: number
  /** What the attempt before has failed with. While an entry is leased, its holder is stored instead. */
  readonly failure: string | undefined
  /** Given up. */
  readonly dead: boolean
}

export interface OutboxTable {
  /** An entry that is there already stays as it is. */
  readonly put: (entries: ReadonlyArray<NewOutboxEntry>) => Stored<void>
  /**
   * Takes entries that are due, in the order of their events, for so long; others see them again after that. The holder takes the place
   * of the failure; given is the failure that was there.
   */
  readonly lease: (
    reactor: string,
    limit: number,
    leaseMs: number,
    holder: string
  ) => Stored<ReadonlyArray<OutboxEntry>>
  /** Milliseconds until the next entry is due; `undefined` when none waits. */
  readonly dueIn: (reactor: string) => Stored<number | undefined>
  /** Done with: takes it out, if it was not leased by others since; says whether it was there. */
  readonly acknowledge: (key: OutboxKey, attempts: number) => Stored<boolean>
  /** Due again in so many milliseconds. */
  readonly postpone: (key: OutboxKey, attempts: number, delayMs: number, failure: string) => Stored<boolean>
  /**
   * The attempt was not begun: it does not count, and the entry is due at once, as it was before it was leased. The number becomes
   * less by that, and others may lease the entry under the same one: only the holder can do it.
   */
  readonly giveBack: (key: OutboxKey, attempts: number, holder: string, failure: string | undefined) => Stored<boolean>
  /** Given up: stays as it is until it is revived. */
  readonly bury: (key: OutboxKey, attempts: number, failure: string) => Stored<boolean>
  /** In the order of their events. */
  readonly list: (reactor: string, dead: boolean, limit: number) => Stored<ReadonlyArray<OutboxEntry>>
  readonly count: (reactor: string) => Stored<{ readonly waiting: number; readonly dead: number }>
  /** Gives the dead entries of the reactor another life, and says how many. */
  readonly revive: (reactor: string) => Stored<number>
}

export interface VersionTable {
  /** The version of the projection that is in use; `undefined` when none is yet. */
  readonly active: (projection: string) => Stored<number | undefined>
  /** Puts a version in use if it is higher than the one that is; says whether it did. */
  readonly activate: (projection: string, version: number) => Stored<boolean>
}

export interface Tables {
  readonly cursors: CursorTable
  readonly deadLetters: DeadLetterTable
  readonly outbox: OutboxTable
  readonly versions: VersionTable
}
