/** What the failure of a spec reads like. Known-wrong deciders, and the whole text. */
import { Decider, EventCatalog, View } from "evolvent"
import { Spec } from "evolvent/testing"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import { defined, subscribe, subscribed } from "../decider/courses.ts"
import { buyTicket, SaleId, saleId, SoldOut, TicketEvents } from "../decider/tickets.ts"
import { failureOf } from "./failureOf.ts"

const command = { saleId, buyer: "ada" }
const opened = TicketEvents.SaleOpened({ saleId, capacity: 1 })
const sold = TicketEvents.TicketSold({ saleId, buyer: "bob" })
const elsewhere = TicketEvents.TicketSold({ saleId: SaleId.make("s2"), buyer: "eve" })
const PaymentEvents = EventCatalog.make({ Paid: Schema.Struct({ saleId: Schema.String, cents: Schema.Int }) })

describe("the failure of a spec", () => {
  it("shows that a decider sells one seat too many, and that its query forgot the sold tickets", () => {
    const forgetful = Decider.make({
      name: "BuyTicket",
      events: TicketEvents,
      context: (it: typeof command) => TicketEvents.query("SaleOpened", { saleId: it.saleId }),
      initial: { capacity: 0, sold: 0 },
      evolve: {
        SaleOpened: (state, { capacity }) => ({ ...state, capacity }),
        TicketSold: (state) => ({ ...state, sold: state.sold + 1 })
      },
      decide: (it, state) =>
        state.sold < state.capacity
          ? Decider.accept(TicketEvents.TicketSold(it))
          : Decider.reject(new SoldOut({ saleId: it.saleId, capacity: state.capacity }))
    })
    const decided = Spec.of(forgetful).given(opened, sold, elsewhere).when(command)
    expect(failureOf(() => decided.thenRejects(new SoldOut({ saleId, capacity: 1 }))).message).toMatchInlineSnapshot(`
      "BuyTicket: expected a rejection, got 1 event

      command
        { buyer: "ada", saleId: "s1" }

      context
        BuyTicket: SaleOpened, payload { saleId: "s1" }

      given, selected by the context
        1 SaleOpened { capacity: 1, saleId: "s1" }

      given, not selected
        2 TicketSold (version 2) { buyer: "bob", saleId: "s1" } tags sale:s1
          its type is not asked for
        3 TicketSold (version 2) { buyer: "eve", saleId: "s2" } tags sale:s2
          its type is not asked for

      state
        { capacity: 1, sold: 0 }

      - expected, + actual
        - rejected with SoldOut {
        -   _tag: "SoldOut"
        -   capacity: 1
        -   saleId: "s1"
        - }
        + TicketSold (version 2) {
        +   buyer: "ada"
        +   saleId: "s1"
        + } tags sale:s1"
    `)
  })

  it("shows the members in which an event differs", () => {
    const decided = Spec.of(buyTicket).given(opened).when(command)
    expect(failureOf(() => decided.then(TicketEvents.TicketSold({ saleId, buyer: "bob" }))).message)
      .toMatchInlineSnapshot(`
      "BuyTicket: other events than expected

      command
        { buyer: "ada", saleId: "s1" }

      context
        BuyTicket: SaleOpened | TicketSold, payload { saleId: "s1" }

      given, selected by the context
        1 SaleOpened { capacity: 1, saleId: "s1" }

      state
        { capacity: 1, sold: 0 }

      - expected, + actual
          TicketSold (version 2) {
        -   buyer: "bob"
        +   buyer: "ada"
            saleId: "s1"
          } tags sale:s1"
    `)
  })

  it("shows the members in which a rejection differs", () => {
    const decided = Spec.of(buyTicket).given(opened, sold).when(command)
    expect(failureOf(() => decided.thenRejects(new SoldOut({ saleId, capacity: 2 }))).message).toMatchInlineSnapshot(`
      "BuyTicket: another rejection than expected

      command
        { buyer: "ada", saleId: "s1" }

      context
        BuyTicket: SaleOpened | TicketSold, payload { saleId: "s1" }

      given, selected by the context
        1 SaleOpened { capacity: 1, saleId: "s1" }
        2 TicketSold (version 2) { buyer: "bob", saleId: "s1" } tags sale:s1

      state
        { capacity: 1, sold: 1 }

      - expected, + actual
          rejected with SoldOut {
            _tag: "SoldOut"
        -   capacity: 2
        +   capacity: 1
            saleId: "s1"
          }"
    `)
  })

  it("shows which view sees what, and why the rest is not selected: type, tag, payload", () => {
    const decided = Spec.of(subscribe, PaymentEvents)
      .given(
        defined("math", 1),
        subscribed("math", "bob"),
        subscribed("art", "ada"),
        subscribed("art", "carl"),
        PaymentEvents.Paid({ saleId: "s1", cents: 100 })
      )
      .when({ courseId: "math", studentId: "ada" })
    expect(failureOf(() => decided.then(subscribed("math", "ada"))).message).toMatchInlineSnapshot(`
      "Subscribe: expected 1 event, got a rejection

      command
        { courseId: "math", studentId: "ada" }

      context
        courseExists: CourseDefined, payload { courseId: "math" }
        freeSeats: CourseDefined | StudentSubscribed, payload { courseId: "math" }
        subscriptionsOf: StudentSubscribed, tags student:ada

      given, selected by the context
        1 CourseDefined { capacity: 1, courseId: "math" } tags course:math
          seen by courseExists, freeSeats
        2 StudentSubscribed { courseId: "math", studentId: "bob" } tags course:math, student:bob
          seen by freeSeats
        3 StudentSubscribed { courseId: "art", studentId: "ada" } tags course:art, student:ada
          seen by subscriptionsOf

      given, not selected
        4 StudentSubscribed { courseId: "art", studentId: "carl" } tags course:art, student:carl
          its courseId is "art", not "math"
        5 Paid { cents: 100, saleId: "s1" }
          its type is not asked for

      state
        { course: true, seats: 0, student: ["art"] }

      - expected, + actual
        - StudentSubscribed {
        -   courseId: "math"
        -   studentId: "ada"
        - } tags course:math, student:ada
        + rejected with CourseFull {
        +   _tag: "CourseFull"
        + }"
    `)
  })

  it("shows a state line by line, and a tag that is missing", () => {
    const soldTo = View.make({
      name: "SoldTo",
      events: TicketEvents,
      query: (sale: string) => TicketEvents.queryAll(undefined, { tags: [`sale:${sale}`] }),
      initial: { buyers: [] as ReadonlyArray<string>, open: false },
      evolve: {
        SaleOpened: (state) => ({ ...state, open: true }),
        TicketSold: (state, { buyer }) => ({ ...state, buyers: [...state.buyers, buyer] })
      }
    })
    const spec = Spec.ofView(soldTo("s1")).given(opened, sold)
    expect(failureOf(() => spec.thenState({ buyers: ["bob"], open: true })).message).toMatchInlineSnapshot(`
      "SoldTo: another state than expected

      context
        SoldTo: SaleOpened | TicketSold, tags sale:s1

      given, selected by the context
        2 TicketSold (version 2) { buyer: "bob", saleId: "s1" } tags sale:s1

      given, not selected
        1 SaleOpened { capacity: 1, saleId: "s1" }
          it has no tag sale:s1

      state
        { buyers: ["bob"], open: false }

      - expected, + actual
          {
            buyers: [
              "bob"
            ]
        -   open: true
        +   open: false
          }"
    `)
  })

  it("says that a decision that depends on nothing sees nothing", () => {
    const decider = Decider.make({
      name: "Import",
      events: TicketEvents,
      view: () => View.struct({}),
      decide: () => Decider.accept(opened)
    })
    const failure = failureOf(() => Spec.of(decider, TicketEvents).given(sold).when(command).thenNothing())
    expect(failure.message).toMatchInlineSnapshot(`
      "Import: expected nothing, got 1 event

      command
        { buyer: "ada", saleId: "s1" }

      context
        no event at all

      given, selected by the context
        nothing

      given, not selected
        1 TicketSold (version 2) { buyer: "bob", saleId: "s1" } tags sale:s1
          its type is not asked for

      state
        {}

      - expected, + actual
        - nothing
        + SaleOpened {
        +   capacity: 1
        +   saleId: "s1"
        + }"
    `)
  })
})
