import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as EventCatalog from "../../src/decider/EventCatalog.ts"
import * as View from "../../src/decider/View.ts"
import * as EventQuery from "../../src/stores/EventQuery.ts"
import { courseExists, defined, freeSeats, SeatEvents, subscribed, subscriptionsOf } from "./courses.ts"
import { rawRecord, record } from "./records.ts"

const history = [
  defined("math", 2),
  defined("art", 1),
  subscribed("math", "ada"),
  subscribed("art", "ada"),
  subscribed("math", "bob")
]

const decision = (courseId: string, studentId: string) =>
  View.struct({ course: courseExists(courseId), seats: freeSeats(courseId), student: subscriptionsOf(studentId) })

const anyHistory = fc.array(
  fc.oneof(
    fc.tuple(fc.constantFrom("math", "art"), fc.nat(3)).map(([course, capacity]) => defined(course, capacity)),
    fc
      .tuple(fc.constantFrom("math", "art"), fc.constantFrom("ada", "bob"))
      .map(([course, student]) => subscribed(course, student))
  ),
  { maxLength: 20 }
)

describe("a view", () => {
  it("folds the records that its query matches and passes over others", () => {
    expect(View.fold(freeSeats("math"), record(SeatEvents, history))).toEqual(Result.succeed(0))
    expect(View.fold(freeSeats("none"), record(SeatEvents, history))).toEqual(Result.succeed(0))
    expect(View.project(freeSeats("math"), history.slice(0, 3))).toBe(1)
    expect(View.projectFrom(freeSeats("math"), 10, history.slice(2))).toBe(8)
    expect(freeSeats("math").evolve(5, subscribed("math", "eve"))).toBe(4)
    expect(freeSeats("math").evolve(5, subscribed("art", "eve"))).toBe(5)
  })

  it("passes over what it cannot read when it does not look at it, and fails when it does", () => {
    const foreign = rawRecord({ eventType: "Else", payload: {}, sequenceNumber: 42 })
    expect(View.fold(freeSeats("math"), [foreign])).toEqual(Result.succeed(0))
    const everything = View.make({
      name: "everything",
      events: SeatEvents,
      query: () => EventQuery.all,
      initial: 0,
      evolve: {}
    })
    expect(Result.getOrThrow(Result.flip(View.fold(everything(), [foreign])))).toMatchObject({
      _tag: "DecodeError",
      problem: "UnknownEventType",
      sequenceNumber: 42,
      eventType: "Else"
    })
    expect(View.fold(everything(), record(SeatEvents, history))).toEqual(Result.succeed(0))
  })

  it("reads from the start, whatever read cursor its query has", () => {
    const view = View.make({
      name: "late",
      events: SeatEvents,
      query: () => EventQuery.after(SeatEvents.queryAll(), 3),
      initial: 0,
      evolve: { CourseDefined: (count) => count + 1 }
    })
    expect(view().query).toEqual(SeatEvents.queryAll())
  })

  it("takes cases named like members of Object.prototype", () => {
    const Odd = EventCatalog.make({ toString: Schema.Struct({}), constructor: Schema.Struct({}) })
    const odd = View.make({
      name: "odd",
      events: Odd,
      query: () => Odd.queryAll(),
      initial: 0,
      evolve: { constructor: (count) => count + 1, toString: (count) => count }
    })
    expect(View.project(odd(), [Odd.toString({}), Odd.constructor({})])).toBe(1)
  })

  it("gives the same state when nothing changes it", () => {
    const view = decision("math", "ada")
    const state = { course: true, seats: 3, student: ["art"] }
    expect(Result.getOrThrow(View.foldFrom(view, state, record(SeatEvents, [subscribed("art", "bob")])))).toBe(state)
  })

  it("throws the typed error of a query that is refused", () => {
    const view = View.make({
      name: "refused",
      events: SeatEvents,
      query: () => EventQuery.withTags(""),
      initial: 0,
      evolve: {}
    })()
    const refused = expect.objectContaining({ _tag: "EventStoreError" })
    expect(() => View.fold(view, record(SeatEvents, history))).toThrow(refused)
    expect(() => view.key).toThrow(refused)
    expect(() => view.canonicalQuery).toThrow(refused)
  })

  it("folding a history at once or in two parts comes to the same", () => {
    fc.assert(
      fc.property(anyHistory, fc.nat(20), (events, cut) => {
        const view = decision("math", "ada")
        const records = record(SeatEvents, events)
        const before = Result.getOrThrow(View.fold(view, records.slice(0, cut)))
        expect(View.foldFrom(view, before, records.slice(cut))).toEqual(View.fold(view, records))
        expect(View.projectFrom(view, before, events.slice(cut))).toEqual(View.project(view, events))
      })
    )
  })
})

