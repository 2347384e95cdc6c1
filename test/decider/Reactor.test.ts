import * as Result from "effect/Result"
import { describe, expect, it } from "vitest"
import * as Reactor from "../../src/decider/Reactor.ts"
import * as EventQuery from "../../src/stores/EventQuery.ts"
import { rawRecord, record } from "./records.ts"
import { saleId, TicketEvents } from "./tickets.ts"

const records = record(TicketEvents, [
  TicketEvents.SaleOpened({ saleId, capacity: 2 }),
  TicketEvents.TicketSold({ saleId, buyer: "ada" }),
  TicketEvents.TicketSold({ saleId, buyer: "bob" })
])

const receipts = Reactor.make({
  name: "receipts",
  events: TicketEvents,
  query: TicketEvents.query("TicketSold"),
  react: { TicketSold: (payload, { sequenceNumber }) => [`receipt ${sequenceNumber} to ${payload.buyer}`, "count"] }
})

const alerts = Reactor.make({
  name: "alerts",
  events: TicketEvents,
  query: TicketEvents.query("TicketSold", { buyer: "bob" }),
  react: { TicketSold: () => [1], SaleOpened: () => [2] }
})

describe("a reactor", () => {
  it("reacts to what its query matches", () => {
    expect(Reactor.react(receipts, records[1]!)).toEqual(Result.succeed(["receipt 2 to ada", "count"]))
    expect(Reactor.react(receipts, records[0]!)).toEqual(Result.succeed([]))
    expect(Reactor.react(alerts, records[0]!)).toEqual(Result.succeed([]))
  })

  it("has no reactions to a type without a case", () => {
    const silent = Reactor.make({ name: "silent", events: TicketEvents, query: EventQuery.all, react: {} })
    expect(Reactor.reactAll(silent, records)).toEqual(Result.succeed([]))
  })

  it("says where each reaction comes from, so that repeats can be told", () => {
    const all = Result.getOrThrow(Reactor.reactAll(receipts, records))
    expect(all).toEqual([
      { reactor: "receipts", sequenceNumber: 2, index: 0, reaction: "receipt 2 to ada" },
      { reactor: "receipts", sequenceNumber: 2, index: 1, reaction: "count" },
      { reactor: "receipts", sequenceNumber: 3, index: 0, reaction: "receipt 3 to bob" },
      { reactor: "receipts", sequenceNumber: 3, index: 1, reaction: "count" }
    ])
    expect(Reactor.reactAll(receipts, records)).toEqual(Result.succeed(all))
  })

  it("merges, each part seeing only what its own query matches", () => {
    const both = Reactor.merge(receipts, alerts)
    expect(
      Result.getOrThrow(Reactor.reactAll(both, records)).map(({ reaction, reactor }) => [reactor, reaction])
    ).toEqual([
      ["receipts", "receipt 2 to ada"],
      ["receipts", "count"],
      ["receipts", "receipt 3 to bob"],
      ["receipts", "count"],
      ["alerts", 1]
    ])
    expect(records.map((each) => EventQuery.matches(both.query, each))).toEqual([false, true, true])
    expect(() => Reactor.merge(both, alerts)).toThrow("share a name")
  })

  it("maps reactions", () => {
    const mapped = Reactor.map(receipts, (text) => text.length)
    expect(Reactor.react(mapped, records[1]!)).toEqual(Result.succeed([16, 5]))
  })

  it("fails on a record that it looks at and cannot decode", () => {
    const broken = rawRecord({ eventType: "TicketSold", schemaVersion: 2, payload: {}, sequenceNumber: 8 })
    expect(Result.getOrThrow(Result.flip(Reactor.reactAll(receipts, [...records, broken])))).toMatchObject({
      _tag: "DecodeError",
      sequenceNumber: 8,
      path: "saleId"
    })
  })
})
