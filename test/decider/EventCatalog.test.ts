import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as EventCatalog from "../../src/decider/EventCatalog.ts"
import * as EventQuery from "../../src/stores/EventQuery.ts"
import { rawRecord, record } from "./records.ts"
import { saleId, TicketEvents } from "./tickets.ts"

const failure = <A, E>(result: Result.Result<A, E>): E => Result.getOrThrow(Result.flip(result))

const secret = "4111-1111-1111-1111"

describe("an event catalog", () => {
  it("has a constructor per event type and lists the types in order", () => {
    expect(TicketEvents.TicketSold({ saleId, buyer: "ada" })).toEqual({
      eventType: "TicketSold",
      payload: { saleId: "s1", buyer: "ada" }
    })
    expect(TicketEvents.eventTypes).toEqual(["SaleOpened", "TicketSold"])
  })

  it("encodes the payload with the current version and the derived tags", () => {
    expect(TicketEvents.encode(TicketEvents.TicketSold({ saleId, buyer: "ada" }))).toEqual(
      Result.succeed({
        eventType: "TicketSold",
        payload: { saleId: "s1", buyer: "ada" },
        schemaVersion: 2,
        tags: ["sale:s1"]
      })
    )
    expect(TicketEvents.encode(TicketEvents.SaleOpened({ saleId, capacity: 1 }))).toEqual(
      Result.succeed({ eventType: "SaleOpened", payload: { saleId: "s1", capacity: 1 }, schemaVersion: 1, tags: [] })
    )
  })

  it("encodes and decodes through a schema whose sides differ", () => {
    const Dated = EventCatalog.make({ Dated: Schema.Struct({ at: Schema.DateFromString }) })
    const [stored] = record(Dated, [Dated.Dated({ at: new Date(0) })])
    expect(stored!.payload).toEqual({ at: "1970-01-01T00:00:00.000Z" })
    expect(Dated.decode(stored!)).toEqual(Result.succeed(Dated.Dated({ at: new Date(0) })))
  })

  it("decoding what was encoded gives the event back", () => {
    const event = fc.oneof(
      fc.record({ buyer: fc.string() }).map(({ buyer }) => TicketEvents.TicketSold({ saleId, buyer })),
      fc.maxSafeInteger().map((capacity) => TicketEvents.SaleOpened({ saleId, capacity }))
    )
    fc.assert(
      fc.property(event, (any) => {
        expect(TicketEvents.decode(record(TicketEvents, [any])[0]!)).toEqual(Result.succeed(any))
      })
    )
  })

  it("merges catalogs of different types and refuses to merge those that share one", () => {
    const Refunds = EventCatalog.make({ TicketRefunded: Schema.Struct({ saleId: Schema.String }) })
    const all = EventCatalog.merge(TicketEvents, Refunds)
    expect(all.eventTypes).toEqual(["SaleOpened", "TicketSold", "TicketRefunded"])
    expect(all.TicketRefunded({ saleId: "s1" }).eventType).toBe("TicketRefunded")
    expect(Result.getOrThrow(all.encode(all.TicketSold({ saleId, buyer: "ada" }))).schemaVersion).toBe(2)
    expect(() => EventCatalog.merge(all, Refunds as never)).toThrow('event type "TicketRefunded": both')
  })
})

