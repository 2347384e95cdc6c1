import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Decider, EventCatalog, EventQuery, View } from "evolvent"
import { Spec } from "evolvent/testing"
import { describe, expect, it } from "vitest"
import { CourseFull, defined, freeSeats, subscribe, subscribed, UnknownCourse } from "../decider/courses.ts"
import { buyTicket, NotOpen, SaleId, saleId, SoldOut, TicketEvents } from "../decider/tickets.ts"
import { failureOf } from "./failureOf.ts"

const command = { saleId, buyer: "ada" }
const opened = TicketEvents.SaleOpened({ saleId, capacity: 1 })
const sold = TicketEvents.TicketSold({ saleId, buyer: "bob" })
const elsewhere = TicketEvents.TicketSold({ saleId: SaleId.make("s2"), buyer: "eve" })
const soldOut = new SoldOut({ saleId, capacity: 1 })

const PaymentEvents = EventCatalog.make({ Paid: Schema.Struct({ saleId: Schema.String, cents: Schema.Int }) })

/** A decider that decides this, whatever comes. */
const deciding = (decision: Decider.Decision<EventCatalog.Event<typeof TicketEvents>, unknown>) =>
  Decider.make({
    name: "Deciding",
    events: TicketEvents,
    context: () => TicketEvents.queryAll({ saleId }),
    initial: 0,
    evolve: {},
    decide: () => decision
  })

