/**
 * Makes the commands of a counter-example fewer and plainer. Every command that can be left out is; ids take the first free
 * letters, everywhere at once; then each command shrinks by itself once more. A candidate that its arbitrary could not have
 * generated is not tried.
 */
import type { Commands, Issued } from "../arbitrary/History.ts"
import { printLine } from "../spec/printValue.ts"

type Candidate = ReadonlyArray<Issued>

/** The smallest commands that still fail. */
export const smallest = (of: ReadonlyArray<Commands>, commands: Candidate, fails: (commands: Candidate) => boolean) => {
  // Commands that came out of an arbitrary need not be asked about.
  const trusted = new Set(commands.map(({ command }) => command))
  const isGenerable = ({ command, kind }: Issued): boolean =>
    trusted.has(command) || of[kind]!.command.canShrinkWithoutContext(thawed(command))
  // What one way makes plainer another may undo: nothing is taken up twice.
  const seen = new Set([printLine(commands)])
  let current = commands
  let budget = mostTries
  const improve = (candidates: Iterable<Candidate>): boolean => {
    for (const candidate of candidates) {
      if (budget-- <= 0) return false
      const text = printLine(candidate)
      if (!seen.has(text) && candidate.every(isGenerable) && fails(candidate)) {
        seen.add(text)
        current = candidate
        return true
      }
    }
    return false
  }
  while (improve(shorter(current)) || improve(renamed(current)) || improve(plainer(of, current)));
  return current
}

const mostTries = 5000

/** One command less, then two. */
const shorter = function* (commands: Candidate): Iterable<Candidate> {
  for (let index = commands.length - 1; index >= 0; index--) yield commands.filter((_, at) => at !== index)
  for (let index = commands.length - 1; index > 0; index--) {
    for (let other = index - 1; other >= 0; other--) {
      yield commands.filter((_, at) => at !== index && at !== other)
    }
  }
  yield* takenOver(commands)
}

/** One command less, another one taking over a field of it: a course is defined with its last capacity at once. */
const takenOver = function* (commands: Candidate): Iterable<Candidate> {
  for (const [index, { command: left }] of commands.entries()) {
    for (const [other, { command, kind }] of commands.entries()) {
      if (index === other || !isObject(left) || !isObject(command)) continue
      for (const [key, value] of Object.entries(left)) {
        if (!Object.hasOwn(command, key) || command[key] === value) continue
        const taking = { kind, command: { ...command, [key]: value } }
        yield commands.flatMap((it, at) => (at === index ? [] : [at === other ? taking : it]))
      }
    }
  }
}

/** Another text, by one that is in use or by the next free letter; only by one that comes before it. */
const renamed = function* (commands: Candidate): Iterable<Candidate> {
  const texts = [...new Set(commands.flatMap(({ command }) => textsIn(command)))].sort()
  const fields = new Set(commands.flatMap(({ command }) => (isObject(command) ? Object.keys(command) : [])))
  for (const from of texts.toReversed()) {
    for (const to of [...new Set(["a", "b", "c", ...texts])].sort()) {
      if (to >= from) break
      // Everywhere at once; then in one field of all commands.
      yield commands.map(({ command, kind }) => ({ kind, command: rename(command, from, to) }))
      for (const field of fields) yield commands.map((it) => renameField(it, field, from, to))
    }
  }
}

const renameField = (issued: Issued, field: string, from: string, to: string): Issued =>
  isObject(issued.command) && issued.command[field] === from
    ? { ...issued, command: { ...issued.command, [field]: to } }
    : issued

/** One command that is smaller. */
const plainer = function* (of: ReadonlyArray<Commands>, commands: Candidate): Iterable<Candidate> {
  for (const [index, { command, kind }] of commands.entries()) {
    const arbitrary = of[kind]!.command
    const own = thawed(command)
    if (!arbitrary.canShrinkWithoutContext(own)) continue
    for (const { value } of arbitrary.shrink(own, undefined)) {
      yield commands.map((it, at) => (at === index ? { kind, command: value } : it))
    }
  }
}

const textsIn = (value: unknown): ReadonlyArray<string> => {
  if (typeof value === "string") return [value]
  if (typeof value !== "object" || value === null || !isPlain(value)) return []
  return Object.values(value).flatMap(textsIn)
}

const rename = (value: unknown, from: string, to: string): unknown => {
  if (value === from) return to
  if (typeof value !== "object" || value === null || !textsIn(value).includes(from)) return value
  if (Array.isArray(value)) return value.map((it) => rename(it, from, to))
  return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, rename(it, from, to)]))
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && isPlain(value)

/** Deciders get what they are given frozen, and fast-check takes no frozen object for one of its own. */
const thawed = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null || !isPlain(value)) return value
  if (Array.isArray(value)) return value.map(thawed)
  return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, thawed(it)]))
}

const isPlain = (value: object): boolean =>
  Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null
