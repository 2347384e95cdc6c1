/** A verdict on a projection in plain words. */
import type { NewEvent } from "../../stores/Event.ts"
import { diffLines } from "../spec/diffLines.ts"
import { printLine, printMembers } from "../spec/printValue.ts"

/** What was looked at. */
export interface Looked {
  /** Name of the projection. */
  readonly name: string
  /** Lists of appends. */
  readonly runs: number
  /** Times that one of them was projected. */
  readonly disturbances: number
}

/** What went wrong. */
interface Broken {
  readonly appends: ReadonlyArray<ReadonlyArray<NewEvent>>
  readonly disturbance: string
  readonly expected: unknown
  readonly found: unknown
  readonly failure: unknown
}

export const explain = ({ disturbances, name, runs }: Looked, broken: Broken | undefined): string => {
  if (broken === undefined) {
    return `The projection "${name}" came to the same query model each of ${disturbances} times, for ${runs} lists of appends.`
  }
  const { appends, disturbance, expected, failure, found } = broken
  const lines = [
    `The projection "${name}" comes to another query model.`,
    "",
    `Disturbance: ${disturbance}`,
    "",
    "Appends:"
  ]
  appends.forEach((events, index) => {
    lines.push(`  ${index + 1}. ${events.map(eventLine).join(", ")}`)
  })
  if (appends.length === 0) lines.push("  none")
  lines.push("")
  if (failure === undefined) {
    lines.push("Query model (- expected, + found):")
    for (const line of diffLines(printMembers(expected), printMembers(found))) lines.push(`  ${line}`)
  } else {
    lines.push(`It did not catch up: ${failure instanceof Error ? failure.message : printLine(failure)}`)
  }
  return lines.join("\n")
}

const eventLine = ({ eventType, payload }: NewEvent): string => `${eventType} ${printLine(payload)}`