describe("a composed view", () => {
  it("gives each part only what its own query matches", () => {
    const records = record(SeatEvents, history)
    expect(View.fold(decision("math", "ada"), records)).toEqual(
      Result.succeed({ course: true, seats: 0, student: ["math", "art"] })
    )
    expect(View.fold(decision("art", "bob"), records)).toEqual(
      Result.succeed({ course: true, seats: 0, student: ["math"] })
    )
    expect(View.fold(decision("none", "eve"), records)).toEqual(
      Result.succeed({ course: false, seats: 0, student: [] })
    )
  })

  it("asks for what any part looks at", () => {
    const view = decision("math", "ada")
    const matched = history.filter((event) => EventQuery.matches(view.query, record(SeatEvents, [event])[0]!))
    expect(matched).toEqual([history[0], history[2], history[3], history[4]])
    expect(view.canonicalQuery).toBe(EventQuery.canonical(view.query))
  })

  it("is each part folded alone over its own matches", () => {
    fc.assert(
      fc.property(anyHistory, (events) => {
        const records = record(SeatEvents, events)
        const alone = <S, E>(view: View.View<S, E>): S =>
          Result.getOrThrow(
            View.fold(
              view,
              records.filter((each) => EventQuery.matches(view.query, each))
            )
          )
        const [course, seats, student] = [courseExists("math"), freeSeats("math"), subscriptionsOf("ada")]
        expect(View.fold(View.struct({ course, seats, student }), records)).toEqual(
          Result.succeed({ course: alone(course), seats: alone(seats), student: alone(student) })
        )
        expect(View.fold(View.merge(View.merge(course, seats), student), records)).toEqual(
          Result.succeed([[alone(course), alone(seats)], alone(student)])
        )
      })
    )
  })

  it("nests", () => {
    const view = View.struct({
      a: View.struct({ seats: freeSeats("math") }),
      b: View.merge(freeSeats("art"), freeSeats("x"))
    })
    expect(view.initial).toEqual({ a: { seats: 0 }, b: [0, 0] })
    expect(View.project(view, history)).toEqual({ a: { seats: 0 }, b: [0, 0] })
    expect(View.projectFrom(view, { a: { seats: 9 }, b: [8, 7] }, history.slice(2))).toEqual({
      a: { seats: 7 },
      b: [7, 7]
    })
  })

  it("without parts looks at nothing", () => {
    const view = View.struct({})
    expect(view.initial).toEqual({})
    expect(EventQuery.matches(view.query, record(SeatEvents, history)[0]!)).toBe(false)
    expect(View.fold(view, record(SeatEvents, history))).toEqual(Result.succeed({}))
    expect(view.key).not.toBe(freeSeats("math").key)
  })

  it("takes any part name", () => {
    const view = View.struct({ ["__proto__"]: freeSeats("math"), constructor: freeSeats("art") })
    const state = View.project(view, history.slice(0, 2))
    expect(Object.entries(state)).toEqual([
      ["__proto__", 2],
      ["constructor", 1]
    ])
  })

  it("decodes a record once per catalog", () => {
    let decoded = 0
    const Counted = EventCatalog.make({
      Happened: EventCatalog.event(Schema.Struct({}), {
        version: 2,
        upcasts: {
          1: (old) => {
            decoded++
            return old
          }
        }
      })
    })
    const count = View.make({
      name: "count",
      events: Counted,
      query: (tag: string) => EventQuery.withTags(tag),
      initial: 0,
      evolve: { Happened: (n) => n + 1 }
    })
    const view = View.struct({ a: count("a"), b: count("b"), c: count("c") })
    const happened = rawRecord({ eventType: "Happened", payload: {}, tags: ["a", "b"] })
    expect(View.fold(view, [happened, happened])).toEqual(Result.succeed({ a: 2, b: 2, c: 0 }))
    expect(decoded).toBe(2)
  })
})

describe("the key of a view", () => {
  it("is the same for the same definition and query", () => {
    expect(freeSeats("math").key).toBe(freeSeats("math").key)
    expect(decision("math", "ada").key).toBe(decision("math", "ada").key)
    const [course, seats] = [courseExists("math"), freeSeats("math")]
    expect(View.struct({ course, seats }).key).toBe(View.struct({ seats, course }).key)
    const tagged = View.make({
      name: "tagged",
      events: SeatEvents,
      query: (...tags: ReadonlyArray<string>) => EventQuery.withTags(...tags),
      initial: 0,
      evolve: {}
    })
    expect(tagged("a", "b").key).toBe(tagged("b", "a", "b").key)
  })

  it("differs by definition, query, composition, name and order", () => {
    const twin = () =>
      View.make({
        name: "twin",
        events: SeatEvents,
        query: (courseId: string) => SeatEvents.queryAll({ courseId }),
        initial: 0,
        evolve: {}
      })
    const [a, b] = [freeSeats("math"), subscriptionsOf("ada")]
    const keys = [
      a.key,
      b.key,
      freeSeats("art").key,
      twin()("math").key,
      twin()("math").key,
      View.struct({}).key,
      View.struct({ a }).key,
      View.struct({ b: a }).key,
      View.struct({ a, b }).key,
      View.struct({ a: b, b: a }).key,
      View.merge(a, b).key,
      View.merge(b, a).key,
      View.merge(View.merge(a, a), b).key,
      View.merge(a, View.merge(a, b)).key,
      View.struct({ a: View.struct({ b }) }).key,
      View.struct({ [`a":${a.key},"b`]: b }).key,
      View.struct({ [`a:${a.key},b`]: b }).key
    ]
    expect(new Set(keys).size).toBe(keys.length)
  })
})
