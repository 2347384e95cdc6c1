/** What a spec finds besides a wrong decision: functions that are not pure. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Decider, EventCatalog, View } from "evolvent"
import { Spec } from "evolvent/testing"
import { describe, expect, it } from "vitest"
import { failureOf } from "./failureOf.ts"

const CartEvents = EventCatalog.make({
  ItemAdded: EventCatalog.event(Schema.Struct({ cart: Schema.String, tags: Schema.Array(Schema.String) }), {
    tags: ({ cart }) => [`cart:${cart}`]
  })
})

interface Add {
  readonly cart: string
  readonly tags: Array<string>
}

class Tally {
  count = 0
}

const pure = Decider.make({
  name: "AddItem",
  events: CartEvents,
  context: ({ cart }: Add) => CartEvents.queryAll(undefined, { tags: [`cart:${cart}`] }),
  initial: { items: 0, seen: new Map<string, number>(), tally: new Tally(), list: [] as Array<string> },
  evolve: { ItemAdded: (state) => ({ ...state, items: state.items + 1 }) },
  decide: (command: Add) => Decider.accept(CartEvents.ItemAdded(command))
})

type State = Decider.StateOf<typeof pure>
type Evolve = (state: State, payload: { tags: Array<string> }) => State

const evolving = (evolve: Evolve) =>
  Decider.make({
    name: "AddItem",
    events: CartEvents,
    context: ({ cart }: Add) => CartEvents.queryAll(undefined, { tags: [`cart:${cart}`] }),
    initial: { items: 0, seen: new Map<string, number>(), tally: new Tally(), list: [] as Array<string> },
    evolve: { ItemAdded: evolve as never },
    decide: () => Decider.nothing
  })

const deciding = (decide: (command: Add, state: State) => unknown): typeof pure => ({
  ...pure,
  decide: decide as typeof pure.decide
})

const add = (): Add => ({ cart: "c", tags: ["b", "a"] })
const added = () => CartEvents.ItemAdded(add())
const failureFor = (decider: Decider.Decider<Add, any, any, any>) =>
  failureOf(() => Spec.of(decider).given(added()).when(add()).thenNothing())

describe("a spec fails a function that changes what it gets", () => {
  it("names evolve, the state and the change, for plain data, maps and instances", () => {
    const failure = failureFor(evolving((state) => Object.assign(state, { items: state.items + 1 })))
    expect(failure.message).toMatchInlineSnapshot(`
      "AddItem: AddItem.evolve.ItemAdded changed the state in place (- before, + after); make a new value
          {
        -   items: 0
        +   items: 1
            list: []
            seen: Map {}
            tally: Tally {
              count: 0
            }
          }

      command
        { cart: "c", tags: ["b", "a"] }

      context
        AddItem: ItemAdded, tags cart:c

      given, selected by the context
        1 ItemAdded { cart: "c", tags: ["b", "a"] } tags cart:c"
    `)
    const changing = (evolve: Evolve) => failureFor(evolving(evolve)).problem
    const problem = "AddItem.evolve.ItemAdded changed the state in place (- before, + after); make a new value"
    expect(
      changing((state) => {
        state.list.push("x")
        return state
      })
    ).toBe(problem)
    expect(changing((state) => ({ ...state, seen: state.seen.set("x", 1) }))).toBe(problem)
    expect(
      changing((state) => {
        state.tally.count++
        return state
      })
    ).toBe(problem)
  })

  it("names the payload that evolve changes", () => {
    expect(
      failureFor(
        evolving((state, payload) => {
          payload.tags.sort()
          return state
        })
      ).problem
    ).toBe("AddItem.evolve.ItemAdded changed the payload in place (- before, + after); make a new value")
  })

  it("names the command and the state that decide changes", () => {
    const ofCommand = failureFor(
      deciding((command) => Decider.accept(CartEvents.ItemAdded({ ...command, tags: command.tags.sort() })))
    )
    expect(ofCommand.message).toMatchInlineSnapshot(`
      "AddItem: decide changed the command in place (- before, + after); make a new value
          {
            cart: "c"
            tags: [
        -     "b"
              "a"
        +     "b"
            ]
          }

      command
        { cart: "c", tags: ["b", "a"] }

      context
        AddItem: ItemAdded, tags cart:c

      given, selected by the context
        1 ItemAdded { cart: "c", tags: ["b", "a"] } tags cart:c

      state
        { items: 1, list: [], seen: Map {}, tally: Tally { count: 0 } }"
    `)
    const ofState = failureFor(deciding((_, state) => (delete (state as Partial<State>).items, Decider.nothing)))
    expect(ofState.problem).toBe("decide changed the state in place (- before, + after); make a new value")
  })

  it("names the command that the view changes", () => {
    const view = (command: Add) => pure.view(Object.assign(command, { cart: "d" }))
    expect(failureFor({ ...pure, view }).problem).toContain("view changed the command in place")
  })

  it("does not let one spec spoil the initial state of the next", () => {
    const decider = evolving((state) => Object.assign(state, { items: 1 }))
    failureFor(decider)
    expect(decider.view(add()).initial.items).toBe(0)
  })

  it("does not take a value for changed that keeps what it has computed", () => {
    const lastAdded = View.make({
      name: "LastAdded",
      events: CartEvents,
      query: () => CartEvents.queryAll(),
      initial: Option.some(DateTime.makeUnsafe(0)),
      evolve: { ItemAdded: Option.filter((at) => DateTime.toPartsUtc(at).year === 1970) }
    })
    const spec = Spec.ofView(lastAdded()).given(added())
    spec.thenState(Option.some(DateTime.makeUnsafe(0)))
    expect(failureOf(() => spec.thenState(Option.some(DateTime.makeUnsafe(1)))).difference?.lines)
      .toMatchInlineSnapshot(`
        [
          "  {",
          "    _id: "Option"",
          "    _tag: "Some"",
          "-   value: "1970-01-01T00:00:00.001Z"",
          "+   value: "1970-01-01T00:00:00.000Z"",
          "  }",
        ]
      `)
  })

  it("holds where nothing is changed", () => {
    Spec.of(pure)
      .given(added(), added())
      .when(add())
      .then(CartEvents.ItemAdded({ cart: "c", tags: ["b", "a"] }))
  })
})

describe("a spec fails a decider that does not answer at once", () => {
  it("refuses promises, also those that reject, and Effects", () => {
    const promise = "returned a promise; it must be pure: effects follow from events that are recorded"
    expect(failureFor(deciding(async () => Decider.nothing)).problem).toBe(`decide ${promise}`)
    expect(failureFor(deciding(() => Promise.reject(new Error("late")))).problem).toBe(`decide ${promise}`)
    expect(failureFor(evolving((async (state: State) => state) as never)).problem).toBe(
      `AddItem.evolve.ItemAdded ${promise}`
    )
    expect(failureFor(deciding(() => Effect.succeed(Decider.nothing))).problem).toContain("decide returned an Effect")
  })

  it("refuses what is no decision", () => {
    expect(failureFor(deciding(() => undefined)).problem).toBe("decide returned no decision but undefined")
    expect(failureFor(deciding(() => [added()])).problem).toContain("decide returned no decision but [")
  })
})

describe("a spec fails a function that throws", () => {
  it("says which, and keeps what was thrown as the cause", () => {
    const bug = new TypeError("undefined is not a function")
    const throwing = (): never => {
      throw bug
    }
    for (const [decider, name] of [
      [deciding(throwing), "decide"],
      [evolving(throwing), "AddItem.evolve.ItemAdded"],
      [{ ...pure, view: throwing }, "view"]
    ] as const) {
      const failure = failureFor(decider)
      expect(failure.problem).toBe(`${name} threw TypeError: undefined is not a function`)
      expect(failure.cause).toBe(bug)
    }
  })
})
