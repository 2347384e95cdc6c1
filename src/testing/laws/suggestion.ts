/** What to add to a query, so that it selects an event that it left out. */
import type { JsonValue } from "../../stores/Event.ts"
import * as EventQuery from "../../stores/EventQuery.ts"
import type { Recorded } from "../spec/givenEvents.ts"
import { printLine } from "../spec/printValue.ts"
import { describeFilter } from "../spec/SpecFailure.ts"
import { enumerate } from "./telling.ts"
import type { Missing } from "./Verdict.ts"

/** The constraint that leaves the event out, of the filter that comes closest, and how to let the event in. */
export const suggest = (
  query: EventQuery.EventQuery,
  event: Recorded,
  command: unknown
): Pick<Missing, "by" | "suggestion"> => {
  const filters = query.filters ?? []
  const ofItsType = filters.find((filter) => asksFor(filter, event))
  if (ofItsType === undefined) {
    const rest = filters.find((filter) => matchesBut(filter, "eventTypes", event))
    const where = rest === undefined ? about(event, command) : ` to: ${describeFilter(rest)}`
    return { by: "type", suggestion: `add the type ${event.eventType}${where}` }
  }
  const { tags = [] } = ofItsType
  const asked = describeFilter(ofItsType)
  const wrongTags = tags.filter((tag) => !event.tags.includes(tag))
  const { left, wrong } = keysOf(ofItsType, event)
  if (wrongTags.length > 0) {
    const where = about(event, command, wrongTags)
    const isAllThereIs = wrongTags.length === tags.length && left.length === 0 && where !== ""
    const suggestion = isAllThereIs
      ? `ask for ${event.eventType}${where}, not by ${enumerate(wrongTags)}`
      : `leave out the tag ${enumerate(wrongTags)} of: ${asked}`
    return { by: "tag", suggestion }
  }
  const where = about(event, command)
  const isAllThereIs = left.length === 0 && tags.length === 0 && where !== ""
  const what = wrong.length === 0 ? "the payload" : `${enumerate(wrong)} in the payload`
  const suggestion = isAllThereIs
    ? `ask for ${event.eventType}${where}, not by ${what}`
    : `leave out ${what} of: ${asked}`
  return { by: "predicate", suggestion }
}

const asksFor = ({ eventTypes }: EventQuery.EventFilter, { eventType }: Recorded): boolean =>
  eventTypes === undefined || eventTypes.includes(eventType)

const matchesBut = (filter: EventQuery.EventFilter, but: keyof EventQuery.EventFilter, event: Recorded): boolean =>
  EventQuery.matches(EventQuery.make({ ...filter, [but]: undefined }), event)

/** The keys of the first predicate: those that do not match the event, and those that do. */
const keysOf = ({ payloadPredicates = [] }: EventQuery.EventFilter, event: Recorded) => {
  const [predicate] = payloadPredicates
  const keys = predicate !== undefined && isObject(predicate) ? Object.entries(predicate) : []
  const isMatched = ([key, wanted]: readonly [string, JsonValue]): boolean =>
    EventQuery.matches(EventQuery.withPayload({ [key]: wanted }), event)
  return {
    left: keys.filter(isMatched).map(([key]) => key),
    wrong: keys.filter((it) => !isMatched(it)).map(([key]) => key)
  }
}

/** By what the event and the command have in common: tags that hold an id of the command; else fields of the same value. */
const about = (event: Recorded, command: unknown, alike: ReadonlyArray<string> = []): string => {
  const shared = sharedFields(event, command)
  const tags = event.tags.filter((tag) => shared.some(([, value]) => tag.endsWith(`:${String(value)}`)))
  const likely = [
    tags.filter((tag) => alike.some((it) => kindOf(it) === kindOf(tag))),
    tags.filter((tag) => shared.some(([key]) => key.startsWith(kindOf(tag)))),
    tags
  ].find((it) => it.length > 0)
  if (likely !== undefined) return `, by ${likely.length === 1 ? "the tag" : "one of the tags"} ${likely.join(", ")}`
  return shared.length === 0 ? "" : `, where the payload has ${printLine(Object.fromEntries(shared))}`
}

/** The fields that the event and the command have in common, with the same text in both. */
export const sharedKeys = (event: Recorded, command: unknown): ReadonlyArray<string> =>
  sharedFields(event, command).map(([key]) => key)

const sharedFields = ({ payload }: Recorded, command: unknown): ReadonlyArray<readonly [string, unknown]> => {
  if (!isObject(payload) || !isObject(command)) return []
  return Object.entries(command).filter(
    ([key, value]) => isId(value) && Object.hasOwn(payload, key) && payload[key] === value
  )
}

/** `course` of the tag `course:a`. */
const kindOf = (tag: string): string => tag.slice(0, Math.max(0, tag.indexOf(":")))

const isId = (value: unknown): boolean => typeof value === "string"

const isObject = (value: unknown): value is { readonly [key: string]: JsonValue } =>
  typeof value === "object" && value !== null && !Array.isArray(value)
