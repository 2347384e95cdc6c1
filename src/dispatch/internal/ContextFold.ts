/**
 * A context as a process knows it: the states that its records fold into, one per view, all at the same head. Pure; a fold
 * that goes on is a new value.
 */
import * as Result from "effect/Result"
import type { DecodeError } from "../../decider/EventCatalog.ts"
import * as View from "../../decider/View.ts"

/** The state of a view, or why there is none. `Bug` is what an `evolve` threw. */
export type FoldedState = Result.Result<unknown, DecodeError | Bug>

/** Something that user code threw although it must not: a defect of the program, not an outcome. */
export class Bug {
  readonly thrown: unknown
  constructor(thrown: unknown) {
    this.thrown = thrown
  }
}

interface Folded {
  readonly view: View.Any
  readonly state: FoldedState
}

export class ContextFold {
  /** The last number that was looked at; 0 for an empty log. */
  readonly head: number
  /** The context's version at that head. */
  readonly version: number | null
  private readonly states: ReadonlyMap<string, Folded>

  private constructor(head: number, version: number | null, states: ReadonlyMap<string, Folded>) {
    this.head = head
    this.version = version
    this.states = states
  }

  /** Folds all records of a context for these views. */
  static of(
    views: Iterable<View.Any>,
    records: ReadonlyArray<View.Foldable>,
    head: number,
    version: number | null
  ): ContextFold {
    const states = new Map<string, Folded>()
    for (const view of views) {
      if (!states.has(view.key))
        states.set(view.key, { view, state: foldOn(view, Result.succeed(view.initial), records) })
    }
    return new ContextFold(head, version, states)
  }

  /** The views whose states are known here. */
  get views(): ReadonlyArray<View.Any> {
    return [...this.states.values()].map(({ view }) => view)
  }

  has(view: View.Any): boolean {
    return this.states.has(view.key)
  }

  /** The state of a view that is known here. */
  stateOf(view: View.Any): FoldedState {
    return this.states.get(view.key)!.state
  }

  /** The fold after further records of the context; `head` and `version` are the log's and the context's after them. */
  with(records: ReadonlyArray<View.Foldable>, head: number, version: number | null): ContextFold {
    if (records.length === 0) return new ContextFold(head, version, this.states)
    const states = new Map<string, Folded>()
    for (const [key, { view, state }] of this.states) states.set(key, { view, state: foldOn(view, state, records) })
    return new ContextFold(head, version, states)
  }

  /** The fold after events of the context that are not recorded yet: their numbers, and so head and version, are not known. */
  after(events: ReadonlyArray<Omit<View.Foldable, "sequenceNumber">>): ContextFold {
    const numbered = events.map((event, index) => ({ ...event, sequenceNumber: this.head + 1 + index }))
    return this.with(numbered, this.head, this.version)
  }
}

const foldOn = (view: View.Any, state: FoldedState, records: ReadonlyArray<View.Foldable>): FoldedState =>
  Result.flatMap(state, (from) =>
    Result.flatMap(
      Result.try({ try: () => View.foldFrom(view, from, records), catch: (thrown) => new Bug(thrown) }),
      (folded): FoldedState => folded
    )
  )
