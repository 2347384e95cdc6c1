/** A table in memory whose changes can be undone. */
import type * as Effect from "effect/Effect"
import type { EventStoreError } from "../../EventStoreError.ts"

/** Runs a step of a transaction, while that is under way. */
export type Step = <A>(run: () => A) => Effect.Effect<A, EventStoreError>

/** A map whose changes are written down until the transaction ends. Its values are never changed, only replaced. */
export class MemoryTable<Row> {
  private readonly rows = new Map<string, Row>()
  private before = new Map<string, Row | undefined>()

  get(key: string): Row | undefined {
    return this.rows.get(key)
  }

  each(): Iterable<Row> {
    return this.rows.values()
  }

  values(): Array<Row> {
    return [...this.rows.values()]
  }

  set(key: string, row: Row | undefined): void {
    if (!this.before.has(key)) this.before.set(key, this.rows.get(key))
    if (row === undefined) this.rows.delete(key)
    else this.rows.set(key, row)
  }

  keep(): void {
    this.before = new Map()
  }

  undo(): void {
    for (const [key, row] of this.before) {
      if (row === undefined) this.rows.delete(key)
      else this.rows.set(key, row)
    }
    this.keep()
  }
}
