/**
 * Runs a function and tells whether it looked at the clock or at randomness. What it looks at works as ever; everything is put
 * back before the result is given. A name that a module took over before (`const now = Date.now`) is not noticed.
 */
import * as Result from "effect/Result"

/** What came of the function, and what it used: `Date.now`, for example. */
export interface Watched<A> {
  readonly result: Result.Result<A, unknown>
  readonly used: ReadonlyArray<string>
}

/** Runs the function, which answers at once. */
export const watching = <A>(run: () => A): Watched<A> => {
  const used = new Set<string>()
  const restore = sources.flatMap(([owner, key, watch]) => {
    const object = owner()
    return typeof object === "object" && object !== null
      ? [
          replace(
            object,
            key,
            watch((name) => void used.add(name))
          )
        ]
      : []
  })
  const result = Result.try({ try: run, catch: (cause) => cause })
  for (const putBack of restore.toReversed()) putBack()
  return { result, used: [...used] }
}

type Report = (name: string) => void
type Watch = (report: Report) => (original: any) => unknown

const calls =
  (name: string): Watch =>
  (report) =>
  (original: object) =>
    new Proxy(original, {
      apply: (target, self, args) => {
        report(name)
        return Reflect.apply(target as () => unknown, self, args)
      }
    })

const clock: Watch = (report) => (original: DateConstructor) =>
  new Proxy(original, {
    apply: (target, self, args) => {
      report("Date()")
      return Reflect.apply(target, self, args) as string
    },
    construct: (target, args, newTarget) => {
      if (args.length === 0) report("new Date()")
      return Reflect.construct(target, args, newTarget) as Date
    },
    get: (target, key, receiver) => {
      const member: unknown = Reflect.get(target, key, receiver)
      return key === "now" ? calls("Date.now")(report)(member) : member
    }
  })

const hrtime: Watch = (report) => (original: NodeJS.HRTime) =>
  new Proxy(calls("process.hrtime")(report)(original) as NodeJS.HRTime, {
    get: (target, key, receiver) => {
      const member: unknown = Reflect.get(target, key, receiver)
      return key === "bigint" ? calls("process.hrtime.bigint")(report)(member) : member
    }
  })

const sources: ReadonlyArray<readonly [owner: () => unknown, key: string, watch: Watch]> = [
  [() => globalThis, "Date", clock],
  [() => globalThis.Math, "random", calls("Math.random")],
  [() => globalThis.performance, "now", calls("performance.now")],
  [() => globalThis.crypto, "getRandomValues", calls("crypto.getRandomValues")],
  [() => globalThis.crypto, "randomUUID", calls("crypto.randomUUID")],
  [() => globalThis.process, "hrtime", hrtime]
]

/** Replaces a property; gives what puts it back. */
const replace = (owner: object, key: string, wrap: (original: any) => unknown): (() => void) => {
  const original: unknown = Reflect.get(owner, key)
  if (typeof original !== "function") return () => undefined
  const descriptor = Object.getOwnPropertyDescriptor(owner, key)
  // Methods of `crypto` want the object itself, which a call on it gives them.
  Object.defineProperty(owner, key, { configurable: true, writable: true, value: wrap(original) })
  return () => {
    if (descriptor === undefined) Reflect.deleteProperty(owner, key)
    else Object.defineProperty(owner, key, descriptor)
  }
}
