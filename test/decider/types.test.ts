import * as Schema from "effect/Schema"
import { describe, expectTypeOf, it } from "vitest"
import * as Decider from "../../src/decider/Decider.ts"
import * as EventCatalog from "../../src/decider/EventCatalog.ts"
import * as Reactor from "../../src/decider/Reactor.ts"
import * as View from "../../src/decider/View.ts"
import type { BuyTicket } from "./tickets.ts"
import { buyTicket, NotOpen, saleId, SoldOut, TicketEvents } from "./tickets.ts"

type TicketEvent = EventCatalog.Event<typeof TicketEvents>

describe("types of a catalog", () => {
  it("event values are a union by type", () => {
    expectTypeOf<TicketEvent["eventType"]>().toEqualTypeOf<"SaleOpened" | "TicketSold">()
    expectTypeOf<EventCatalog.Payload<typeof TicketEvents, "TicketSold">["buyer"]>().toEqualTypeOf<string>()
    expectTypeOf<EventCatalog.EventOf<typeof TicketEvents, "TicketSold">["eventType"]>().toEqualTypeOf<"TicketSold">()
  })

  it("constructors and queries take only what the schemas have", () => {
    // @ts-expect-error a field is missing
    TicketEvents.TicketSold({ saleId })
    // @ts-expect-error no such type
    TicketEvents.query("TicketStolen")
    // @ts-expect-error no such type among others
    TicketEvents.query(["SaleOpened", "TicketStolen"])
    // @ts-expect-error not a field of both types
    TicketEvents.query(["SaleOpened", "TicketSold"], { buyer: "ada" })
    // @ts-expect-error not a field at all
    TicketEvents.query("TicketSold", { seller: "ada" })
    // @ts-expect-error wrong type of field
    TicketEvents.query("SaleOpened", { capacity: "12" })
    // @ts-expect-error undefined would not constrain
    TicketEvents.query("TicketSold", { buyer: undefined })
    // @ts-expect-error buyer is not common to all types
    TicketEvents.queryAll({ buyer: "ada" })
    TicketEvents.query("TicketSold", { buyer: "ada" })
    TicketEvents.query(["SaleOpened", "TicketSold"], { saleId })
    TicketEvents.query(["SaleOpened", "TicketSold"], { saleId: "s1" }, { tags: ["sale:s1"] })
    TicketEvents.queryAll({ saleId })
  })

  it("predicates are recursive subsets of the encoded side", () => {
    const Orders = EventCatalog.make({
      OrderPlaced: Schema.Struct({
        at: Schema.DateFromString,
        note: Schema.optionalKey(Schema.String),
        customer: Schema.Struct({ id: Schema.String, name: Schema.String }),
        lines: Schema.Array(Schema.Struct({ sku: Schema.String, count: Schema.Int })),
        payment: Schema.Union([
          Schema.Struct({ kind: Schema.Literal("card"), last4: Schema.String }),
          Schema.Struct({ kind: Schema.Literal("cash") })
        ])
      })
    })
    Orders.query("OrderPlaced", { customer: { id: "c1" }, lines: [{ sku: "x" }], note: "n", at: "2020-01-01" })
    Orders.query("OrderPlaced", { payment: { kind: "card", last4: "1234" } })
    // @ts-expect-error the encoded side is a string
    Orders.query("OrderPlaced", { at: new Date(0) })
    // @ts-expect-error no such nested field
    Orders.query("OrderPlaced", { customer: { email: "x" } })
    // @ts-expect-error no such kind
    Orders.query("OrderPlaced", { payment: { kind: "cheque" } })
  })

  it("recursive, class and open payloads can be queried", () => {
    interface Tree {
      readonly value: number
      readonly children: ReadonlyArray<Tree>
    }
    const Tree = Schema.Struct({
      value: Schema.Number,
      children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
    })
    class Money extends Schema.Class<Money>("Money")({ amount: Schema.Int, currency: Schema.String }) {}
    const Events = EventCatalog.make({
      Grown: Tree,
      Paid: Money,
      Noted: Schema.Struct({ note: Schema.optional(Schema.String), counts: Schema.Record(Schema.String, Schema.Int) }),
      Logged: Schema.Struct({ anything: Schema.Unknown }),
      Said: Schema.String
    })
    Events.query("Grown", { children: [{ children: [{ value: 1 }] }] })
    Events.query("Paid", { currency: "EUR" })
    Events.query("Noted", { note: "x", counts: { a: 1 } })
    Events.query("Logged", { anything: { deep: [1] } })
    Events.query("Said", "hello")
    // @ts-expect-error not a plain object, where the class is the payload
    Events.Paid({ amount: 1 })
  })

  it("upcasts must be complete and schemas plain JSON without services", () => {
    const schema = Schema.Struct({ a: Schema.String })
    EventCatalog.event(schema, { version: 3, upcasts: { 1: (old) => old, 2: (old) => old } })
    // @ts-expect-error no upcast from 2
    EventCatalog.event(schema, { version: 3, upcasts: { 1: (old) => old } })
    // @ts-expect-error no upcasts at all
    EventCatalog.event(schema, { version: 2 })
    // @ts-expect-error an upcast without a version
    EventCatalog.event(schema, { upcasts: { 1: (old) => old } })
    // @ts-expect-error no such field in tags
    EventCatalog.event(schema, { tags: (payload) => [payload.b] })
    const makeDated = () =>
      EventCatalog.make({
        // @ts-expect-error a Date is not JSON
        Dated: Schema.Struct({ at: Schema.Date })
      })
    const withService = schema as unknown as Schema.Codec<{ a: string }, { a: string }, "Service">
    const makeServed = () =>
      EventCatalog.make({
        // @ts-expect-error decoding needs a service
        Served: withService
      })
    const makeReserved = () =>
      EventCatalog.make({
        // @ts-expect-error the name is a member's
        encode: schema
      })
    // @ts-expect-error the catalogs share their types
    const mergeTwice = () => EventCatalog.merge(TicketEvents, TicketEvents)
    void [makeDated, makeServed, makeReserved, mergeTwice]
  })
})

