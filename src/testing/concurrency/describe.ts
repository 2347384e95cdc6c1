/** A run that has no explanation, as text: the commands, what each of them read and appended step by step, the log, the verdict. */
import { EventStoreError } from "../../stores/EventStoreError.ts"
import type { EventRecord } from "../../stores/Event.ts"
import { printEventLine, printLine } from "../spec/printValue.ts"
import { describeAnswer } from "./explain.ts"
import type { Appended, Dispatched, History, Read, Step } from "./History.ts"
import { commandEntry } from "./History.ts"

/** The whole text. */
export const describe = (history: History, problems: ReadonlyArray<string>): string => {
  const { commands, log, steps } = history
  const start = Math.max(0, ...commands.filter(({ given }) => given).map(({ answered }) => answered + 1))
  const width = String(steps.length - start).length
  return [
    "No serial order of the commands explains the log and the answers.",
    ...section("commands", commands.map(describeCommand)),
    ...section(
      "steps",
      steps.slice(start).map((step, index) => `${String(index + 1).padStart(width)} ${describeStep(step)}`)
    ),
    ...section("log", log.length === 0 ? ["nothing"] : log.map(describeRecord)),
    ...section("without an explanation", problems)
  ].join("\n")
}

const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> => [
  "",
  title,
  ...lines.map((line) => `  ${line}`)
]

const describeCommand = ({ given, id, process, request }: Dispatched): string => {
  const { command, decider, via } = request
  const where = given ? "given" : `${nameOf(process)}${via === undefined ? "" : ", with a handler of its own"}`
  return `#${id} ${decider.name} ${printLine(command)} (${where})`
}

const describeRecord = (record: EventRecord): string => {
  const id = record.metadata[commandEntry]
  return `${record.sequenceNumber} ${printEventLine(record)} by ${id === undefined ? "nobody" : `#${id}`}`
}

const describeStep = (step: Step): string => {
  switch (step._tag) {
    case "Called":
      return `${nameOf(step.process)} calls #${step.id}`
    case "Answered":
      return `#${step.id} ${describeAnswer(step.answer)}`
    case "BackedOff":
      return `${nameOf(step.process)} waits before it tries again`
    case "Read":
      return `${nameOf(step.process)} reads${whom(step.ids)}: ${describeRead(step)}`
    case "Appended":
      return `${nameOf(step.process)} appends${whom(step.ids)}${condition(step)}: ${describeAppended(step)}`
  }
}

/** Processes are A, B, C ... */
const nameOf = (process: number): string => String.fromCodePoint("A".codePointAt(0)! + process)

const whom = (ids: ReadonlyArray<number>): string =>
  ids.length === 0 ? "" : ` for ${ids.map((id) => `#${id}`).join(", ")}`

const describeRead = ({ came, query }: Read): string => {
  if (came === undefined) return "under way"
  if (came._tag === "Refused") return describeError(came.error)
  const { eventRecords, headSequenceNumber } = came.value
  const news = query.minSequenceNumber === undefined ? "" : ` after ${query.minSequenceNumber}`
  const found =
    eventRecords.length === 0 ? "nothing" : eventRecords.map(({ sequenceNumber }) => sequenceNumber).join(", ")
  return `finds ${found}${news}, the log ends at ${headSequenceNumber ?? 0}`
}

const condition = ({ expected }: Appended): string => {
  if (expected === undefined) return ""
  return expected === null ? ", if its context is still empty" : `, if its context is still at ${expected}`
}

const describeAppended = ({ came, revisedAt }: Appended): string => {
  if (came === undefined) return "under way"
  if (came._tag === "Refused") return describeError(came.error)
  const records = came.value.flatMap(({ eventRecords }) => eventRecords)
  const recorded =
    records.length === 0
      ? "records nothing"
      : `records ${records.map((record) => `${record.sequenceNumber} ${printEventLine(record)}`).join(", ")}`
  return revisedAt === undefined ? recorded : `it is at ${revisedAt}, is decided again, ${recorded}`
}

const describeError = (error: unknown): string => {
  if (!(error instanceof EventStoreError)) return `fails with ${String(error)}`
  const { reason } = error
  return reason._tag === "ConditionalAppendConflict"
    ? `refused, it is at ${reason.actual}`
    : `fails with ${reason._tag}`
}
