/**
 * Behind a pooler that hands connections around, a statement that one connection has prepared is not there on the next one, or is
 * there already: the store does without prepared statements from then on. The errors are the server's own.
 */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as EventQuery from "../../../src/stores/EventQuery.ts"
import type { EventStore } from "../../../src/stores/EventStore.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { range } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownSchema } from "../../support/postgres.ts"
import type { Action, Message } from "../../support/postgresProxy.ts"
import { proxyTo } from "../../support/postgresProxy.ts"
import { appended, expectTrueAnswers, reasonOf } from "./answers.ts"
import { repeatableRead, roleWith } from "./roles.ts"

const setUp = (settings: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const own = yield* ownSchema
    const proxy = yield* proxyTo((yield* roleWith(own, settings)).url)
    const store = yield* PostgresStore.make({ url: proxy.url, schema: own.schema, listen: false, indexEvery: 2 })
    return { ...own, proxy, store }
  })

/** Whether the message makes or binds a statement that has a name. */
const isNamed = ({ bytes, direction, type }: Message): boolean => {
  if (direction !== "toServer" || (type !== "P" && type !== "B")) return false
  const name = type === "P" ? 5 : bytes.indexOf(0, 5) + 1
  return bytes[name] !== 0
}

/** Binds go to statements that nobody has prepared. */
const forget = (message: Message): Action => {
  if (!isNamed(message) || message.type !== "B") return "forward"
  const bytes = Buffer.from(message.bytes)
  bytes[bytes.indexOf(0, 5) + 1] = "T".charCodeAt(0)
  return { rewrite: bytes }
}

/** Every statement has been prepared by somebody else before. */
const repeat = (message: Message): Action =>
  isNamed(message) && message.type === "P" ? { rewrite: Buffer.concat([message.bytes, message.bytes]) } : "forward"

/** Appends and reads at once, over several connections. */
const calls = (store: EventStore, name: string) =>
  Effect.all(
    range(1, 6).map((n) =>
      Effect.andThen(
        Effect.all([store.query(), store.query(EventQuery.withTags("tag"))], { concurrency: "unbounded" }),
        appended(store, `${name} ${n}`)
      )
    ),
    { concurrency: "unbounded" }
  )

/** A query that scans beside an append: two statements under way on two connections. */
const atOnce = (store: EventStore, name: string) =>
  Effect.map(
    Effect.all([appended(store, name), store.query(), store.query(EventQuery.ofTypes("Called"))], {
      concurrency: "unbounded"
    }),
    ([call]) => call
  )

for (const [how, settings] of [
  ["", {}],
  [", in transactions that the store opens", repeatableRead]
] as const) {
  describe(`a prepared statement${how}`, () => {
    for (const [code, name, rule] of [
      ["26000", "that is not there any more", forget],
      ["42P05", "that is there already", repeat]
    ] as const) {
      itEffect(`${name} (${code}) is not needed`, () =>
        Effect.gen(function* () {
          const { proxy, query, schema, store } = yield* setUp(settings)
          const all = [...(yield* calls(store, "before"))]
          if (code === "42P05") yield* proxy.disconnect()
          const messages = proxy.record()
          proxy.setRule(rule)
          all.push(yield* atOnce(store, "at once"), ...(yield* calls(store, "after")))
          const errors = messages.filter(({ direction, type }) => direction === "toClient" && type === "E")
          expect(errors.length).toBeGreaterThan(0)
          expect(errors.every(({ text }) => text.includes(code))).toBe(true)
          // From then on nothing has a name.
          const later = proxy.record()
          all.push(...(yield* calls(store, "later")))
          expect(later.filter(isNamed)).toEqual([])
          for (const call of all) expect(reasonOf(call), call.name).toBeUndefined()
          yield* expectTrueAnswers(query, schema, all)
        })
      )
    }
  })
}
