/**
 * Calls a function of a decider the way it may rely on and must be relied on: plain data that it gets is deeply frozen, and
 * what it must not do (change what it got, throw, answer later) becomes a `Fault` that names it.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { diffLines } from "./diffLines.ts"
import { printMembers } from "./printValue.ts"

/** Why there is nothing to compare: the decider, or the spec itself, breaks a rule. */
export class Fault extends Error {
  override readonly name = "Fault"
  readonly details: ReadonlyArray<string>

  constructor(problem: string, details: ReadonlyArray<string> = [], cause?: unknown) {
    super(problem, cause === undefined ? {} : { cause })
    this.details = details
  }
}

type Input = Readonly<Record<string, unknown>>

/** Calls `call` with its input, whose members are named in faults. */
export const callPure = <I extends Input, A>(
  what: string,
  input: I,
  call: (input: I) => A
): Result.Result<A, Fault> => {
  let frozen = true
  for (const value of Object.values(input)) frozen = freeze(value) && frozen
  const before = frozen ? undefined : printed(input)
  const result = Result.try({ try: () => call(input), catch: (cause) => cause })
  const changed = before === undefined ? undefined : changeOf(what, before, input)
  if (changed !== undefined) return Result.fail(changed)
  if (Result.isFailure(result)) {
    const { failure } = result
    if (failure instanceof Fault) return Result.fail(failure)
    const refused = failure instanceof TypeError ? refusedChangeOf(what, input, call) : undefined
    return Result.fail(refused ?? new Fault(`${what} threw ${String(failure)}`, [], failure))
  }
  return isLater(result.success) ? Result.fail(answersLater(what, result.success)) : Result.succeed(result.success)
}

/** Objects that are frozen all the way down, and whether they are plain data only, which then cannot change. */
const frozenObjects = new WeakMap<object, boolean>()

/** Freezes plain objects and arrays. Whether there is nothing else, such as a `Map`, which cannot be frozen. */
const freeze = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return true
  const known = frozenObjects.get(value)
  if (known !== undefined) return known
  if (!isPlain(value)) return false
  frozenObjects.set(value, true)
  let plain = true
  for (const member of Object.values(value)) plain = freeze(member) && plain
  Object.freeze(value)
  frozenObjects.set(value, plain)
  return plain
}

const isPlain = (value: object): boolean => {
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** Which change a `TypeError` was about: made once more, on copies that are not frozen. */
const refusedChangeOf = <I extends Input>(what: string, input: I, call: (input: I) => unknown): Fault | undefined => {
  const before = printed(input)
  const copies = Object.fromEntries(Object.entries(input).map(([name, value]) => [name, thaw(value)]))
  const again = Result.try(() => call(copies as I))
  if (Result.isSuccess(again)) forget(again.success)
  return changeOf(what, before, copies)
}

const thaw = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null || !isPlain(value)) return value
  if (Array.isArray(value)) return value.map(thaw)
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, thaw(member)]))
}

const printed = (input: Input): ReadonlyMap<string, ReadonlyArray<string>> =>
  new Map(Object.entries(input).map(([name, value]) => [name, printMembers(value)]))

const changeOf = (
  what: string,
  before: ReadonlyMap<string, ReadonlyArray<string>>,
  input: Input
): Fault | undefined => {
  for (const [name, value] of Object.entries(input)) {
    const was = before.get(name)!
    const is = printMembers(value)
    if (was.join("\n") !== is.join("\n")) {
      return new Fault(`${what} changed the ${name} in place (- before, + after); make a new value`, diffLines(was, is))
    }
  }
  return undefined
}

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"

const isLater = (value: unknown): boolean => isPromise(value) || Effect.isEffect(value)

const answersLater = (what: string, value: unknown): Fault => {
  forget(value)
  const thing = isPromise(value) ? "a promise" : "an Effect"
  return new Fault(`${what} returned ${thing}; it must be pure: effects follow from events that are recorded`)
}

/** Keeps a promise that nobody waits for from ending the process. */
const forget = (value: unknown): void => {
  if (isPromise(value)) value.then(undefined, () => undefined)
}
