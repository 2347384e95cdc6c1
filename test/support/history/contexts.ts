/** The few contexts that all processes of a history work on, by type, tag and payload, and the events that fall into them. */
import type { EventQuery } from "evolvent"
import type { Choices } from "../choices.ts"
import type { Offered } from "./History.ts"

export const contexts: ReadonlyArray<EventQuery.EventQuery> = [
  { filters: [{ eventTypes: ["Opened"] }] },
  { filters: [{ tags: ["room:1"] }] },
  { filters: [{ tags: ["room:2", "floor:1"] }] },
  { filters: [{ payloadPredicates: [{ seat: 1 }] }] },
  { filters: [{ payloadPredicates: [{ place: { row: 2 } }] }] },
  { filters: [{ eventTypes: ["Moved", "Closed"], tags: ["room:3"] }, { payloadPredicates: [{ seat: 2 }] }] },
  { filters: [{ eventTypes: ["Closed"], payloadPredicates: [{ seat: 3 }, { place: { row: 0 } }] }] },
  {}
]

const numbers = [0, 1, 2, 3, 4, 5]

export const offer = (choices: Choices, label: string): Offered => {
  const payload = { label, seat: choices.of(numbers), place: { row: choices.of(numbers) } }
  return {
    eventType: choices.of(["Opened", "Moved", "Moved", "Closed", "Other", "Other"]),
    tags: [`room:${choices.of(numbers)}`, `floor:${choices.below(3)}`, `room:${choices.of(numbers)}`],
    payload
  }
}