describe("a spec of a decider", () => {
  it("holds where the decider is right", () => {
    const spec = Spec.of(buyTicket).given(opened)
    spec.when(command).then(TicketEvents.TicketSold(command))
    spec.given(sold).when(command).thenRejects(soldOut)
    Spec.of(deciding(Decider.nothing)).when(command).thenNothing()
  })

  it("is given the empty log where nothing is given, and events in the order of the calls", () => {
    Spec.of(buyTicket)
      .when(command)
      .thenRejects(new SoldOut({ saleId, capacity: 0 }))
    const run = Spec.of(buyTicket).given(opened).given().given(sold, elsewhere).when(command).result()
    expect(Result.getOrThrow(run).given.map((event) => event.payload)).toEqual(
      [opened, sold, elsewhere].map((event) => event.payload)
    )
  })

  it("leaves the spec that it goes on from as it is", () => {
    const spec = Spec.of(buyTicket).given(opened)
    spec.given(sold)
    spec.when(command).then(TicketEvents.TicketSold(command))
  })

  it("fails for too few events, too many, other ones, and another order", () => {
    const decided = Spec.of(deciding(Decider.accept(opened, sold))).when(command)
    decided.then(opened, sold)
    const messageOf = (...events: ReadonlyArray<typeof opened | typeof sold>) =>
      failureOf(() => decided.then(...events)).problem
    expect(messageOf(opened)).toBe("expected 1 event, got 2 events")
    expect(messageOf(opened, sold, sold)).toBe("expected 3 events, got 2 events")
    expect(messageOf(opened, elsewhere)).toBe("other events than expected")
    expect(messageOf(sold, opened)).toBe("other events than expected")
    expect(failureOf(() => decided.thenNothing()).problem).toBe("expected nothing, got 2 events")
    expect(failureOf(() => decided.thenRejects(soldOut)).problem).toBe("expected a rejection, got 2 events")
  })

  it("compares rejections by class and content", () => {
    const decided = Spec.of(deciding(Decider.reject(new SoldOut({ saleId, capacity: 1 })))).when(command)
    decided.thenRejects(soldOut)
    for (const other of [new SoldOut({ saleId, capacity: 2 }), new NotOpen({ saleId }), { ...soldOut }, undefined]) {
      expect(failureOf(() => decided.thenRejects(other)).problem).toBe("another rejection than expected")
    }
    expect(failureOf(() => decided.thenNothing()).problem).toBe("expected nothing, got a rejection")
    expect(failureOf(() => decided.then(sold)).problem).toBe("expected 1 event, got a rejection")
  })

  it("tells errors of two classes apart that look the same", () => {
    class A extends Error {}
    class B extends Error {}
    const decided = Spec.of(deciding(Decider.reject(new A("no")))).when(command)
    decided.thenRejects(new A("no"))
    failureOf(() => decided.thenRejects(new B("no")))
    failureOf(() => decided.thenRejects(new A("never")))
  })

  it("asks a predicate about the rejection", () => {
    const decided = Spec.of(buyTicket).given(opened, sold).when(command)
    decided.thenRejects(Schema.is(SoldOut))
    decided.thenRejects((rejection) => rejection.capacity === 1)
    const failure = failureOf(() => decided.thenRejects((rejection) => rejection.capacity === 2))
    expect(failure.difference?.expected).toEqual(["rejected as the predicate wants"])
  })

  it("compares events as they are recorded: schema version, encoded payload and tags", () => {
    const emitted = Result.getOrThrow(Spec.of(buyTicket).given(opened).when(command).result()).emitted
    expect(emitted).toEqual([
      {
        eventType: "TicketSold",
        schemaVersion: 2,
        payload: { saleId: "s1", buyer: "ada" },
        tags: ["sale:s1"],
        sequenceNumber: 1
      }
    ])
    const Notes = EventCatalog.make({
      Noted: Schema.Struct({ at: Schema.DateFromString, text: Schema.optional(Schema.String) })
    })
    const note = Decider.make({
      name: "Note",
      events: Notes,
      context: () => Notes.queryAll(),
      initial: 0,
      evolve: {},
      decide: (at: Date) => Decider.accept(Notes.Noted({ at, text: undefined }))
    })
    const decided = Spec.of(note).when(new Date(0))
    decided.then(Notes.Noted({ at: new Date(0) }))
    failureOf(() => decided.then(Notes.Noted({ at: new Date(1) })))
  })

  it("shows a query that is wrong, since the query picks what the decider sees", () => {
    const careless = Decider.make({
      ...buyTicket,
      events: TicketEvents,
      view: () => View.struct({ sales: sales() }),
      decide: (it: typeof command, state) =>
        state.sales < 1 ? Decider.accept(TicketEvents.TicketSold(it)) : Decider.reject(soldOut)
    })
    const spec = Spec.of(careless).given(elsewhere).when(command)
    expect(failureOf(() => spec.then(TicketEvents.TicketSold(command))).message).toContain(
      "given, selected by the context\n  1 TicketSold"
    )
  })

  it("takes events of other catalogs of the application, which the query passes over", () => {
    const paid = PaymentEvents.Paid({ saleId: "s1", cents: 100 })
    const decided = Spec.of(buyTicket, PaymentEvents).given(paid, opened).when(command)
    decided.then(TicketEvents.TicketSold(command))
    const { given } = Result.getOrThrow(decided.result())
    expect(given.map(({ eventType, selected }) => [eventType, selected])).toEqual([
      ["Paid", false],
      ["SaleOpened", true]
    ])
  })

  it("fails where the context selects an event that the decider's catalog cannot read", () => {
    const wide = Decider.make({
      name: "Wide",
      events: TicketEvents,
      context: () => EventQuery.all,
      initial: 0,
      evolve: {},
      decide: () => Decider.nothing
    })
    const spec = Spec.of(wide, PaymentEvents).given(PaymentEvents.Paid({ saleId: "s1", cents: 1 }))
    expect(failureOf(() => spec.when(command).thenNothing()).problem).toContain("the catalog does not know the type")
  })

  it("gives every part of a composed view only what its own query matches", () => {
    const spec = Spec.of(subscribe).given(defined("math", 1), defined("art", 1), subscribed("math", "bob"))
    spec.when({ courseId: "math", studentId: "ada" }).thenRejects(new CourseFull())
    spec.when({ courseId: "law", studentId: "ada" }).thenRejects(new UnknownCourse())
    spec.when({ courseId: "art", studentId: "bob" }).then(subscribed("art", "bob"))
    const { given, state } = Result.getOrThrow(spec.when({ courseId: "art", studentId: "bob" }).result())
    expect(state).toEqual({ course: true, seats: 1, student: ["math"] })
    expect(given.map((event) => event.seenBy)).toEqual([[], ["courseExists", "freeSeats"], ["subscriptionsOf"]])
  })

  it("refuses what a store would refuse: given, emitted and expected", () => {
    const invalid = TicketEvents.SaleOpened({ saleId, capacity: 0.5 })
    const foreign = PaymentEvents.Paid({ saleId: "s1", cents: 1 }) as never
    const problemOf = (spec: () => void) => failureOf(spec).problem
    expect(problemOf(() => Spec.of(buyTicket).given(opened, invalid).when(command).thenNothing())).toContain(
      'given event 2 cannot be recorded, The payload of a "SaleOpened" does not fit its schema at capacity'
    )
    expect(problemOf(() => Spec.of(buyTicket).given(foreign).when(command).thenNothing())).toContain(
      'given event 1 is of no known type: { eventType: "Paid"'
    )
    const emitting = Spec.of(deciding(Decider.accept(foreign))).when(command)
    expect(problemOf(() => emitting.then(foreign))).toContain("emitted event 1 is of no known type")
    const named = Spec.of(deciding(Decider.accept(foreign)), PaymentEvents).when(command)
    expect(problemOf(() => named.then(foreign))).toContain("emitted event 1 is of no known type")
    const right = Spec.of(buyTicket).given(opened).when(command)
    expect(problemOf(() => right.then(invalid))).toContain("expected event 1 cannot be recorded")
    const Ratios = EventCatalog.make({ Measured: Schema.Struct({ ratio: Schema.Number }) })
    const measured = Spec.of(buyTicket, Ratios)
      .given(Ratios.Measured({ ratio: Number.NaN }))
      .when(command)
    expect(problemOf(() => measured.thenNothing())).toBe(
      "given event 1 cannot be recorded, payload.ratio: expected a finite number"
    )
  })

  it("refuses a query that a store would refuse", () => {
    const decider = Decider.make({
      name: "Typo",
      events: TicketEvents,
      context: () => EventQuery.make({ eventType: ["SaleOpened"] } as never),
      initial: 0,
      evolve: {},
      decide: () => Decider.nothing
    })
    expect(failureOf(() => Spec.of(decider).when(command).thenNothing()).problem).toBe(
      "the query of Typo is refused: query.filters[0].eventType: unknown; expected one of eventTypes, payloadPredicates, tags"
    )
  })

  it("fails a test that awaits or returns it without an expectation", async () => {
    const forgotten = Spec.of(buyTicket).given(opened).when(command) as unknown as PromiseLike<void>
    await expect(Promise.resolve(forgotten)).rejects.toThrow("BuyTicket: the spec has no expectation")
  })

  it("gives its failure as data, without throwing", () => {
    const throwing = { ...buyTicket, decide: () => expect.unreachable("a bug") }
    const result = Spec.of(throwing).given(opened).when(command).result()
    expect(Result.isFailure(result) && result.failure.evidence).toMatchObject({
      subject: "BuyTicket",
      command,
      state: { capacity: 1, sold: 0 }
    })
  })

  it("throws a plain error whose stack starts at the expectation", () => {
    const failure = failureOf(() => Spec.of(buyTicket).when(command).thenNothing())
    expect(failure).toBeInstanceOf(Error)
    expect(failure.name).toBe("SpecFailure")
    expect(failure.stack?.split("\n").find((line) => line.startsWith("    at "))).toContain("spec.test.ts")
  })
})

