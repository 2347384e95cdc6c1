/** Mutants that keep the cursors of durable streams wrongly, or their names and leases (D2, D4 to D7). */
import * as Effect from "effect/Effect"
import type { StoreBackend } from "../../stores/internal/StoreBackend.ts"
import { memoryTransactions } from "../../stores/internal/workspace/memoryTables.ts"
import type { Claimed, CursorTable } from "../../stores/WorkspaceTables.ts"
import type { Mutant } from "./Mutant.ts"
import { mutant } from "./Mutant.ts"
import { PlainLog } from "./PlainLog.ts"

/** The operations that are done otherwise. */
type Alter<Log extends PlainLog> = (right: CursorTable, log: Log) => Partial<CursorTable>

/** Lets transactions have other cursors than the right ones. */
export const withCursors =
  <Log extends PlainLog>(alter: Alter<Log>) =>
  (backend: StoreBackend, log: Log): StoreBackend => ({
    ...backend,
    transaction: (work, options) =>
      backend.transaction((transaction) => {
        const cursors = { ...transaction.cursors, ...alter(transaction.cursors, log) }
        return work({ ...transaction, cursors })
      }, options)
  })

const keeping = (name: string, mistake: string, killedBy: Mutant["killedBy"], alter: Alter<PlainLog>): Mutant =>
  mutant(name, mistake, killedBy, { backend: withCursors(alter) })

type Of<Tag extends Claimed["_tag"]> = Extract<Claimed, { readonly _tag: Tag }>

/** A mutant that tells who takes a cursor another position than the stored one. */
const claimedAt = (
  name: string,
  mistake: string,
  killedBy: Mutant["killedBy"],
  position: (held: Of<"Held">, log: PlainLog) => number
): Mutant =>
  keeping(name, mistake, killedBy, (right, log) => ({
    claim: (asked) =>
      Effect.map(right.claim(asked), (claimed) =>
        claimed._tag === "Held" ? { ...claimed, position: position(claimed, log) } : claimed
      )
  }))

type Claiming = ReturnType<CursorTable["claim"]>

/** Gives another answer to who asks for a cursor that cannot be had. */
const whereTaken =
  (alter: (right: CursorTable, taken: Of<"Taken">, again: Claiming, cursor: string) => Claiming): Alter<PlainLog> =>
  (right) => ({
    claim: (asked) =>
      Effect.flatMap(right.claim(asked), (claimed) =>
        claimed._tag === "Taken" ? alter(right, claimed, right.claim(asked), asked.cursor) : Effect.succeed(claimed)
      )
  })

/** Where cursors were last said to be, by those who hold them. */
class LastSaid extends PlainLog {
  readonly said = new Map<string, number>()
}

/** Sets positions instead of raising them. */
const settingPositions = (right: CursorTable, { said }: LastSaid): Partial<CursorTable> => {
  const at = <Row extends { readonly position: number }>(cursor: string, row: Row): Row => ({
    ...row,
    position: said.get(cursor) ?? row.position
  })
  const set: CursorTable["renew"] = (cursor, epoch, position, leaseMs) =>
    Effect.map(right.renew(cursor, epoch, position, leaseMs), (held) => {
      if (held === undefined) return undefined
      said.set(cursor, position)
      return at(cursor, held)
    })
  const forget = (cursor: string) => Effect.sync(() => void said.delete(cursor))
  return {
    claim: (asked) =>
      Effect.map(right.claim(asked), (claimed) => ("position" in claimed ? at(asked.cursor, claimed) : claimed)),
    move: set,
    renew: set,
    release: (cursor, epoch, position) => Effect.asVoid(set(cursor, epoch, position, 0)),
    read: (cursors) => Effect.map(right.read(cursors), (rows) => rows.map((row) => at(row.cursor, row))),
    reset: (cursor, position) => Effect.andThen(forget(cursor), right.reset(cursor, position)),
    remove: (cursor) => Effect.andThen(forget(cursor), right.remove(cursor))
  }
}

/** Renews the leases of cursors, and leaves these where they are. */
const standingStill = (right: CursorTable): Partial<CursorTable> => ({
  move: (cursor, epoch, _, leaseMs) => right.renew(cursor, epoch, 0, leaseMs),
  renew: (cursor, epoch, _, leaseMs) => right.renew(cursor, epoch, 0, leaseMs),
  release: (cursor, epoch) => right.release(cursor, epoch, 0)
})

const rowOf = (right: CursorTable, cursor: string) => Effect.map(right.read([cursor]), ([row]) => row)

/** Takes everybody for the holder. */
const whateverTheEpoch = (right: CursorTable): Partial<CursorTable> => {
  const latest = <A>(cursor: string, run: (epoch: number) => A) =>
    Effect.map(rowOf(right, cursor), (row) => run(row?.epoch ?? 0))
  return {
    move: (cursor, _, position, leaseMs) =>
      Effect.flatten(latest(cursor, (epoch) => right.move(cursor, epoch, position, leaseMs))),
    renew: (cursor, _, position, leaseMs) =>
      Effect.flatten(latest(cursor, (epoch) => right.renew(cursor, epoch, position, leaseMs))),
    release: (cursor, _, position) => Effect.flatten(latest(cursor, (epoch) => right.release(cursor, epoch, position)))
  }
}

/** Leaves a lease as it is when its cursor does not move. */
const renewedByMoving = (right: CursorTable): Partial<CursorTable> => ({
  renew: (cursor, epoch, position, leaseMs) =>
    Effect.flatMap(rowOf(right, cursor), (row) =>
      row?.epoch === epoch && row.position >= position
        ? Effect.succeed({ position: row.position, paused: row.paused })
        : right.renew(cursor, epoch, position, leaseMs)
    )
})

