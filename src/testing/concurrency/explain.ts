/**
 * Whether a serial order of the commands explains a history: each command decided on what those before it have recorded, and
 * answered so; a command that was answered before another one was called comes first.
 *
 * The order does not have to be searched for. Events name their command, so the log fixes the order of all commands that
 * recorded something, whatever they were answered. The others change nothing, so each is right or wrong on a prefix of the
 * log independently of the rest, and only has to come no earlier than those that were answered before it was called. Taken
 * in the order of their answers, each goes to the first prefix on which it is right; an earlier place never stands in the way of
 * a later command, so no choice has to be taken back. The cost is a fold of the log and at most a decision for each prefix, per
 * command: there is no case that is given up.
 */
import * as Result from "effect/Result"
import type { EventRecord } from "../../stores/Event.ts"
import { printEventLine, printLine } from "../spec/printValue.ts"
import type { Answer, Dispatched, History } from "./History.ts"
import { commandEntry } from "./History.ts"
import type { Batch, Judged } from "./Replay.ts"
import { describeJudged, Replay } from "./Replay.ts"

/** What must hold of the log at all times, under a name that says it. */
export type Invariants = { readonly [sentence: string]: (log: ReadonlyArray<EventRecord>) => boolean }

/** A serial order that explains the history, or what has no explanation, in words. */
export type Explanation =
  | { readonly _tag: "Explained"; readonly order: ReadonlyArray<number> }
  | { readonly _tag: "Unexplained"; readonly problems: ReadonlyArray<string> }

/** Explains a history. */
export const explain = (history: History, invariants: Invariants = {}): Explanation => {
  const explainer = new Explainer(history)
  const order = explainer.order()
  const problems = [...explainer.problems, ...broken(explainer.batches, invariants)]
  return problems.length === 0 ? { _tag: "Explained", order } : { _tag: "Unexplained", problems }
}

/** Batches that can be told apart: a command whose events are not next to each other has several. */
const batchesOf = (log: ReadonlyArray<EventRecord>): ReadonlyArray<Batch> => {
  const batches: Array<{ id: number | undefined; eventRecords: Array<EventRecord> }> = []
  for (const record of log) {
    const entry = record.metadata[commandEntry]
    const id = entry === undefined ? undefined : Number(entry)
    const last = batches.at(-1)
    if (last !== undefined && last.id === id) last.eventRecords.push(record)
    else batches.push({ id, eventRecords: [record] })
  }
  return batches
}

class Explainer {
  readonly problems: Array<string> = []
  readonly batches: ReadonlyArray<Batch>
  private readonly commands: ReadonlyArray<Dispatched>
  /** The place of its first batch, per command that has one. */
  private readonly places = new Map<number, number>()

  constructor({ commands, log }: History) {
    this.commands = commands
    this.batches = batchesOf(log)
  }

  /** The serial order, as far as there is one; what stands against it is in `problems`. */
  order(): ReadonlyArray<number> {
    this.findPlaces()
    const order: Array<readonly [id: number, at: number]> = []
    const others: Array<Dispatched> = []
    for (const command of this.commands) {
      const place = this.places.get(command.id)
      if (place !== undefined) {
        this.checkRecorded(command, place)
        order.push([command.id, place + 0.5])
      } else if (this.isRight(command)) others.push(command)
    }
    this.checkTimes()
    const placed: Array<readonly [Dispatched, number]> = []
    for (const command of others.toSorted((a, b) => a.answered - b.answered)) {
      const at = this.place(command, placed)
      if (at !== undefined) placed.push([command, at])
    }
    const inTime = placed.toSorted(([a], [b]) => a.called - b.called).map(([{ id }, at]) => [id, at] as const)
    return [...order, ...inTime].toSorted(([, a], [, b]) => a - b).map(([id]) => id)
  }

  private complain(command: Dispatched, problem: string): void {
    this.problems.push(`#${command.id} ${problem}`)
  }

  private findPlaces(): void {
    const known = new Map(this.commands.map((command) => [command.id, command]))
    for (const [place, { eventRecords, id }] of this.batches.entries()) {
      const command = id === undefined ? undefined : known.get(id)
      if (command === undefined) this.problems.push(`nobody was asked for ${listed(eventRecords)}`)
      else if (this.places.has(command.id)) {
        const first = this.batches[this.places.get(command.id)!]!.eventRecords
        this.complain(command, `recorded twice: ${listed(first)}, and again ${listed(eventRecords)}`)
      } else this.places.set(command.id, place)
    }
  }

  /** The answer against the batch, and the batch against what the decider decides on the log before it. */
  private checkRecorded(command: Dispatched, place: number): void {
    const { answer, request } = command
    const { eventRecords } = this.batches[place]!
    const recorded = `recorded ${listed(eventRecords)}`
    if (answer._tag === "Accepted") {
      if (printLine(answer.eventRecords) !== printLine(eventRecords)) {
        return this.complain(command, `${recorded}, but was told ${listed(answer.eventRecords)}`)
      }
    } else if (answer._tag === "Failed" && !answer.isTolerated) {
      return this.complain(command, `${recorded}, and ${describeAnswer(answer)}`)
    } else if (!mayBeRecorded(answer)) {
      return this.complain(command, `${recorded}, but ${describeAnswer(answer)}`)
    }
    const replay = new Replay(request, this.batches)
    const judged = replay.after(place)
    const events = Result.isSuccess(judged) && judged.success.decision._tag === "Accept" ? judged.success.events : []
    if (events.map(printEventLine).join("\n") !== eventRecords.map(printEventLine).join("\n")) {
      const on = describeLog(this.endOf(place))
      return this.complain(command, `${recorded}, but on ${on} its decider ${describeJudged(judged)}`)
    }
    if (answer._tag !== "Accepted" || request.via !== undefined) return
    const state = replay.stateAfter(place + 1)
    if (Result.isFailure(state) || printLine(state.success) !== printLine(answer.state)) {
      const should = Result.isSuccess(state) ? printLine(state.success) : state.failure
      this.complain(command, `${recorded} and was told the state ${printLine(answer.state)}; it is ${should}`)
    }
  }

