/**
 * Validates a JSON value and takes a deeply frozen copy of it, in one pass that reads every property once. The copy is what
 * is stored and matched, so a getter or a proxy cannot show one value to the check and another to the store (A5).
 *
 * The functions here and in the files beside it throw a reason; `attempt` turns that, and whatever a hostile getter
 * throws, into a `Result`.
 */
import * as Result from "effect/Result"
import type { JsonValue } from "../Event.ts"
import type { EventStoreErrorReason } from "../EventStoreError.ts"
import { InvalidInput, LimitExceeded } from "../EventStoreError.ts"
import * as Limits from "../Limits.ts"

/** Runs a validation that throws reasons. Anything else that is thrown comes from the input itself: a getter, a proxy. */
export const attempt = <A>(path: string, validate: (trail: Trail) => A): Result.Result<A, EventStoreErrorReason> => {
  const trail = unused ?? new Trail()
  unused = undefined
  trail.begin(path)
  try {
    return Result.succeed(validate(trail))
  } catch (thrown) {
    return Result.fail(
      thrown instanceof InvalidInput || thrown instanceof LimitExceeded
        ? thrown
        : new InvalidInput({ path, problem: "reading the value threw an error; pass plain data" })
    )
  } finally {
    unused = trail
  }
}

/** Keys for which a trail has room from the beginning. */
const usualDepth = 6

/** Where in the caller's arguments a validation is; rendered only when something is wrong there. */
export class Trail {
  private root = ""
  private readonly keys = new Array<string | number>(usualDepth)
  private length = 0

  begin(root: string): void {
    this.root = root
    this.length = 0
  }

  enter(key: string | number): void {
    this.keys[this.length++] = key
  }

  leave(): void {
    this.length--
  }

  get depth(): number {
    return this.length
  }

  /** Leaves everything that was entered since the trail had this depth. */
  backTo(depth: number): void {
    this.length = depth
  }

  /** For example `events[2].payload.price`. Keys that are no identifiers are quoted, long ones cut. */
  toString(): string {
    return this.keys.slice(0, this.length).reduce<string>((path, key) => path + step(key), this.root)
  }
}

/** A trail that no validation is on: a getter of the input may begin another validation before the first one ends. */
let unused: Trail | undefined

const step = (key: string | number): string =>
  typeof key === "number"
    ? `[${key}]`
    : /^[A-Za-z_$][\w$]{0,63}$/.test(key)
      ? `.${key}`
      : `[${JSON.stringify(key.slice(0, 64))}]`

/** Throws `InvalidInput`. */
export const refuse = (trail: Trail, problem: string): never => {
  throw new InvalidInput({ path: trail.toString(), problem })
}

/** Throws `LimitExceeded` when `actual` is past `limit`. */
export const limit = (trail: Trail, what: string, most: number, actual: number): void => {
  if (actual > most) throw new LimitExceeded({ path: trail.toString(), what, limit: most, actual })
}

/** Runs the check of one property or element. */
export const within = <A, B>(trail: Trail, key: string | number, value: A, check: (value: A, trail: Trail) => B): B => {
  trail.enter(key)
  const checked = check(value, trail)
  trail.leave()
  return checked
}

/** Whether the string can be stored and compared byte for byte everywhere: no lone surrogate, no NUL. */
export const isWellFormedText = (text: string): boolean => text.isWellFormed() && !text.includes("\0")

/** Bytes of the string as UTF-8. */
export const utf8Length = (text: string): number => Buffer.byteLength(text)