describe("upcasts", () => {
  const Named = EventCatalog.make({
    Named: EventCatalog.event(Schema.Struct({ first: Schema.String, last: Schema.String, title: Schema.String }), {
      version: 3,
      upcasts: {
        1: (old: { readonly name: string }) => {
          const [first, last] = old.name.split(" ")
          return { first: first!, last: last! }
        },
        2: (old: { readonly first: string; readonly last: string }) => ({ ...old, title: "" })
      }
    })
  })

  it("lead from every older version, step by step, to the current one", () => {
    const current = Result.succeed(Named.Named({ first: "Ada", last: "Lovelace", title: "" }))
    const read = (schemaVersion: number, payload: EventCatalog.EncodedEvent["payload"]) =>
      Named.decode(rawRecord({ eventType: "Named", schemaVersion, payload }))
    expect(read(1, { name: "Ada Lovelace" })).toEqual(current)
    expect(read(2, { first: "Ada", last: "Lovelace" })).toEqual(current)
    expect(read(3, { first: "Ada", last: "Lovelace", title: "" })).toEqual(current)
  })

  it("that throw give UpcastFailed, whatever they throw", () => {
    const error = failure(Named.decode(rawRecord({ eventType: "Named", payload: { nombre: secret } })))
    expect(error).toMatchObject({ problem: "UpcastFailed", eventType: "Named", schemaVersion: 1, sequenceNumber: 1 })
    expect(JSON.stringify([error, error.message])).not.toContain(secret)
  })

  it("start at whole versions only", () => {
    const between = rawRecord({ eventType: "Named", schemaVersion: 1.5, payload: { name: "Ada Lovelace" } })
    expect(failure(Named.decode(between)).problem).toBe("UnknownSchemaVersion")
  })

  it("must be complete, and have a place", () => {
    const schema = Schema.Struct({})
    const define = (version: number, upcasts: Record<number, EventCatalog.Upcast>) => () =>
      EventCatalog.make({ Happened: EventCatalog.event(schema, { version, upcasts }) })
    const same = (old: EventCatalog.EncodedEvent["payload"]) => old
    expect(define(3, { 1: same })).toThrow('event type "Happened": version 3 needs an upcast from version 2 to 3')
    expect(define(2, { 1: same, 2: same })).toThrow("upcast from version 2 has no place below version 2")
    expect(define(2, { 1: same, [1.5]: same })).toThrow("from version 1.5")
    expect(define(0, {})).toThrow("whole number from 1")
    expect(define(1.5, { 1: same })).toThrow("whole number from 1")
  })
})

describe("errors of a catalog", () => {
  const Cards = EventCatalog.make({
    CardAdded: Schema.Struct({
      cards: Schema.Array(
        Schema.Struct({ number: Schema.String.check(Schema.isMaxLength(4)), "pin code": Schema.Int })
      ),
      byOwner: Schema.optionalKey(Schema.Record(Schema.String, Schema.Int)),
      either: Schema.optionalKey(Schema.Union([Schema.Int, Schema.Struct({ kind: Schema.Literal("a") })]))
    })
  })
  const read = (payload: EventCatalog.EncodedEvent["payload"]) =>
    failure(Cards.decode(rawRecord({ eventType: "CardAdded", sequenceNumber: 7, payload })))

  it("name position, type, version and problem", () => {
    expect(
      failure(TicketEvents.decode(rawRecord({ eventType: "Else", sequenceNumber: 9, payload: null })))
    ).toMatchObject({
      _tag: "DecodeError",
      sequenceNumber: 9,
      eventType: "Else",
      schemaVersion: 1,
      problem: "UnknownEventType"
    })
    for (const schemaVersion of [3, 0, -1, 1.5, Number.MAX_SAFE_INTEGER]) {
      const error = failure(TicketEvents.decode(rawRecord({ eventType: "TicketSold", schemaVersion, payload: {} })))
      expect(error).toMatchObject({ schemaVersion, problem: "UnknownSchemaVersion" })
      expect(error.message).toContain(`Event 1 ("TicketSold", version ${schemaVersion})`)
    }
    expect(read(null)).toMatchObject({ sequenceNumber: 7, eventType: "CardAdded", problem: "InvalidPayload" })
  })

  it("show the path of the first property that does not fit, where there is one", () => {
    expect(read(null).path).toBeUndefined()
    expect(read({}).path).toBe("cards")
    expect(
      read({
        cards: [
          { number: "1", "pin code": 1 },
          { number: "12345", "pin code": 1 }
        ]
      }).path
    ).toBe("cards[1].number")
    expect(read({ cards: [{ number: "1", "pin code": secret }] }).path).toBe('cards[0]["pin code"]')
    expect(read({ cards: [], either: secret }).path).toBe("either")
  })

  it("never carry payload content, not even keys of records", () => {
    for (const payload of [
      secret,
      { cards: secret },
      { cards: [{ number: secret, "pin code": 1 }] },
      { cards: [], byOwner: { [secret]: "x" } },
      { cards: [], either: { kind: secret } }
    ]) {
      const error = read(payload)
      expect(error.problem).toBe("InvalidPayload")
      expect(JSON.stringify([error, error.message, String(error), error.stack])).not.toContain(secret)
    }
    expect(read({ cards: [], byOwner: { [secret]: "x" } }).path).toBe("byOwner.*")
  })

  it("stand for schemas that throw, too", () => {
    const throwing = Schema.String.check(
      Schema.makeFilter((text) => {
        throw new Error(text)
      })
    )
    const Throwing = EventCatalog.make({ Thrown: Schema.Struct({ text: throwing }) })
    const error = failure(Throwing.decode(rawRecord({ eventType: "Thrown", payload: { text: secret } })))
    expect(error).toMatchObject({ problem: "InvalidPayload" })
    expect(JSON.stringify([error, error.message, error.stack])).not.toContain(secret)
    expect(failure(Throwing.encode(Throwing.Thrown({ text: secret }))).problem).toBe("InvalidPayload")
  })

  it("of encoding name type and path, and refuse foreign events", () => {
    const foreign = { eventType: "Else", payload: secret } as never
    expect(failure(TicketEvents.encode(foreign))).toMatchObject({ problem: "UnknownEventType", eventType: "Else" })
    const error = failure(TicketEvents.encode(TicketEvents.SaleOpened({ saleId, capacity: 1.5 })))
    expect(error).toMatchObject({ _tag: "EncodeError", problem: "InvalidPayload", path: "capacity" })
    expect(error.message).not.toContain("1.5")
  })
})

