/** Inputs that the contract refuses (sections 6 and 7), each with the refusal that its text prescribes. */
import type { EventQuery } from "../../src/stores/EventQuery.ts"
import type { Argument, Refusal, ValidEvent } from "./referenceModel.ts"

const invalid = (path: string): Refusal => ({ tag: "InvalidInput", path })
const exceeded = (path: string, limit: number, actual: number): Refusal => ({
  tag: "LimitExceeded",
  path,
  limit,
  actual
})

class Instance {
  readonly a = 1
}

const nest = (levels: number): unknown => {
  let value: unknown = {}
  for (let level = 1; level < levels; level++) value = { d: value }
  return value
}

const cycle = (): unknown => {
  const circle: Record<string, unknown> = {}
  circle.in = [circle]
  return circle
}

const hole = (): unknown => {
  const list = [0, 1]
  delete list[0]
  return list
}

/** Values that are no JSON, with the path of what is wrong in them. */
const strangers: ReadonlyArray<readonly [make: () => unknown, path: string]> = [
  [() => undefined, ""],
  [() => NaN, ""],
  [() => -Infinity, ""],
  [() => 1n, ""],
  [() => new Date(0), ""],
  [() => new Map(), ""],
  [() => /a/, ""],
  [() => Buffer.from("a"), ""],
  [() => Object(1), ""],
  [() => () => 1, ""],
  [() => Symbol("a"), ""],
  [() => new Instance(), ""],
  [() => "a\0", ""],
  [() => "\udc00\ud800", ""],
  [() => ({ toJSON: () => 1 }), ".toJSON"],
  [() => [[undefined]], "[0][0]"],
  [() => ({ a: { b: NaN } }), ".a.b"],
  [() => ({ "a b": [1, "\ud800"] }), '["a b"][1]'],
  [() => ({ a: { "\0": 1 } }), '.a["\\u0000"]'],
  [hole, "[0]"],
  [cycle, ".in[0]"]
]

/** Too deep; whether the path goes all the way down is not promised, see `shortened`. */
const deep = [() => nest(129), () => nest(5_000)].map((make) => [make, exceeded("", 128, 129)] as const)

const inPayload = (make: () => unknown, { path, ...refusal }: Refusal, at: string) =>
  ({ make, refusal: { ...refusal, path: at + path } }) as const

const values = (at: string) => [
  ...strangers.map(([make, path]) => inPayload(make, invalid(path), at)),
  ...deep.map(([make, refusal]) => inPayload(make, refusal, at))
]

const badNames: ReadonlyArray<readonly [name: unknown, refusal: (path: string) => Refusal]> = [
  ["", invalid],
  [5, invalid],
  [null, invalid],
  ["a\0", invalid],
  ["\ud800", invalid],
  ["\u00e9".repeat(128), (path) => exceeded(path, 255, 256)]
]

type Fault<A> = (valid: A) => Argument<A>

const eventFault =
  (fields: () => object, refusal: Refusal): Fault<ValidEvent> =>
  (valid) => ({ raw: { ...valid, eventId: undefined, ...fields() } as never, refusal })

const notAnEvent =
  (make: () => unknown): Fault<ValidEvent> =>
  () => ({ raw: make() as never, refusal: invalid("") })

