import type { JsonValue } from "../Event.ts"

/** Freezes a JSON value that was just parsed, all the way down. */
export const freezeJson = <A extends JsonValue>(value: A): A => {
  if (!isStructure(value)) return value
  if (Array.isArray(value)) for (const element of value as ReadonlyArray<JsonValue>) freezeJson(element)
  else freezeMembers(value as Readonly<Record<string, JsonValue>>)
  return Object.freeze(value)
}

/** Not by a list of its keys: that is twice as much work as freezing. What is inherited is somebody else's. */
const freezeMembers = (object: Readonly<Record<string, JsonValue>>): void => {
  for (const key in object) {
    const member = object[key]!
    if (isStructure(member) && Object.hasOwn(object, key)) freezeJson(member)
  }
}

const isStructure = (value: JsonValue): value is object & JsonValue => typeof value === "object" && value !== null
