/** What somebody did to `Object.prototype`, or does in a getter, neither gets into a stored event nor keeps a part of it out. */
import assert from "node:assert/strict"
import * as Result from "effect/Result"
import { it } from "vitest"
import { normaliseEvents } from "../../src/stores/internal/normaliseEvents.ts"

const withProperty = (key: string, descriptor: PropertyDescriptor, check: () => void): void => {
  // oxlint-disable-next-line no-extend-native -- what the tests are about; undone below
  Object.defineProperty(Object.prototype, key, { ...descriptor, configurable: true })
  try {
    check()
  } finally {
    Reflect.deleteProperty(Object.prototype, key)
  }
}

const normalised = (payload: unknown, metadata: unknown) =>
  Result.getOrThrow(normaliseEvents([{ eventType: "A", payload, metadata }], "events", rules))[0]!

const rules = { millis: 0, maxPayloadBytes: 1_000 }

it("a property that cannot be overwritten in an object can be one in a payload", () => {
  withProperty("fixed", { value: 1, writable: false }, () => {
    const { metadata, payload } = normalised({ fixed: 2 }, { fixed: "b" })
    assert.deepEqual(Object.entries(payload as object), [["fixed", 2]])
    assert.deepEqual(Object.entries(metadata), [["fixed", "b"]])
  })
})

it("a setter does not see a payload", () => {
  const seen: Array<unknown> = []
  withProperty("watched", { set: (value) => seen.push(value) }, () => {
    const { payload } = normalised({ watched: 2 }, { watched: "b" })
    assert.deepEqual(Object.entries(payload as object), [["watched", 2]])
  })
  assert.deepEqual(seen, [])
})

it("an inherited property is no part of a payload", () => {
  withProperty("inherited", { value: 1, enumerable: true }, () => {
    assert.deepEqual(Object.keys(normalised({ own: 2 }, {}).payload as object), ["own"])
  })
})

it("a getter that validates something else leaves the path of an error alone", () => {
  const inner = () => Result.isFailure(normaliseEvents([{ eventType: "", payload: 1 }], "inner", rules))
  const payload = {
    get first() {
      return inner() && inner()
    },
    second: () => 1
  }
  const refused = normaliseEvents([{ eventType: "A", payload }], "outer", rules)
  assert.equal(
    Result.isFailure(refused) && "path" in refused.failure && refused.failure.path,
    "outer[0].payload.second"
  )
})
