import * as Result from "effect/Result"
import { describe, expect, it } from "vitest"
import * as Decider from "../../src/decider/Decider.ts"
import type { Subscribe } from "./courses.ts"
import {
  courseExists,
  SubscriptionEvents,
  CourseFull,
  defined,
  SeatEvents,
  subscribe,
  subscribed,
  TooManyCourses,
  UnknownCourse
} from "./courses.ts"
import { rawRecord, record } from "./records.ts"
import { buyTicket, SaleId, saleId, SoldOut, TicketEvents } from "./tickets.ts"

const command = { saleId, buyer: "ada" }
const opened = TicketEvents.SaleOpened({ saleId, capacity: 1 })
const sold = TicketEvents.TicketSold(command)
const elsewhere = TicketEvents.TicketSold({ saleId: SaleId.make("s2"), buyer: "eve" })

describe("a decider with its own context", () => {
  it("decides on what its context matches of the given events", () => {
    const decide = (...given: ReadonlyArray<Decider.EventOf<typeof buyTicket>>) =>
      Decider.computeEvents(buyTicket, { given, command })
    expect(decide(opened)).toEqual(Decider.accept(sold))
    expect(decide(opened, elsewhere)).toEqual(Decider.accept(sold))
    expect(decide(opened, sold)).toEqual(Decider.reject(new SoldOut({ saleId, capacity: 1 })))
    expect(decide()).toEqual(Decider.reject(new SoldOut({ saleId, capacity: 0 })))
  })

  it("gives the state after what the command leads to", () => {
    expect(Decider.computeState(buyTicket, { command, state: { capacity: 5, sold: 2 } })).toEqual(
      Result.succeed({ capacity: 5, sold: 3 })
    )
    expect(Decider.computeState(buyTicket, { command })).toEqual(Result.fail(new SoldOut({ saleId, capacity: 0 })))
  })

  it("tells an undefined state from none", () => {
    const decider = Decider.make({
      name: "Undefined",
      events: TicketEvents,
      context: (sale: string) => TicketEvents.queryAll({ saleId: sale }),
      initial: 1 as number | undefined,
      evolve: {},
      decide: (_, state) => Decider.reject(state)
    })
    expect(Decider.computeState(decider, { command: "x", state: undefined })).toEqual(Result.fail(undefined))
    expect(Decider.computeState(decider, { command: "x" })).toEqual(Result.fail(1))
  })

  it("decides on records, and says which it could not read", () => {
    expect(Decider.decideOn(buyTicket, command, record(TicketEvents, [opened]))).toEqual(
      Result.succeed({ state: { capacity: 1, sold: 0 }, decision: Decider.accept(sold) })
    )
    const broken = rawRecord({ eventType: "SaleOpened", payload: { saleId: "s1" }, sequenceNumber: 3 })
    expect(Result.getOrThrow(Result.flip(Decider.decideOn(buyTicket, command, [broken])))).toMatchObject({
      _tag: "DecodeError",
      sequenceNumber: 3,
      path: "capacity"
    })
  })

  it("keeps one definition for all commands", () => {
    expect(buyTicket.view(command).key).toBe(buyTicket.view({ ...command, buyer: "bob" }).key)
    expect(buyTicket.view(command).key).not.toBe(buyTicket.view({ ...command, saleId: SaleId.make("s2") }).key)
    expect(buyTicket.view(command).name).toBe("BuyTicket")
  })
})

describe("a decider on a composed view", () => {
  const decide = (given: ReadonlyArray<Decider.EventOf<typeof subscribe>>, courseId = "math", studentId = "ada") =>
    Decider.computeEvents(subscribe, { given, command: { courseId, studentId } })
  const courses = [defined("math", 1), defined("art", 5), defined("law", 5)]

  it("decides on the facts of all parts", () => {
    expect(decide(courses)).toEqual(Decider.accept(subscribed("math", "ada")))
    expect(decide([])).toEqual(Decider.reject(new UnknownCourse()))
    expect(decide([...courses, subscribed("math", "bob")])).toEqual(Decider.reject(new CourseFull()))
    expect(decide([...courses, subscribed("math", "ada")])).toEqual(Decider.nothing)
    expect(decide([...courses, subscribed("art", "ada"), subscribed("law", "ada")])).toEqual(
      Decider.reject(new TooManyCourses())
    )
    expect(decide([...courses, subscribed("art", "bob"), subscribed("law", "bob")])).toEqual(
      Decider.accept(subscribed("math", "ada"))
    )
  })

  it("folds what it emits into the parts that look at it", () => {
    const state = { course: true, seats: 3, student: ["art"] }
    expect(Decider.computeState(subscribe, { command: { courseId: "math", studentId: "ada" }, state })).toEqual(
      Result.succeed({ course: true, seats: 2, student: ["art", "math"] })
    )
    const enrol = Decider.make({
      name: "Enrol",
      events: SubscriptionEvents,
      view: ({ courseId }: Subscribe) => courseExists(courseId),
      decide: (subscription) => Decider.accept(SubscriptionEvents.StudentSubscribed(subscription))
    })
    const enrolment = { courseId: "math", studentId: "ada" }
    expect(Decider.computeState(enrol, { command: enrolment, state: true })).toEqual(Result.succeed(true))
  })

  it("decides on records of several catalogs", () => {
    expect(
      Decider.decideOn(subscribe, { courseId: "math", studentId: "ada" }, record(SeatEvents, courses))
    ).toMatchObject({ success: { state: { course: true, seats: 1, student: [] } } })
  })
})