/** Each turns a valid event into one that is refused. */
export const eventFaults: ReadonlyArray<Fault<ValidEvent>> = [
  ...values(".payload").map(({ make, refusal }) => eventFault(() => ({ payload: make() }), refusal)),
  eventFault(() => ({ payload: "x".repeat(1_048_575) }), exceeded(".payload", 1_048_576, 1_048_577)),
  ...badNames.map(([eventType, refusal]) => eventFault(() => ({ eventType }), refusal(".eventType"))),
  ...badNames.map(([tag, refusal]) => eventFault(() => ({ tags: ["a", tag] }), refusal(".tags[1]"))),
  eventFault(() => ({ tags: "a" }), invalid(".tags")),
  eventFault(() => ({ tags: Array.from({ length: 129 }, (_, tag) => `${tag}`) }), exceeded(".tags", 128, 129)),
  eventFault(() => ({ eventId: "not a UUID" }), invalid(".eventId")),
  eventFault(() => ({ eventId: null }), invalid(".eventId")),
  eventFault(() => ({ schemaVersion: 0 }), invalid(".schemaVersion")),
  eventFault(() => ({ schemaVersion: "1" }), invalid(".schemaVersion")),
  eventFault(() => ({ metadata: { a: 1 } }), invalid(".metadata.a")),
  eventFault(() => ({ metadata: ["a"] }), invalid(".metadata")),
  eventFault(() => ({ metadata: { a: "x".repeat(8_192) } }), exceeded(".metadata", 8_192, 8_193)),
  eventFault(() => ({ tag: "a" }), invalid(".tag")),
  notAnEvent(() => null),
  notAnEvent(() => undefined),
  notAnEvent(() => "event"),
  notAnEvent(() => [])
]

/** What is no array of events; at the second place too many. */
export const eventsFaults: ReadonlyArray<() => Argument<unknown>> = [
  () => ({ raw: undefined, refusal: invalid("") }),
  () => ({ raw: { eventType: "A", payload: 1 }, refusal: invalid("") }),
  () => ({ raw: new Set([{ eventType: "A", payload: 1 }]), refusal: invalid("") }),
  () => ({ raw: new Array(3), refusal: invalid("[0]") }),
  () => ({
    raw: Array.from({ length: 10_001 }, () => ({ eventType: "A", payload: 1 })),
    refusal: exceeded("", 10_000, 10_001)
  })
]

const queryFault =
  (make: () => unknown, refusal: Refusal): Fault<EventQuery> =>
  () => ({ raw: make() as never, refusal })

const filterFault = (filter: () => unknown, refusal: Refusal): Fault<EventQuery> =>
  queryFault(() => ({ filters: [{}, filter()] }), { ...refusal, path: `.filters[1]${refusal.path}` })

/** Each gives a query that is refused. */
export const queryFaults: ReadonlyArray<Fault<EventQuery>> = [
  ...values(".payloadPredicates[0]").map(({ make, refusal }) =>
    filterFault(() => ({ payloadPredicates: [make()] }), refusal)
  ),
  ...badNames.map(([name, refusal]) => filterFault(() => ({ eventTypes: [name] }), refusal(".eventTypes[0]"))),
  ...badNames.map(([name, refusal]) => filterFault(() => ({ tags: ["a", name] }), refusal(".tags[1]"))),
  ...[-1, 1.5, NaN, "5", null, 2 ** 53].map((minSequenceNumber) =>
    queryFault(() => ({ minSequenceNumber }), invalid(".minSequenceNumber"))
  ),
  queryFault(() => null, invalid("")),
  queryFault(() => [], invalid("")),
  queryFault(() => ({ filters: "A" }), invalid(".filters")),
  queryFault(() => ({ filter: [] }), invalid(".filter")),
  queryFault(() => ({ filters: Array.from({ length: 257 }, () => ({})) }), exceeded(".filters", 256, 257)),
  filterFault(() => null, invalid("")),
  filterFault(() => ({ eventTypes: "A" }), invalid(".eventTypes")),
  filterFault(() => ({ tags: "A" }), invalid(".tags")),
  filterFault(() => ({ payloadPredicates: {} }), invalid(".payloadPredicates")),
  filterFault(() => ({ eventType: "A" }), invalid(".eventType"))
]

/** What is no position in the log. */
export const positionFaults: ReadonlyArray<() => Argument<never>> = [-1, NaN, 0.5, "3", 2 ** 53, {}, true].map(
  (raw) => () => ({ raw: raw as never, refusal: invalid("") })
)

/** What is no idempotency key. */
export const keyFaults: ReadonlyArray<() => Argument<never>> = badNames.map(([name, refusal]) => () => ({
  raw: name as never,
  refusal: refusal("")
}))

/** The path without the way down into a value that is too deep. */
export const shortened = (path: string): string => path.replace(/(\.d){50,}$/, "")
