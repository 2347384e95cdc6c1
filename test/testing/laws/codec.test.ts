/** The law of codecs: catalogs that lose something, refuse what was recorded, or read the clock. */
import { EventCatalog } from "evolvent"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import { Laws } from "evolvent/testing"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { AllEvents, CourseEvents } from "../../domains/courses/events.ts"

const judge = <C extends EventCatalog.Any>(
  catalog: C,
  options: Omit<Parameters<typeof Laws.codec<C>>[0], "catalog"> = {}
) => Laws.codec({ catalog, seed: 1, runs: 200, ...options })

const older = { CourseDefined: { 1: Schema.Struct({ courseId: Schema.NonEmptyString }) } }

/** Keeps the day only. */
const Day = Schema.String.pipe(
  Schema.decodeTo(Schema.Date, {
    decode: SchemaGetter.transform((text: string) => new Date(text)),
    encode: SchemaGetter.transform((date: Date) => date.toISOString().slice(0, 10))
  })
)

describe("codec", () => {
  it("holds for the events of courses, old and new", () => {
    const verdict = judge(AllEvents, { older })
    expect(verdict.explanation).toMatchInlineSnapshot(
      `"the catalog of CourseDefined, CapacityChanged, StudentSubscribed and StudentUnsubscribed: codec holds; 1,000 generated payloads, 0 recorded events, seed 1"`
    )
    Laws.assert(verdict)
  })

  it("holds for nested, optional, branded and transformed payloads", () => {
    class Money extends Schema.Class<Money>("Money")({
      cents: Schema.Int,
      currency: Schema.Literals(["EUR", "USD"])
    }) {}
    const Rich = EventCatalog.make({
      Ordered: Schema.Struct({
        order: Schema.NonEmptyString.pipe(Schema.brand("Order")),
        note: Schema.optional(Schema.String),
        lines: Schema.Array(Schema.Struct({ sku: Schema.String, price: Money })),
        labels: Schema.Record(Schema.String, Schema.Boolean),
        ratio: Schema.Finite,
        kind: Schema.Union([Schema.Literal("gift"), Schema.Null])
      }),
      Shipped: Schema.Struct({ at: Schema.DateFromString, by: Schema.OptionFromNullOr(Schema.String) })
    })
    Laws.assert(judge(Rich))
  })

  it("catches 'keeps the day only': an event does not come back as it was", () => {
    const Lossy = EventCatalog.make({ Paid: Schema.Struct({ at: Day }) })
    const payloads = { Paid: fc.integer({ min: 0, max: 100_000 }).map((ms) => ({ at: new Date(ms) })) }
    expect(judge(Lossy, { payloads }).explanation).toMatchInlineSnapshot(`
      "Paid does not come back as it was

      - before, + after
        - { at: Date 1970-01-01T00:00:00.001Z }
        + { at: Date 1970-01-01T00:00:00.000Z }

      recorded as
        Paid { at: "1970-01-01" }

      found in case 1, seed 1"
    `)
  })

  it("catches a number that need not be one: it cannot be recorded", () => {
    const Loose = EventCatalog.make({ Measured: Schema.Struct({ value: Schema.Number }) })
    expect(judge(Loose).explanation).toMatchInlineSnapshot(
      `
      "Measured: generated event 1 cannot be recorded, payload.value: expected a finite number
        { eventType: "Measured", payload: { value: NaN } }

      payload
        { value: NaN }

      found in case 4, seed 1"
    `
    )
  })

  it("catches a tag that can be empty: a store refuses it", () => {
    const Tagged = EventCatalog.make({
      Named: EventCatalog.event(Schema.Struct({ name: Schema.String }), { tags: ({ name }) => [name] })
    })
    expect(judge(Tagged).explanation).toMatchInlineSnapshot(`
      "Named: generated event 1 cannot be recorded, tags[0]: expected at least one character
        { eventType: "Named", payload: { name: "" } }

      payload
        { name: "" }

      found in case 3, seed 1"
    `)
  })

  it("catches 'upcasts partially': a payload of version 1 that the upcast does not know", () => {
    const Partial = EventCatalog.make({
      Moved: EventCatalog.event(Schema.Struct({ to: Schema.String, floor: Schema.Int }), {
        version: 2,
        upcasts: { 1: (old) => ({ ...(old as { to: string }), floor: Number((old as { to: string }).to) }) }
      })
    })
    const verdict = judge(Partial, { older: { Moved: { 1: Schema.Struct({ to: Schema.String }) } } })
    expect(verdict.explanation).toMatchInlineSnapshot(`
      "Event 1 ("Moved", version 1): the payload does not fit the schema at floor; widen the schema, or add a version with an upcast.

      recorded as
        Moved { to: ":" }

      found in case 1, seed 1"
    `)
  })

  it("catches an upcast that throws, one that changes what it gets, and one that reads the clock", () => {
    const upcasting = (upcast: (old: any) => any) =>
      judge(
        EventCatalog.make({
          Moved: EventCatalog.event(Schema.Struct({ to: Schema.String, at: Schema.Number }), {
            version: 2,
            upcasts: { 1: upcast }
          })
        }),
        {
          older: { Moved: { 1: Schema.Struct({ to: Schema.String }) } },
          payloads: { Moved: fc.constant({ to: "a", at: 0 }) }
        }
      ).findings[0]!.explanation
    expect(upcasting((old) => ({ ...old, at: old.there.length }))).toMatchInlineSnapshot(`
      "Event 1 ("Moved", version 1): an upcast to the next version threw; make it total over what was stored.
        the upcast from version 1 threw TypeError: Cannot read properties of undefined (reading 'length')

      recorded as
        Moved { to: "" }

      found in case 1, seed 1"
    `)
    expect(upcasting((old) => Object.assign(old, { at: 0 }))).toMatchInlineSnapshot(`
      "Event 1 ("Moved", version 1): an upcast to the next version threw; make it total over what was stored.
        the upcast from version 1 changed the payload in place (- before, + after); make a new value
          {
        +   at: 0
            to: ""
          }

      recorded as
        Moved { to: "" }

      found in case 1, seed 1"
    `)
    expect(upcasting((old) => ({ ...old, at: Date.now() }))).toMatchInlineSnapshot(`
      "decoding of Moved uses Date.now

      recorded as
        Moved { to: "" }

      found in case 1, seed 1"
    `)
  })

  it("names the recorded event that can no longer be read, and what of it", () => {
    const recorded = [
      { eventType: "CourseDefined", schemaVersion: 1, payload: { courseId: "maths" } },
      { eventType: "CourseDefined", schemaVersion: 2, payload: { courseId: "maths", seats: 3 } },
      { eventType: "CourseRenamed", payload: { courseId: "maths" } }
    ]
    expect(judge(CourseEvents, { recorded }).findings.map(({ explanation }) => explanation)).toMatchInlineSnapshot(`
      [
        "Event 2 ("CourseDefined", version 2): the payload does not fit the schema at capacity; widen the schema, or add a version with an upcast.

      recorded as
        CourseDefined (version 2) { courseId: "maths", seats: 3 }",
        "Event 3 ("CourseRenamed", version 1): the catalog does not know the type; add it to the catalog, or narrow the query.

      recorded as
        CourseRenamed { courseId: "maths" }",
      ]
    `)
  })

  it("names the recorded event that a query by a new tag leaves out", () => {
    const recorded = [
      { eventType: "CapacityChanged", payload: { courseId: "maths", capacity: 3 }, tags: ["course:maths"] },
      { eventType: "CapacityChanged", payload: { courseId: "music", capacity: 3 }, tags: [] }
    ]
    expect(judge(CourseEvents, { recorded, older }).explanation).toMatchInlineSnapshot(`
      "recorded event 2: CapacityChanged now has the tag course:music, and was recorded without it

      recorded as
        CapacityChanged { capacity: 3, courseId: "music" }

      what to do
        a query by that tag leaves out what was recorded before: select the older ones by type and payload"
    `)
  })

  it("says which older versions it knows nothing about, and refuses samples of versions that do not exist", () => {
    expect(judge(CourseEvents).explanation).toContain("note: version 1 of CourseDefined was not looked at")
    const recorded = [{ eventType: "CourseDefined", payload: { courseId: "a" } }]
    expect(judge(CourseEvents, { recorded }).explanation).not.toContain("note")
    expect(() => judge(CourseEvents, { older: { CourseDefined: { 2: Schema.Struct({}) } } })).toThrow(
      "older: CourseDefined has no version 2 before its current one"
    )
  })
})