/** Takes cursors for part of the log. */
const reachingToCursors = (right: StoreBackend, log: PlainLog): StoreBackend => {
  let furthest = 0
  const backend = withCursors((cursors) => ({
    claim: (asked) =>
      Effect.tap(cursors.claim(asked), (claimed) =>
        Effect.sync(() => {
          if ("position" in claimed) furthest = Math.max(furthest, claimed.position)
        })
      )
  }))(right, log)
  const { reading } = backend
  return { ...backend, reading: { ...reading, head: Effect.map(reading.head, (head) => Math.max(head, furthest)) } }
}

const resumed = "a durable stream that is registered again goes on after what was delivered"
const takenOver = "who waits takes over when the other one unsubscribes, however long the lease"

const positions = [
  mutant<LastSaid>(
    "cursor set back",
    "Sets a cursor to the position that it is given, also where it is further already.",
    ["a cursor moves forward only"],
    { log: () => new LastSaid(), backend: withCursors(settingPositions) }
  ),
  keeping(
    "cursor never stored",
    "Knows how far a stream has come only for as long as the stream lasts.",
    [resumed, "a cursor outlives the store that it was made with"],
    standingStill
  ),
  mutant(
    "cursors of one store",
    "Keeps cursors in the store instead of beside the log.",
    [
      "a cursor outlives the store that it was made with",
      "of several stores exactly one delivers, each batch once and in order, while all of them append"
    ],
    {
      backend: (backend) => ({
        ...backend,
        transaction: memoryTransactions(backend.currentMillis)(backend.isClosed)
      })
    }
  ),
  claimedAt(
    "cursor taken one early",
    "Goes on with the last event that was delivered instead of after it.",
    [resumed, takenOver],
    ({ position }) => Math.max(0, position - 1)
  ),
  claimedAt(
    "cursor taken one late",
    "Leaves out the event after the cursor.",
    ["a durable stream replays the log in its original batches and goes on with what comes", resumed],
    ({ position }, log) => Math.min(position + 1, log.head)
  ),
  claimedAt(
    "takeover at the head",
    "Goes on at the head instead of at the cursor when a lease is taken that somebody has had before.",
    [resumed, takenOver],
    ({ epoch, position }, log) => (epoch > 1 ? log.head : position)
  ),
  claimedAt(
    "cursor ahead of the log moved to its end",
    "Goes on at the head when the cursor lies beyond it.",
    ["a cursor beyond the head is refused, and the store goes on working"],
    ({ position }, log) => Math.min(position, log.head)
  ),
  mutant(
    "cursor ahead of the log waits",
    "Waits in silence for the log to reach a cursor that lies beyond its head.",
    ["a cursor beyond the head is refused, and the store goes on working"],
    { backend: reachingToCursors }
  )
]

const names = [
  keeping(
    "name without a query",
    "Lets a name go on with whatever query it is given.",
    [
      "a name belongs to its query: another one is DurableStreamMismatch, and the store goes on working",
      "a name belongs to its query in every store"
    ],
    (right) => ({
      claim: (asked) => right.claim({ ...asked, query: "" }),
      ensure: (asked) => right.ensure({ ...asked, query: "" })
    })
  )
]

const leases = [
  keeping(
    "lease ignored",
    "Gives a cursor to whoever asks, though somebody holds it.",
    [
      "a lease is kept while a handler takes longer than it",
      "a lease is had by one, and by the next one when it has ended, under a higher epoch"
    ],
    whereTaken((right, { paused, position }, again, cursor) =>
      paused ? again : Effect.andThen(right.reset(cursor, position), again)
    )
  ),
  keeping(
    "epoch ignored",
    "Lets whoever held a cursor once move it, though others have taken it over.",
    [
      "a handler that was fenced moves nothing: its batch is delivered again",
      "who lost a lease moves, renews and gives back nothing"
    ],
    whateverTheEpoch
  ),
  keeping(
    "lease renewed by moving only",
    "Renews a lease when its cursor moves, and not while a handler is at work.",
    ["a lease is kept while a handler takes longer than it"],
    renewedByMoving
  ),
  keeping(
    "lease not given back",
    "Leaves a lease to end by itself when its stream has ended.",
    [
      takenOver,
      "who waits takes over when the other store is closed, however long the lease",
      "a name is free again when its stream is unsubscribed, at once and however long the lease"
    ],
    () => ({ release: () => Effect.void })
  ),
  keeping(
    "pause kept from the holder",
    "Refuses a paused cursor to who asks for it, and does not tell who holds it.",
    ["a stream whose cursor is paused delivers nothing more until it is resumed"],
    (right) => {
      const untold = Effect.map((held: { readonly position: number } | undefined) =>
        held === undefined ? undefined : { ...held, paused: false }
      )
      return {
        move: (cursor, epoch, position, leaseMs) => untold(right.move(cursor, epoch, position, leaseMs)),
        renew: (cursor, epoch, position, leaseMs) => untold(right.renew(cursor, epoch, position, leaseMs))
      }
    }
  ),
  keeping(
    "paused cursor given",
    "Gives a paused cursor to who asks for it.",
    ["a cursor that is paused cannot be claimed, and its holder is told"],
    whereTaken((right, { paused }, again, cursor) =>
      paused
        ? right.setPaused(cursor, false).pipe(
            Effect.andThen(again),
            Effect.tap(() => right.setPaused(cursor, true))
          )
        : again
    )
  )
]

export const durableCursors = [...positions, ...names, ...leases]
