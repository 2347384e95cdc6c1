/** All deciders of course subscriptions with their commands, one of them perhaps another one than it should be. */
import { History } from "evolvent/testing"
import { Capacity, changeCapacity, defineCourse, Seat, subscribe, unsubscribe } from "./deciders.ts"

interface Replaced {
  readonly changeCapacity?: typeof changeCapacity
  readonly subscribe?: typeof subscribe
  readonly unsubscribe?: typeof unsubscribe
}

export const application = (replaced: Replaced = {}) => {
  const deciders = { changeCapacity, subscribe, unsubscribe, ...replaced }
  return [
    History.commands(defineCourse, Capacity),
    History.commands(deciders.changeCapacity, Capacity),
    History.commands(deciders.subscribe, Seat, { weight: 3 }),
    History.commands(deciders.unsubscribe, Seat)
  ] as const
}
