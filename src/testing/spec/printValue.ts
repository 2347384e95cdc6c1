/**
 * Values as text: the same text for the same content, whatever the order of keys, so that texts can be compared line by
 * line. Class instances and errors carry the name of their class.
 */
import type { EncodedEvent } from "../../decider/EventCatalog.ts"

/** The value on one line. */
export const printLine = (value: unknown): string => inLine(describe(value, []))

/** The value on one line where it fits, else a line per member. */
export const printLines = (value: unknown): ReadonlyArray<string> => inLines(describe(value, []), 96)

/** The value with a line per member, all the way down: for comparing. */
export const printMembers = (value: unknown): ReadonlyArray<string> => inLines(describe(value, []), 0)

/** What is recorded of an event, on one line. */
export const printEventLine = (event: EncodedEvent): string => inLine(describeEvent(event))

/** What is recorded of an event, with a line per member. */
export const printEventMembers = (event: EncodedEvent): ReadonlyArray<string> => inLines(describeEvent(event), 0)

interface Branch {
  readonly open: string
  readonly members: ReadonlyArray<readonly [label: string, text: Text]>
  readonly close: string
}

type Text = string | Branch

const inLine = (text: Text): string => {
  if (typeof text === "string") return text
  if (text.members.length === 0) return text.open + text.close
  const space = text.open.endsWith("{") ? " " : ""
  return text.open + space + text.members.map(([label, it]) => label + inLine(it)).join(", ") + space + text.close
}

const inLines = (text: Text, width: number): ReadonlyArray<string> => {
  const line = inLine(text)
  if (typeof text === "string" || text.members.length === 0 || line.length <= width) return [line]
  const members = text.members.flatMap(([label, it]) => {
    const [first = "", ...rest] = inLines(it, width)
    return [label + first, ...rest].map((it) => `  ${it}`)
  })
  return [text.open, ...members, text.close]
}

const describe = (value: unknown, outer: ReadonlyArray<object>): Text => {
  if (typeof value === "string") return JSON.stringify(value)
  if (typeof value === "bigint") return `${value}n`
  if (typeof value === "function") return `function ${value.name}`
  if (typeof value !== "object" || value === null) return String(value)
  if (outer.includes(value)) return "[circular]"
  return describeObject(value, [...outer, value])
}

const describeObject = (value: object, outer: ReadonlyArray<object>): Text => {
  const name = nameOf(value)
  if (Array.isArray(value)) return bracketed("", value, outer)
  if (value instanceof Date) return `Date ${Number.isNaN(value.getTime()) ? "invalid" : value.toISOString()}`
  if (value instanceof Map) {
    const entries = Array.from(
      value,
      ([key, it]) => [`${inLine(describe(key, outer))} => `, describe(it, outer)] as const
    )
    return { open: `${name}{`, members: sorted(entries), close: "}" }
  }
  if (value instanceof Set) {
    const members = Array.from(value, (it) => ["", describe(it, outer)] as const)
    return { open: `${name}{`, members: sorted(members), close: "}" }
  }
  if (ArrayBuffer.isView(value) && Symbol.iterator in value)
    return bracketed(name, Array.from(value as Uint8Array), outer)
  if (!(value instanceof Error) && "toJSON" in value && typeof value.toJSON === "function") {
    return prefixed(name, describe(value.toJSON(), outer))
  }
  const members = Object.entries(value).map(([key, it]) => [`${keyOf(key)}: `, describe(it, outer)] as const)
  if (value instanceof Error && value.message !== "" && !Object.keys(value).includes("message")) {
    members.push(["message: ", JSON.stringify(value.message)])
  }
  return braced(name, sorted(members))
}

const describeEvent = ({ eventType, payload, schemaVersion, tags }: EncodedEvent): Text => {
  const name = schemaVersion === 1 ? eventType : `${eventType} (version ${schemaVersion})`
  const text = prefixed(`${name} `, describe(payload, []))
  const end = tags.length === 0 ? "" : ` tags ${tags.join(", ")}`
  return typeof text === "string" ? text + end : { ...text, close: text.close + end }
}

const prefixed = (prefix: string, text: Text): Text =>
  typeof text === "string" ? prefix + text : { ...text, open: prefix + text.open }

const braced = (name: string, members: Branch["members"]): Branch => ({ open: `${name}{`, members, close: "}" })

const bracketed = (name: string, values: ReadonlyArray<unknown>, outer: ReadonlyArray<object>): Branch => ({
  open: `${name}[`,
  members: values.map((it) => ["", describe(it, outer)]),
  close: "]"
})

const sorted = (members: Branch["members"]): Branch["members"] =>
  members
    .map((it) => [it, it[0] + inLine(it[1])] as const)
    .sort((a, b) => (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0))
    .map(([it]) => it)

/** The name of the class with a space after it; empty for plain objects. */
const nameOf = (value: object): string => {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || prototype === Object.prototype) return ""
  const { constructor } = value
  return typeof constructor !== "function" || constructor === Object ? "" : `${constructor.name} `
}

const keyOf = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key))
