/** The tables of a workspace in memory. Every change can be undone, so that a transaction that fails leaves nothing behind. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Semaphore from "effect/Semaphore"
import { fromReason, StoreClosed, StoreUnavailable } from "../../EventStoreError.ts"
import type { Transaction } from "../../Workspace.ts"
import type { StoreBackend } from "../StoreBackend.ts"
import type { CursorRow, CursorTable, DeadLetter, DeadLetterTable, VersionTable } from "../../WorkspaceTables.ts"
import type { Entry } from "./memoryOutbox.ts"
import { outboxTable } from "./memoryOutbox.ts"
import type { Step } from "./MemoryTable.ts"
import { MemoryTable } from "./MemoryTable.ts"

interface Cursor {
  readonly query: string
  readonly position: number
  readonly owner: string
  readonly epoch: number
  readonly leasedUntil: number
  readonly paused: boolean
  readonly movedAt: number
}

interface Letter extends DeadLetter {
  readonly cursor: string
  readonly replaying: boolean
}

/** A workspace in memory, as long-lived as the log (D6); and the transactions of a store on it. */
export const memoryTransactions = (now: () => number): ((isClosed: () => boolean) => StoreBackend["transaction"]) => {
  const cursors = new MemoryTable<Cursor>()
  const letters = new MemoryTable<Letter>()
  const entries = new MemoryTable<Entry>()
  const versions = new MemoryTable<number>()
  const all = [cursors, letters, entries, versions]
  const transactionOf = (step: Step): Transaction => ({
    sql: undefined,
    cursors: cursorTable(cursors, now, step),
    deadLetters: deadLetterTable(letters, now, step),
    outbox: outboxTable(entries, now, step),
    versions: versionTable(versions, step)
  })
  const semaphore = Semaphore.makeUnsafe(1)
  return (isClosed) => (work) =>
    semaphore.withPermit(
      Effect.suspend(() => {
        const closed = Effect.suspend(() => (isClosed() ? Effect.fail(fromReason(new StoreClosed())) : Effect.void))
        let isOver = false
        const step: Step = (run) =>
          Effect.suspend(() => (isOver ? Effect.fail(fromReason(hasEnded)) : Effect.succeed(run())))
        return closed.pipe(
          Effect.andThen(Effect.suspend(() => work(transactionOf(step)))),
          Effect.tap(() => closed),
          Effect.onExit((exit) =>
            Effect.sync(() => {
              isOver = true
              const end = Exit.isSuccess(exit) ? "keep" : "undo"
              for (const table of all) table[end]()
            })
          )
        )
      })
    )
}

const hasEnded = new StoreUnavailable({ code: "NO_TRANSACTION", operation: "keep cursors", retryable: false })

