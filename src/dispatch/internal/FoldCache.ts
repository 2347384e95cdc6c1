/** A bounded cache of folded contexts: the least recently used goes first. A hit dispatches without reading. */
import type { ContextFold } from "./ContextFold.ts"

export class FoldCache {
  private readonly folds = new Map<string, ContextFold>()
  private readonly capacity: number

  /** `capacity` is a number of contexts; 0 keeps nothing. */
  constructor(capacity: number) {
    this.capacity = capacity
  }

  get(context: string): ContextFold | undefined {
    const fold = this.folds.get(context)
    if (fold === undefined) return undefined
    this.folds.delete(context)
    this.folds.set(context, fold)
    return fold
  }

  set(context: string, fold: ContextFold): void {
    if (this.capacity === 0) return
    this.folds.delete(context)
    this.folds.set(context, fold)
    if (this.folds.size > this.capacity) this.folds.delete(this.folds.keys().next().value!)
  }

  delete(context: string): void {
    this.folds.delete(context)
  }
}