  /** Whether an answer without events needs a place in the order; those that are wrong in any case do not get one. */
  private isRight(command: Dispatched): boolean {
    const { answer } = command
    if (answer._tag === "Accepted") {
      this.complain(command, `was told that ${listed(answer.eventRecords)} is recorded, which the log does not hold`)
    } else if (answer._tag === "Unanswered") this.complain(command, "was never answered")
    else if (answer._tag === "Failed" && !answer.isTolerated) this.complain(command, describeAnswer(answer))
    return answer._tag === "Rejected" || answer._tag === "NothingToDo"
  }

  /** The log's order must not contradict time. */
  private checkTimes(): void {
    const recorded = this.commands.filter(({ id }) => this.places.has(id))
    for (const later of recorded) {
      for (const earlier of recorded) {
        if (endOf(later) >= earlier.called || this.places.get(later.id)! <= this.places.get(earlier.id)!) continue
        this.complain(earlier, `was called when #${later.id} had been answered, but comes before it in the log`)
      }
    }
  }

  /** The first place that the time allows and on which the answer is right: after so many batches. */
  private place(command: Dispatched, placed: ReadonlyArray<readonly [Dispatched, number]>): number | undefined {
    let least = 0
    let most = this.batches.length
    for (const other of this.commands) {
      const place = this.places.get(other.id)
      if (place === undefined) continue
      if (endOf(other) < command.called) least = Math.max(least, place + 1)
      if (command.answered < other.called) most = Math.min(most, place)
    }
    const replay = new Replay(command.request, this.batches)
    const before = placed.filter(([{ answered }]) => answered < command.called)
    const from = Math.max(least, ...before.map(([, at]) => at))
    for (let at = from; at <= most; at++) if (answers(command, replay.after(at))) return at
    this.complain(command, this.whyNowhere(command, replay, [least, from, most]))
    return undefined
  }

  private whyNowhere(
    { answer }: Dispatched,
    replay: Replay,
    [least, from, most]: readonly [least: number, from: number, most: number]
  ): string {
    const lines: Array<string> = []
    for (let at = least; at <= most; at++) {
      const comesTooEarly = at < from ? ", which is before the place of a command that was answered earlier" : ""
      const { state, version } = Result.getOrElse(replay.after(at), () => ({ state: undefined, version: undefined }))
      const on = answer._tag === "NothingToDo" ? ` (its context at ${version}, the state ${printLine(state)})` : ""
      lines.push(
        `    on ${describeLog(this.endOf(at))}${on} its decider ${describeJudged(replay.after(at))}${comesTooEarly}`
      )
    }
    return [`${describeAnswer(answer)}, which was never right between its call and its answer:`, ...lines].join("\n")
  }

  /** The last number of the first `count` batches. */
  private endOf(count: number): number {
    return count === 0 ? 0 : this.batches[count - 1]!.eventRecords.at(-1)!.sequenceNumber
  }
}

/** A commit whose answer was lost may still come: it has no end. */
const endOf = ({ answer, answered }: Dispatched): number => (answer._tag === "Accepted" ? answered : Infinity)

const mayBeRecorded = (answer: Answer): boolean =>
  answer._tag === "Unanswered" || (answer._tag === "Failed" && answer.mayHaveCommitted)

const answers = ({ answer, request }: Dispatched, judged: Judged): boolean => {
  if (Result.isFailure(judged)) return false
  const { decision, events, state, version } = judged.success
  if (answer._tag === "Rejected") {
    return decision._tag === "Reject" && printLine(decision.rejection) === printLine(answer.rejection)
  }
  if (answer._tag !== "NothingToDo" || decision._tag !== "Accept" || events.length > 0) return false
  return request.via !== undefined || (answer.position === version && printLine(answer.state) === printLine(state))
}

/** The invariants on the log after each batch: the smallest prefix that breaks one. */
const broken = (batches: ReadonlyArray<Batch>, invariants: Invariants): ReadonlyArray<string> =>
  Object.entries(invariants).flatMap(([sentence, holds]) => {
    const log: Array<EventRecord> = []
    for (const { eventRecords } of [{ eventRecords: [] }, ...batches]) {
      log.push(...eventRecords)
      if (!holds([...log])) return [`"${sentence}" does not hold of ${describeLog(log.length)}`]
    }
    return []
  })

const describeLog = (end: number): string => (end === 0 ? "the empty log" : `the log up to ${end}`)

const listed = (records: ReadonlyArray<EventRecord>): string =>
  records.map((record) => `${record.sequenceNumber} ${printEventLine(record)}`).join(", ")

/** The answer in words, without a subject. */
export const describeAnswer = (answer: Answer): string => {
  switch (answer._tag) {
    case "Accepted":
      return `was accepted, ${listed(answer.eventRecords)}`
    case "Rejected":
      return `was rejected with ${printLine(answer.rejection)}`
    case "NothingToDo":
      return `had nothing to do, its context at ${answer.position}, the state ${printLine(answer.state)}`
    case "Unanswered":
      return "was never answered"
    case "Failed":
      return `failed with ${describeError(answer.error)}`
  }
}

const describeError = (error: unknown): string => {
  if (!(error instanceof Error)) return printLine(error)
  return `${"_tag" in error ? String(error._tag) : error.name}: ${error.message}`
}