describe("a spec of a view", () => {
  it("holds where the state is the one that the given events fold into", () => {
    const spec = Spec.ofView(freeSeats("math"))
    spec.thenState(0)
    spec.given(defined("math", 3), defined("art", 5)).given(subscribed("math", "ada")).thenState(2)
    expect(failureOf(() => spec.given(defined("math", 3)).thenState(2)).problem).toBe("another state than expected")
  })

  it("compares states by class and content, whatever the order of keys", () => {
    const state = (initial: unknown) =>
      Spec.ofView(
        View.make({ name: "State", events: TicketEvents, query: () => EventQuery.all, initial, evolve: {} })()
      )
    state({ a: 1, b: [new Date(0), new Map([["k", 1n]])] }).thenState({ b: [new Date(0), new Map([["k", 1n]])], a: 1 })
    failureOf(() => state({ a: 1 }).thenState({ a: 1, b: undefined }))
    failureOf(() => state(new Set([1])).thenState(new Set([2])))
    failureOf(() => state([1, 2]).thenState([2, 1]))
    const alike = failureOf(() => state(() => 1).thenState(() => 1))
    expect(alike.problem).toContain("they read alike")
  })

  it("takes events of other catalogs and gives the state as data", () => {
    const spec = Spec.ofView(freeSeats("math"), PaymentEvents).given(PaymentEvents.Paid({ saleId: "s1", cents: 1 }))
    spec.thenState(0)
    expect(Result.getOrThrow(spec.result())).toMatchObject({ state: 0, given: [{ selected: false }] })
  })
})

const sales = View.make({
  name: "Sales",
  events: TicketEvents,
  query: () => TicketEvents.query("TicketSold"),
  initial: 0,
  evolve: { TicketSold: (count) => count + 1 }
})
