/**
 * A command decided again, by its decider alone, on every prefix of the log that ends with a committed batch. Each record is
 * folded once, each prefix decided on once.
 */
import * as Result from "effect/Result"
import type * as Decider from "../../decider/Decider.ts"
import * as View from "../../decider/View.ts"
import type { EventRecord } from "../../stores/Event.ts"
import * as EventQuery from "../../stores/EventQuery.ts"
import { record } from "../spec/givenEvents.ts"
import type { Recorded } from "../spec/givenEvents.ts"
import { printEventLine, printLine } from "../spec/printValue.ts"
import type { Request } from "./Request.ts"

/** A batch of the log: the records that one command led to, next to each other. */
export interface Batch {
  /** The command, `undefined` for events that none of them led to. */
  readonly id: number | undefined
  readonly eventRecords: ReadonlyArray<EventRecord>
}

/** What a command should have come to. */
export interface Judgement {
  readonly decision: Decider.Decision<unknown, unknown>
  /** As they would be recorded. */
  readonly events: ReadonlyArray<Recorded>
  /** The state that was decided on. */
  readonly state: unknown
  /** The version of the context that was decided on. */
  readonly version: number | null
}

/** A judgement, or in words why there is none. */
export type Judged = Result.Result<Judgement, string>

type Decision = Decider.Decision<any, unknown>

interface Folded {
  readonly state: Result.Result<unknown, string>
  readonly version: number | null
}

export class Replay {
  private readonly request: Request
  private readonly batches: ReadonlyArray<Batch>
  private readonly folded: Array<Folded> = []
  private readonly judged: Array<Judged> = []
  private readonly view: Result.Result<View.Any, string>
  private readonly matches: Result.Result<EventQuery.Matcher, string>

  constructor(request: Request, batches: ReadonlyArray<Batch>) {
    this.request = request
    this.batches = batches
    this.view = attempt("view", () => request.decider.view(request.command))
    this.matches = Result.flatMap(this.view, ({ query }) =>
      Result.mapError(EventQuery.matcher(query), ({ message }) => `its query is refused: ${message}`)
    )
  }

  /** What the decider makes of the first `count` batches. */
  after(count: number): Judged {
    return (this.judged[count] ??= this.judge(this.foldOf(count)))
  }

  /** The state after the first `count` batches. */
  stateAfter(count: number): Result.Result<unknown, string> {
    return this.foldOf(count).state
  }

  private judge({ state, version }: Folded): Judged {
    const { command, decider } = this.request
    return Result.gen(function* () {
      const folded = yield* state
      const decide = () => attempt("decide", (): Decision => decider.decide(command, folded))
      const decision = yield* decide()
      if (printLine(yield* decide()) !== printLine(decision)) {
        return yield* Result.fail(
          "asked twice about the same state it decides differently, so it depends on something else"
        )
      }
      const emitted = decision._tag === "Accept" ? decision.events : []
      const events = yield* Result.mapError(record([decider.events], emitted, "emitted"), ({ message }) => message)
      return { decision, events, state: folded, version }
    })
  }

  private foldOf(count: number): Folded {
    while (this.folded.length <= count) this.folded.push(this.foldNext())
    return this.folded[count]!
  }

  private foldNext(): Folded {
    const before = this.folded.at(-1)
    if (before === undefined) return { state: Result.map(this.view, ({ initial }) => initial), version: null }
    const { eventRecords } = this.batches[this.folded.length - 1]!
    const matches = Result.getOrElse(this.matches, () => () => false)
    const last = eventRecords.findLast((it) => matches(it))
    const state = Result.flatMap(before.state, (from) =>
      Result.flatMap(Result.andThen(this.matches, this.view), (view) =>
        Result.flatMap(
          attempt("evolve", () => View.foldFrom(view, from, eventRecords)),
          Result.mapError(({ message }) => message)
        )
      )
    )
    return { state, version: last?.sequenceNumber ?? before.version }
  }
}

/** What was decided, in words. */
export const describeJudged = (judged: Judged): string => {
  if (Result.isFailure(judged)) return `cannot decide: ${judged.failure}`
  const { decision, events } = judged.success
  if (decision._tag === "Reject") return `rejects with ${printLine(decision.rejection)}`
  return events.length === 0 ? "has nothing to do" : `decides ${events.map(printEventLine).join(", ")}`
}

const attempt = <A>(what: string, run: () => A): Result.Result<A, string> =>
  Result.try({ try: run, catch: (thrown) => `${what} threw ${String(thrown)}` })
