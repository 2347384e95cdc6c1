/**
 * One round of a lane, pure: the commands that wait are decided in order, each on the state that the one before it left.
 * Nothing is answered yet; what was decided holds only if the append that follows finds the context as it was.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { EncodedEvent, EncodeError } from "../../decider/EventCatalog.ts"
import type { Decision } from "../../decider/Decider.ts"
import type { NewEvent } from "../../stores/Event.ts"
import type * as EventQuery from "../../stores/EventQuery.ts"
import { WrongRevision } from "../Outcome.ts"
import type { Command } from "./Command.ts"
import { Bug } from "./ContextFold.ts"
import type { ContextFold } from "./ContextFold.ts"

/** What a command came to: a batch to commit with the state after it, or an answer that needs no append. */
export type Judgement = { readonly command: Command; readonly isRepetition?: true } & (
  { readonly batch: ReadonlyArray<NewEvent>; readonly state: unknown } | { readonly answer: Answer }
)

/** The answer, given the version that the context has where the command was decided. */
export type Answer = (version: number | null) => Effect.Effect<unknown, unknown>

/** Whether an event belongs to the lane's context. */
export type InContext = (event: EventQuery.Matchable) => boolean

/**
 * Decides the commands. Stops before a command that expects a revision when an earlier one of the round leads to events:
 * the revision that those will make is not known yet. So too before one whose key an earlier one is about to take.
 */
export const decideRound = (
  commands: ReadonlyArray<Command>,
  fold: ContextFold,
  inContext: InContext
): ReadonlyArray<Judgement> => {
  const judgements: Array<Judgement> = []
  const taken = new Set<string>()
  let working = fold
  for (const command of commands) {
    const { first, key } = command
    if (key !== undefined && taken.has(key.tag)) break
    if (key !== undefined && first !== undefined) {
      const { attempts } = command
      judgements.push({ command, isRepetition: true, answer: () => key.repeat(first, attempts) })
      continue
    }
    if (command.expected !== undefined && working !== fold) break
    command.attempts += 1
    const { judgement, after } = judgeSafely(command, working, inContext)
    judgements.push(judgement)
    if (key !== undefined && "batch" in judgement) taken.add(key.tag)
    working = after
  }
  return judgements
}

interface Judged {
  readonly judgement: Judgement
  readonly after: ContextFold
}

/** User code may throw, and what it gives may be anything: that hits its own command, and no other of the lane. */
const judgeSafely = (command: Command, fold: ContextFold, inContext: InContext): Judged => {
  try {
    return judge(command, fold, inContext)
  } catch (thrown) {
    return { judgement: { command, answer: () => Effect.die(thrown) }, after: fold }
  }
}

const judge = (command: Command, fold: ContextFold, inContext: InContext): Judged => {
  const answered = (answer: Answer): Judged => ({ judgement: { command, answer }, after: fold })
  const failed = (failure: unknown): Judged =>
    answered(() => (failure instanceof Bug ? Effect.die(failure.thrown) : Effect.fail(failure)))

  const { expected, stream, view } = command
  if (stream !== undefined && expected !== undefined && expected !== fold.version) {
    return failed(new WrongRevision({ stream, expected, actual: fold.version }))
  }
  const state = fold.stateOf(view)
  if (Result.isFailure(state)) return failed(state.failure)
  const decision = command.decider.decide(command.command, state.success) as Decision<unknown, unknown>
  if (decision._tag === "Reject") {
    const rejected = { _tag: "Rejected", rejection: decision.rejection, attempts: command.attempts }
    return answered(() => Effect.succeed(rejected))
  }
  if (decision.events.length === 0) return answered(nothingToDo(state.success, command.attempts))
  const encoded = encodeAll(command, decision.events)
  if (Result.isFailure(encoded)) return failed(encoded.failure)
  if (stream !== undefined && !encoded.success.every(inContext)) throw outsideStream(command, stream)
  const after = fold.after(encoded.success.filter(inContext))
  const stateAfter = after.stateOf(view)
  if (Result.isFailure(stateAfter)) return failed(stateAfter.failure)
  const batch = encoded.success.map((event): NewEvent => ({ ...event, metadata: command.metadata }))
  return { judgement: { command, batch, state: stateAfter.success }, after }
}

const outsideStream = ({ decider }: Command, stream: string): Error =>
  new Error(
    `${decider.name} emitted an event without the tag ${JSON.stringify(stream)} of the stream it is dispatched to`
  )

const nothingToDo =
  (state: unknown, attempts: number): Answer =>
  (position) =>
    Effect.succeed({ _tag: "NothingToDo", state, position, attempts })

const encodeAll = (
  command: Command,
  emitted: ReadonlyArray<unknown>
): Result.Result<ReadonlyArray<EncodedEvent>, EncodeError> => {
  const encoded: Array<EncodedEvent> = []
  for (const event of emitted) {
    const next = command.decider.events.encode(event)
    if (Result.isFailure(next)) return Result.fail(next.failure)
    encoded.push(command.key === undefined ? next.success : tagged(next.success, command.key.tag))
  }
  return Result.succeed(encoded)
}

const tagged = (event: EncodedEvent, tag: string): EncodedEvent => ({ ...event, tags: [...event.tags, tag] })