describe("hostile event type names", () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty", "then", "", "a b", "名"]
  const Hostile = EventCatalog.make(
    Object.fromEntries(names.map((name) => [name, Schema.Struct({ id: Schema.String })]))
  )

  it("are names like any other", () => {
    expect(Hostile.eventTypes).toEqual(names)
    for (const name of names) {
      const event = Hostile[name]!({ id: "1" })
      expect(event.eventType).toBe(name)
      const stored = Result.getOrThrow(Hostile.encode(event))
      expect(Hostile.decode(rawRecord(stored))).toEqual(Result.succeed(event))
    }
    expect(Object.keys(Hostile.definitions)).toEqual(names)
  })

  it("are not known to catalogs that do not define them", () => {
    for (const eventType of names) {
      expect(failure(TicketEvents.decode(rawRecord({ eventType, payload: {} }))).problem).toBe("UnknownEventType")
    }
  })

  it("are refused where they would hide a member, or be lost", () => {
    for (const name of ["encode", "decode", "query", "queryAll", "eventTypes", "definitions"]) {
      expect(() => EventCatalog.make({ [name]: Schema.Struct({}) } as never)).toThrow(`event type "${name}": the name`)
    }
    expect(() => EventCatalog.make({ __proto__: Schema.Struct({}) } as never)).toThrow("own properties")
  })
})

describe("queries of a catalog", () => {
  const matches = (query: EventQuery.EventQuery, event: EventCatalog.Event<typeof TicketEvents>) =>
    EventQuery.matches(query, record(TicketEvents, [event])[0]!)
  const sold = TicketEvents.TicketSold({ saleId, buyer: "ada" })

  it("are plain data over types, predicate and tags", () => {
    expect(TicketEvents.query("TicketSold")).toEqual({ filters: [{ eventTypes: ["TicketSold"] }] })
    expect(TicketEvents.query(["TicketSold"], { saleId }, { tags: ["sale:s1"] })).toEqual({
      filters: [{ eventTypes: ["TicketSold"], payloadPredicates: [{ saleId: "s1" }], tags: ["sale:s1"] }]
    })
    expect(TicketEvents.queryAll({ saleId })).toEqual(TicketEvents.query(["SaleOpened", "TicketSold"], { saleId }))
  })

  it("match by type, by subset of the payload and by tags", () => {
    expect(matches(TicketEvents.query("TicketSold", { buyer: "ada" }), sold)).toBe(true)
    expect(matches(TicketEvents.query("TicketSold", { buyer: "bob" }), sold)).toBe(false)
    expect(matches(TicketEvents.query("SaleOpened"), sold)).toBe(false)
    expect(matches(TicketEvents.queryAll(undefined, { tags: ["sale:s1"] }), sold)).toBe(true)
    expect(matches(TicketEvents.queryAll(undefined, { tags: ["sale:s2"] }), sold)).toBe(false)
    expect(matches(TicketEvents.query([]), sold)).toBe(false)
  })
})
