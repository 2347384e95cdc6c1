/** The outbox in memory. */
import type { OutboxEntry, OutboxKey, OutboxTable } from "../../WorkspaceTables.ts"
import type { MemoryTable, Step } from "./MemoryTable.ts"

export interface Entry extends OutboxEntry {
  readonly dueAt: number
}

const inOrder = (a: OutboxKey, b: OutboxKey): number => a.sequenceNumber - b.sequenceNumber || a.place - b.place

export const outboxTable = (rows: MemoryTable<Entry>, now: () => number, step: Step): OutboxTable => {
  const keyOf = ({ place, reactor, sequenceNumber }: OutboxKey) => `${sequenceNumber} ${place} ${reactor}`
  const of = (reactor: string, dead: boolean) =>
    rows
      .values()
      .filter((row) => row.reactor === reactor && row.dead === dead)
      .sort(inOrder)
  const settle = (key: OutboxKey, attempts: number, settled: (row: Entry) => Entry | undefined, holder?: string) =>
    step(() => {
      const row = rows.get(keyOf(key))
      if (row === undefined || row.dead || row.attempts !== attempts) return false
      if (holder !== undefined && row.failure !== holder) return false
      rows.set(keyOf(key), settled(row))
      return true
    })
  return {
    put: (entries) =>
      step(() => {
        for (const entry of entries) {
          if (rows.get(keyOf(entry)) !== undefined) continue
          rows.set(keyOf(entry), { ...entry, attempts: 0, failure: undefined, dead: false, dueAt: now() })
        }
      }),
    lease: (reactor, limit, leaseMs, holder) =>
      step(() => {
        const leased: Array<Entry> = []
        // They are nearly in order as they come: looking at all of them for each few would cost the square of their number.
        for (const row of rows.each()) {
          if (leased.length === limit) break
          if (row.reactor === reactor && !row.dead && row.dueAt <= now()) leased.push(row)
        }
        return leased.sort(inOrder).map((row) => {
          const entry = { ...row, attempts: row.attempts + 1, dueAt: now() + leaseMs, failure: holder }
          rows.set(keyOf(row), entry)
          return { ...entry, failure: row.failure }
        })
      }),
    dueIn: (reactor) =>
      step(() => {
        let first = Number.POSITIVE_INFINITY
        for (const row of rows.each()) if (row.reactor === reactor && !row.dead) first = Math.min(first, row.dueAt)
        return first === Number.POSITIVE_INFINITY ? undefined : Math.max(0, first - now())
      }),
    acknowledge: (key, attempts) => settle(key, attempts, () => undefined),
    postpone: (key, attempts, delayMs, failure) =>
      settle(key, attempts, (row) => ({ ...row, dueAt: now() + delayMs, failure })),
    giveBack: (key, attempts, holder, failure) =>
      settle(key, attempts, (row) => ({ ...row, attempts: attempts - 1, dueAt: now(), failure }), holder),
    bury: (key, attempts, failure) => settle(key, attempts, (row) => ({ ...row, dead: true, failure })),
    list: (reactor, dead, limit) => step(() => of(reactor, dead).slice(0, limit)),
    count: (reactor) => step(() => ({ waiting: of(reactor, false).length, dead: of(reactor, true).length })),
    revive: (reactor) =>
      step(() => {
        const dead = of(reactor, true)
        for (const row of dead) rows.set(keyOf(row), { ...row, dead: false, dueAt: now() })
        return dead.length
      })
  }
}
