/**
 * The keys among the commands of a lane. Whether something was recorded under a key is looked for in two steps: up to some number by
 * a read, and after it by the check of the append, for the keys' tags are part of the context that a round stands on.
 */
import type { EventRecord } from "../../stores/Event.ts"
import * as EventQuery from "../../stores/EventQuery.ts"
import type { Command } from "./Command.ts"

/** Keys in one round at the most: each is a filter of the context that the append checks. */
export const mostKeys = 64

/** Whether one of the commands has a key. */
export const haveKeys = (commands: ReadonlyArray<Command>): boolean => commands.some(({ key }) => key !== undefined)

/**
 * The context, and what is recorded under the keys of the commands, those aside that are known to be taken. The context itself
 * where there are none.
 */
export const withKeys = (context: EventQuery.EventQuery, commands: ReadonlyArray<Command>): EventQuery.EventQuery => {
  const tags = tagsOf(commands)
  return tags.length === 0 ? context : EventQuery.or(context, anyOf(tags))
}

/** What has to be read before the keys are known to be free up to the head; `undefined` where they are. */
export const missingKeys = (commands: ReadonlyArray<Command>, head: number): EventQuery.EventQuery | undefined => {
  const tags = tagsOf(commands.filter(({ keyIsFreeUpTo }) => keyIsFreeUpTo < head))
  return tags.length === 0 ? undefined : anyOf(tags)
}

/** Remembers which keys are taken by these records, and that the others are free up to the head. Says whether one is taken now. */
export const noteKeys = (
  commands: ReadonlyArray<Command>,
  records: ReadonlyArray<EventRecord>,
  head: number
): boolean => {
  let isTaken = false
  for (const command of commands) {
    const { first, key } = command
    if (key === undefined || first !== undefined) continue
    const found = records.filter(({ tags }) => tags.includes(key.tag))
    if (found.length === 0) command.keyIsFreeUpTo = Math.max(command.keyIsFreeUpTo, head)
    else command.first = found
    isTaken ||= found.length > 0
  }
  return isTaken
}

const tagsOf = (commands: ReadonlyArray<Command>): ReadonlyArray<string> => [
  ...new Set(commands.flatMap(({ first, key }) => (key === undefined || first !== undefined ? [] : [key.tag])))
]

const anyOf = (tags: ReadonlyArray<string>): EventQuery.EventQuery =>
  EventQuery.make(...tags.map((tag) => ({ tags: [tag] })))
