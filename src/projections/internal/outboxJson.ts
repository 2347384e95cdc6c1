/** Reactions as JSON text. What comes back from the table has to be what the reactor gave, so what JSON would change is refused. */
import * as Result from "effect/Result"
import * as Limits from "../../stores/Limits.ts"

/** Where a value is not JSON, for example `reactions[0].at`. */
export interface NotJson {
  readonly path: string
}

/** The text of a value; members that are `undefined` are left out. */
export const toJson = (value: unknown, path: string): Result.Result<string, NotJson> =>
  Result.flatMap(
    Result.try({ try: () => findStranger(value, path, 1), catch: () => ({ path }) }),
    (stranger): Result.Result<string, NotJson> =>
      stranger === undefined ? Result.succeed(JSON.stringify(value)) : Result.fail({ path: stranger })
  )

/** The path of the first thing that JSON cannot hold. A cycle is too deep. */
const findStranger = (value: unknown, path: string, depth: number): string | undefined => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return undefined
    case "number":
      return Number.isFinite(value) ? undefined : path
    case "object":
      if (value === null) return undefined
      if (depth > Limits.maxDepth) return path
      return Array.isArray(value) ? findInArray(value, path, depth) : findInObject(value, path, depth)
    default:
      return path
  }
}

const findInArray = (value: ReadonlyArray<unknown>, path: string, depth: number): string | undefined => {
  for (let index = 0; index < value.length; index++) {
    const stranger = findStranger(value[index], `${path}[${index}]`, depth + 1)
    if (stranger !== undefined) return stranger
  }
  return undefined
}

const findInObject = (value: object, path: string, depth: number): string | undefined => {
  const prototype: unknown = Object.getPrototypeOf(value)
  const isPlain = prototype === null || prototype === Object.prototype
  if (!isPlain || Object.getOwnPropertySymbols(value).length > 0) return path
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue
    const stranger = findStranger(member, `${path}${step(key)}`, depth + 1)
    if (stranger !== undefined) return stranger
  }
  return undefined
}

const step = (key: string): string => (/^[A-Za-z_$][\w$]{0,63}$/.test(key) ? `.${key}` : "[...]")