describe("types of views and deciders", () => {
  it("a decider's types follow from its parts", () => {
    expectTypeOf<Decider.CommandOf<typeof buyTicket>>().toEqualTypeOf<BuyTicket>()
    expectTypeOf<Decider.StateOf<typeof buyTicket>>().toEqualTypeOf<{ capacity: number; sold: number }>()
    expectTypeOf<Decider.RejectionOf<typeof buyTicket>>().toEqualTypeOf<SoldOut>()
    expectTypeOf<Decider.EventOf<typeof buyTicket>>().toEqualTypeOf<TicketEvent>()
  })

  it("rejections of all branches are a union, none is never", () => {
    const decider = Decider.make({
      name: "Buy",
      events: TicketEvents,
      context: (command: BuyTicket) => TicketEvents.queryAll({ saleId: command.saleId }),
      initial: 0,
      evolve: { TicketSold: (state) => state + 1 },
      decide: (command, state) => {
        if (state === 0) return Decider.reject(new NotOpen({ saleId: command.saleId }))
        if (state > 10) return Decider.reject(new SoldOut({ saleId: command.saleId, capacity: 10 }))
        if (state === 5) return Decider.nothing
        return Decider.accept(
          TicketEvents.TicketSold({ saleId: command.saleId, buyer: command.buyer }),
          TicketEvents.SaleOpened({ saleId: command.saleId, capacity: 1 })
        )
      }
    })
    expectTypeOf<Decider.RejectionOf<typeof decider>>().toEqualTypeOf<NotOpen | SoldOut>()
    expectTypeOf<Decider.StateOf<typeof decider>>().toEqualTypeOf<number>()
    const never = Decider.make({
      name: "Never",
      events: TicketEvents,
      context: (command: BuyTicket) => TicketEvents.queryAll({ saleId: command.saleId }),
      initial: 0,
      evolve: {},
      decide: () => Decider.accept()
    })
    expectTypeOf<Decider.RejectionOf<typeof never>>().toEqualTypeOf<never>()
  })

  it("the command may be annotated in decide alone", () => {
    const decider = Decider.make({
      name: "Open",
      events: TicketEvents,
      context: () => TicketEvents.query("SaleOpened"),
      initial: false as boolean,
      evolve: { SaleOpened: () => true },
      decide: (command: { readonly capacity: number }, open) =>
        open ? Decider.nothing : Decider.accept(TicketEvents.SaleOpened({ saleId, ...command }))
    })
    expectTypeOf<Decider.CommandOf<typeof decider>>().toEqualTypeOf<{ readonly capacity: number }>()
  })

  it("foreign events and cases do not compile", () => {
    const Others = EventCatalog.make({ OtherHappened: Schema.Struct({ id: Schema.String }) })
    Decider.make({
      name: "Buy",
      events: TicketEvents,
      context: (command: BuyTicket) => TicketEvents.queryAll({ saleId: command.saleId }),
      initial: 0,
      evolve: {},
      // @ts-expect-error the event is not of the decider's catalog
      decide: () => Decider.accept(Others.OtherHappened({ id: "1" }))
    })
    View.make({
      name: "others",
      events: TicketEvents,
      query: () => TicketEvents.queryAll(),
      initial: 0,
      // @ts-expect-error no such type in the catalog
      evolve: { OtherHappened: (state: number) => state }
    })
    Reactor.make({
      name: "others",
      events: TicketEvents,
      query: TicketEvents.queryAll(),
      // @ts-expect-error no such type in the catalog
      react: { OtherHappened: () => [] }
    })
    // @ts-expect-error an event that the view does not take
    const project = () => View.project(buyTicket.view({ saleId, buyer: "x" }), [Others.OtherHappened({ id: "1" })])
    void project
  })

  it("a composed view's state has its parts' states", () => {
    const sold = View.make({
      name: "sold",
      events: TicketEvents,
      query: (sale: string) => TicketEvents.query("TicketSold", { saleId: sale }),
      initial: 0,
      evolve: { TicketSold: (state) => state + 1 }
    })
    const anySale = View.make({
      name: "anySale",
      events: TicketEvents,
      query: () => TicketEvents.query("SaleOpened"),
      initial: false as boolean,
      evolve: { SaleOpened: () => true }
    })
    const both = View.struct({ sold: sold("s1"), any: anySale() })
    expectTypeOf(both.initial).toEqualTypeOf<{ readonly sold: number; readonly any: boolean }>()
    const decider = Decider.make({
      name: "Buy",
      events: TicketEvents,
      view: (command: BuyTicket) => View.struct({ sold: sold(command.saleId), any: anySale() }),
      decide: (command, state) =>
        state.any && state.sold < 3
          ? Decider.accept(TicketEvents.TicketSold(command))
          : Decider.reject(new NotOpen({ saleId: command.saleId }))
    })
    expectTypeOf<Decider.StateOf<typeof decider>>().toEqualTypeOf<{ readonly sold: number; readonly any: boolean }>()
    expectTypeOf<Decider.RejectionOf<typeof decider>>().toEqualTypeOf<NotOpen>()
    expectTypeOf<Decider.CommandOf<typeof decider>>().toEqualTypeOf<BuyTicket>()
  })

  it("a reactor's reactions are the union of its cases'", () => {
    const reactor = Reactor.make({
      name: "mail",
      events: TicketEvents,
      query: TicketEvents.queryAll(),
      react: {
        SaleOpened: (payload) => [{ _tag: "Announce" as const, seats: payload.capacity }],
        TicketSold: (payload, record) => [{ _tag: "Mail" as const, to: payload.buyer, at: record.sequenceNumber }]
      }
    })
    expectTypeOf(reactor).toEqualTypeOf<
      Reactor.Reactor<{ _tag: "Announce"; seats: number } | { _tag: "Mail"; to: string; at: number }>
    >()
  })
})