/** Sets an own property whatever its name: what `Object.prototype` has must neither be reached nor be in the way. */
export const setOwn = <A>(target: Record<string, A>, key: string, value: A): void => {
  if (key in Object.prototype) {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else {
    target[key] = value
  }
}

interface Copying {
  readonly trail: Trail
  readonly maxBytes: number
  readonly start: number
  /** Bounds of the JSON text's size in bytes. The lower one also bounds the work done on shared references. */
  least: number
  most: number
}

/** An object that is being copied, and the one that it was found in. */
interface Level {
  readonly value: object
  readonly outer: Level | undefined
  readonly depth: number
}

/** Checks and copies a payload or a payload predicate. Throws a reason. */
export const copyJson = (value: unknown, trail: Trail, maxBytes: number): JsonValue => {
  const copying: Copying = { trail, maxBytes, start: trail.depth, least: 0, most: 0 }
  const copy = copyValue(value, copying, undefined)
  if (copying.most > maxBytes) limit(trail, "bytes of JSON", maxBytes, Buffer.byteLength(JSON.stringify(copy)))
  return copy
}

const grow = (copying: Copying, least: number, most: number): void => {
  copying.least += least
  copying.most += most
  if (copying.least > copying.maxBytes) limit(copying.trail, "bytes of JSON", copying.maxBytes, copying.least)
}

const copyValue = (value: unknown, copying: Copying, outer: Level | undefined): JsonValue => {
  switch (typeof value) {
    case "string":
      return copyText(value, copying)
    case "number":
      if (!Number.isFinite(value)) refuse(copying.trail, "expected a finite number")
      grow(copying, 1, 25)
      return value === 0 ? 0 : value
    case "boolean":
      grow(copying, 4, 5)
      return value
    case "object":
      if (value === null) {
        grow(copying, 4, 4)
        return null
      }
      return copyObject(value, copying, outer)
    default:
      return refuse(copying.trail, `expected a JSON value, found ${typeof value}`)
  }
}

const copyText = (text: string, copying: Copying): string => {
  grow(copying, text.length + 2, text.length * 6 + 2)
  if (!isWellFormedText(text)) refuse(copying.trail, "text must be well-formed Unicode without NUL")
  return text
}

const copyObject = (value: object, copying: Copying, outer: Level | undefined): JsonValue => {
  for (let level = outer; level !== undefined; level = level.outer) {
    if (level.value === value) refuse(copying.trail, "expected a tree, found a cycle")
  }
  const level: Level = { value, outer, depth: outer === undefined ? 1 : outer.depth + 1 }
  if (level.depth > Limits.maxDepth) {
    copying.trail.backTo(copying.start)
    limit(copying.trail, "levels of nesting", Limits.maxDepth, level.depth)
  }
  grow(copying, 2, 2)
  return Array.isArray(value) ? copyArray(value, copying, level) : copyProperties(value, copying, level)
}

const copyArray = (value: ReadonlyArray<unknown>, copying: Copying, level: Level): JsonValue => {
  if (!Array.isArray(Object.getPrototypeOf(value))) refuse(copying.trail, "expected a plain array")
  const length = value.length
  if (length > copying.maxBytes) limit(copying.trail, "bytes of JSON", copying.maxBytes, length)
  const copy = new Array<JsonValue>(length)
  for (let index = 0; index < length; index++) {
    copying.trail.enter(index)
    grow(copying, 0, 1)
    copy[index] = copyValue(value[index], copying, level)
    copying.trail.leave()
  }
  return Object.freeze(copy)
}

const { hasOwnProperty } = Object.prototype

/**
 * The spread reads every property once; what it gave is checked and copied. The copy starts from an empty object because V8
 * freezes such an object in a step, but makes a new shape for every frozen result of a spread.
 */
const copyProperties = (value: object, copying: Copying, level: Level): JsonValue => {
  if (!isPlainObject(value)) refuse(copying.trail, "expected a plain object, found an instance of a class")
  const read: Record<string, unknown> = { ...value }
  if (Object.getOwnPropertySymbols(read).length > 0) refuse(copying.trail, "symbols cannot be keys")
  const copy: Record<string, JsonValue> = {}
  for (const key in read) {
    if (!hasOwnProperty.call(read, key)) continue
    const member = read[key]
    if (member === undefined) continue
    copying.trail.enter(key)
    grow(copying, 1, 2)
    copyText(key, copying)
    setOwn(copy, key, copyValue(member, copying, level))
    copying.trail.leave()
  }
  return Object.freeze(copy)
}

/** Whether the object's prototype is `null` or `Object.prototype`, of this realm or another. */
export const isPlainObject = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || prototype === Object.prototype) return true
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, "isPrototypeOf")
}
