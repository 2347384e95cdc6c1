/** Definitions that cannot be right are refused where they are written. */
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import * as EventCatalog from "../../src/decider/EventCatalog.ts"
import * as Projection from "../../src/projections/Projection.ts"
import * as EventQuery from "../../src/stores/EventQuery.ts"
import { hostile } from "../../src/testing/conformance/expectations.ts"

const Events = EventCatalog.make({ Sold: Schema.Struct({ seat: Schema.Int }) })
const sound = { name: "sold", events: Events, handle: () => undefined }

const manyTypes = Array.from({ length: 10_001 }, (_, number) => `Sold${number}`)

const faults: ReadonlyArray<readonly [string, object, RegExp]> = [
  ["an empty name", { name: "" }, /the name/],
  ["a name that is no text", { name: 7 }, /the name/],
  ["a name of 201 bytes", { name: "\u00e4".repeat(100) + "x" }, /the name/],
  ["a name with NUL", { name: "a\0b" }, /the name/],
  ["a name with half a character", { name: "a\ud800" }, /the name/],
  ["a version of 0", { version: 0 }, /the version/],
  ["a version of 1.5", { version: 1.5 }, /the version/],
  ["no catalog", { events: undefined }, /catalog/],
  ["a query that is none", { query: "Sold" }, /^projection "sold": query: expected a query/],
  ["a misspelt query", { query: { filters: [{ tag: ["a"] }] } }, /^projection "sold": query\.filters\[0\]/],
  [
    "a filter of too many types",
    { query: EventQuery.ofTypes(...manyTypes) },
    /^projection "sold": query\.filters.*: at most 10000/
  ],
  ["a query with a read cursor", { query: EventQuery.after(EventQuery.all, 7) }, /"sold": query\.minSequenceNumber/],
  ["no handler", { handle: undefined }, /handler/],
  ["a setup that is no function", { setup: "CREATE TABLE" }, /setup/],
  ["a key that is no function", { key: "seat" }, /key/],
  ["another start", { start: "end" }, /start/],
  ["another way to fail", { onFailure: "skip" }, /onFailure/],
  ["a timeout of nothing", { timeout: 0 }, /timeout/],
  ["a timeout that is no duration", { timeout: "soon" }, /timeout/],
  ["no partition", { partitions: 0, key: () => "" }, /partitions/],
  ["1,025 partitions", { partitions: 1_025, key: () => "" }, /partitions/],
  ["partitions without a key", { partitions: 2 }, /key/],
  ["parking without a key", { onFailure: "park" }, /key/]
]

describe("a definition", () => {
  for (const [what, fault, message] of faults) {
    it(`with ${what} throws`, () => {
      expect(() => Projection.make(hostile({ ...sound, ...fault }))).toThrow(message)
      expect(() => Projection.elsewhere(hostile({ ...sound, ...fault }))).toThrow(message)
    })
  }

  it("that is sound does not, at the limits either", () => {
    const options = {
      name: "\u00e4".repeat(100),
      version: 7,
      partitions: 1_024,
      key: () => "",
      onFailure: "park"
    } as const
    expect(Projection.make({ ...sound, ...options, timeout: "1 millis" }).version).toBe(7)
    const query = EventQuery.after(EventQuery.ofTypes("Sold"), 0)
    expect(Projection.make({ ...sound, query }).query).toBe(query)
    expect(Projection.make(sound)).toMatchObject({ version: 1, partitions: 1, onFailure: "stop", start: "beginning" })
  })
})
