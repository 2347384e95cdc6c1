import type { JsonValue } from "../Event.ts"

/** Freezes a JSON value that was just parsed, all the way down. */
export const freezeJson = <A extends JsonValue>(value: A): A => {
  if (value === null || typeof value !== "object") return value
  if (Array.isArray(value)) for (const element of value) freezeJson(element as JsonValue)
  else for (const key of Object.keys(value)) freezeJson((value as Readonly<Record<string, JsonValue>>)[key]!)
  return Object.freeze(value)
}
