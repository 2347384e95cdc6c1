/** What real time says about the length of the log: how long it was at least, and how long it can have been at most. */
import type { Operation } from "./History.ts"

interface Bound {
  readonly time: number
  readonly length: number
}

export class Timeline {
  /** Ascending in both. */
  private readonly least: ReadonlyArray<Bound>
  /** Descending in both. */
  private readonly most: ReadonlyArray<Bound>
  private readonly end: number

  constructor(operations: ReadonlyArray<Operation>, end: number) {
    const shown = operations.flatMap((operation): ReadonlyArray<Bound> => {
      const length = seenBy(operation)
      return length === undefined ? [] : [{ time: operation.answered, length }]
    })
    const missing = operations.flatMap((operation): ReadonlyArray<Bound> =>
      operation.kind !== "stream" && operation.answer._tag === "Appended"
        ? [{ time: operation.invoked, length: operation.answer.first - 1 }]
        : []
    )
    this.least = running(
      shown.sort((a, b) => a.time - b.time),
      Math.max
    )
    this.most = running(
      missing.sort((a, b) => b.time - a.time),
      Math.min
    )
    this.end = end
  }

  /** Somebody had been shown so much of the log before that time. */
  certainAt(time: number): number {
    return this.least.findLast((bound) => bound.time < time)?.length ?? 0
  }

  /** What follows was appended by calls that came after that time. */
  possibleAt(time: number): number {
    return this.most.findLast((bound) => bound.time > time)?.length ?? this.end
  }
}

/** How much of the log the answer shows; `undefined` where it shows nothing. */
const seenBy = (operation: Operation): number | undefined => {
  if (operation.kind === "stream") return undefined
  const { answer } = operation
  if (answer._tag === "Appended") return answer.last
  if (answer._tag === "Failed") return undefined
  return answer.head ?? 0
}

const running = (
  bounds: ReadonlyArray<Bound>,
  choose: (one: number, other: number) => number
): ReadonlyArray<Bound> => {
  const result: Array<Bound> = []
  for (const { length, time } of bounds) {
    const last = result.at(-1)
    result.push({ time, length: last === undefined ? length : choose(last.length, length) })
  }
  return result
}