const cursorTable = (rows: MemoryTable<Cursor>, now: () => number, step: Step): CursorTable => {
  const held = (name: string, epoch: number): Cursor | undefined => {
    const row = rows.get(name)
    return row?.epoch === epoch ? row : undefined
  }
  const moveTo = (name: string, row: Cursor, position: number, leaseMs: number) => {
    const moved = position > row.position ? { position, movedAt: now() } : {}
    rows.set(name, { ...row, ...moved, leasedUntil: now() + leaseMs })
    return { position: Math.max(position, row.position), paused: row.paused }
  }
  const create = (query: string, position: number): Cursor => ({
    query,
    position,
    owner: "",
    epoch: 0,
    leasedUntil: 0,
    paused: false,
    movedAt: now()
  })
  return {
    claim: ({ cursor, leaseMs, owner, query, start }) =>
      step(() => {
        const row = rows.get(cursor) ?? create(query, start)
        const { position } = row
        if (row.query !== query) return { _tag: "OtherQuery" }
        const leftMs = row.leasedUntil - now()
        if (row.paused || (row.owner !== owner && leftMs > 0)) {
          return { _tag: "Taken", position, leftMs: Math.max(0, leftMs), paused: row.paused }
        }
        const epoch = row.epoch + 1
        rows.set(cursor, { ...row, owner, epoch, leasedUntil: now() + leaseMs })
        return { _tag: "Held", position, epoch }
      }),
    move: (cursor, epoch, position, leaseMs) =>
      step(() => {
        const row = held(cursor, epoch)
        return row === undefined || row.position >= position ? undefined : moveTo(cursor, row, position, leaseMs)
      }),
    renew: (cursor, epoch, position, leaseMs) =>
      step(() => {
        const row = held(cursor, epoch)
        return row === undefined ? undefined : moveTo(cursor, row, position, leaseMs)
      }),
    release: (cursor, epoch, position) =>
      step(() => {
        const row = held(cursor, epoch)
        if (row !== undefined) moveTo(cursor, row, position, 0)
      }),
    read: (names) =>
      step(() =>
        names.flatMap((name): ReadonlyArray<CursorRow> => {
          const row = rows.get(name)
          if (row === undefined) return []
          const { epoch, leasedUntil, movedAt, paused, position } = row
          return [{ cursor: name, position, epoch, paused, held: leasedUntil > now(), movedAt }]
        })
      ),
    reset: (cursor, position) =>
      step(() => {
        const row = rows.get(cursor)
        if (row === undefined) return
        rows.set(cursor, { ...row, position, epoch: row.epoch + 1, leasedUntil: 0, movedAt: now() })
      }),
    ensure: ({ cursor, query, start }) =>
      step(() => {
        const row = rows.get(cursor) ?? create(query, start)
        rows.set(cursor, row)
        return row.query === query
      }),
    setPaused: (cursor, paused) =>
      step(() => {
        const row = rows.get(cursor)
        if (row !== undefined) rows.set(cursor, { ...row, paused })
      }),
    remove: (cursor) => step(() => rows.set(cursor, undefined))
  }
}

const deadLetterTable = (rows: MemoryTable<Letter>, now: () => number, step: Step): DeadLetterTable => {
  const keyOf = (cursor: string, sequenceNumber: number) => `${sequenceNumber} ${cursor}`
  const of = (cursor: string) =>
    rows
      .values()
      .filter((row) => row.cursor === cursor)
      .sort((a, b) => a.sequenceNumber - b.sequenceNumber)
  const shown = ({ failure, key, parkedAt, sequenceNumber }: Letter): DeadLetter => ({
    sequenceNumber,
    key,
    failure,
    parkedAt
  })
  const change = (row: Letter, fields: Partial<Letter>) =>
    rows.set(keyOf(row.cursor, row.sequenceNumber), { ...row, ...fields })
  return {
    park: (cursor, letters) =>
      step(() => {
        for (const letter of letters) {
          rows.set(keyOf(cursor, letter.sequenceNumber), { ...letter, cursor, replaying: false, parkedAt: now() })
        }
      }),
    keys: (cursor) => step(() => [...new Set(of(cursor).map(({ key }) => key))]),
    list: (cursor, after, limit) =>
      step(() =>
        of(cursor)
          .filter(({ sequenceNumber }) => sequenceNumber > after)
          .slice(0, limit)
          .map(shown)
      ),
    requestReplay: (cursor, key) =>
      step(() => {
        const asked = of(cursor).filter((row) => key === undefined || row.key === key)
        for (const row of asked) change(row, { replaying: true })
        return asked.length
      }),
    toReplay: (cursor, limit) =>
      step(() =>
        of(cursor)
          .filter(({ replaying }) => replaying)
          .slice(0, limit)
          .map(shown)
      ),
    failReplay: (cursor, { failure, key, sequenceNumber }) =>
      step(() => {
        for (const row of of(cursor)) {
          if (row.key !== key) continue
          change(row, row.sequenceNumber === sequenceNumber ? { replaying: false, failure } : { replaying: false })
        }
      }),
    remove: (cursor, sequenceNumbers) =>
      step(() => {
        for (const number of sequenceNumbers) rows.set(keyOf(cursor, number), undefined)
      }),
    clear: (cursor) =>
      step(() => {
        for (const { sequenceNumber } of of(cursor)) rows.set(keyOf(cursor, sequenceNumber), undefined)
      })
  }
}

const versionTable = (rows: MemoryTable<number>, step: Step): VersionTable => ({
  active: (projection) => step(() => rows.get(projection)),
  activate: (projection, version) =>
    step(() => {
      const isHigher = version > (rows.get(projection) ?? 0)
      if (isHigher) rows.set(projection, version)
      return isHigher
    })
})
