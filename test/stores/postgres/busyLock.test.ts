/** The log's lock is in other hands: appends wait for so long, then fail with StoreBusy and store nothing. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import type { PostgresOptions } from "../../../src/stores/postgres/PostgresStore.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { eventually, inTime, logOf, range } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownSchema, rawConnection } from "../../support/postgres.ts"
import { proxyTo } from "../../support/postgresProxy.ts"
import { appended, expectTrueAnswers, reasonOf } from "./answers.ts"
import { repeatableRead, roleWith } from "./roles.ts"

/** A store, and somebody who takes its lock away. */
const setUp = (options: PostgresOptions = {}) =>
  Effect.gen(function* () {
    const own = yield* ownSchema
    const store = yield* PostgresStore.make({ url: own.url, schema: own.schema, listen: false, ...options })
    const other = yield* rawConnection(own.url)
    const key = `'"${own.schema}".events'::regclass::oid::int4, 1`
    const lock = other.query(`SELECT pg_advisory_lock(${key})`)
    const unlock = other.query(`SELECT pg_advisory_unlock(${key})`)
    const waiting = own.query(
      "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid::int8 = $1::regclass::oid::int8",
      [`"${own.schema}".events`]
    )
    const isAwaited = inTime(
      Effect.repeat(waiting, { until: (rows) => rows.length > 0 }),
      "somebody waits for the lock"
    )
    return { ...own, store, lock, unlock, isAwaited }
  })

describe("a log whose lock is taken", () => {
  itEffect("is waited for, and appends go on when it is free again", () =>
    Effect.gen(function* () {
      const { isAwaited, lock, query, schema, store, unlock } = yield* setUp({ lockTimeout: 20_000 })
      yield* lock
      const call = yield* Effect.forkScoped(appended(store, "waits"), { startImmediately: true })
      yield* isAwaited
      expect(yield* logOf(store)).toEqual([])
      yield* unlock
      const all = [yield* Fiber.join(call)]
      expect(reasonOf(all[0]!)).toBeUndefined()
      yield* expectTrueAnswers(query, schema, all)
    })
  )

  itEffect("is StoreBusy after lockTimeout, for all who wait at once, and stores nothing", () =>
    Effect.gen(function* () {
      const { lock, query, schema, store, unlock } = yield* setUp({ lockTimeout: 300 })
      const all = [yield* appended(store, "before")]
      yield* lock
      const started = performance.now()
      const group = yield* Effect.all(
        range(1, 40).map((n) => appended(store, `waits ${n}`)),
        { concurrency: "unbounded" }
      )
      // Two groups at the most: the first call may have been taken before the others had come.
      expect(performance.now() - started).toBeLessThan(5_000)
      for (const call of group) {
        expect(reasonOf(call)).toMatchObject({ _tag: "StoreBusy", retryable: true, mayHaveCommitted: false })
      }
      yield* unlock
      all.push(...group, yield* appended(store, "after"))
      expect(reasonOf(all[all.length - 1]!)).toBeUndefined()
      yield* expectTrueAnswers(query, schema, all)
    })
  )

  itEffect("does not keep anybody from reading", () =>
    Effect.gen(function* () {
      const { lock, schema, store, url } = yield* setUp()
      yield* appended(store, "before")
      yield* lock
      const other = yield* PostgresStore.make({ url, schema, listen: false })
      for (const each of [store, other]) expect((yield* inTime(logOf(each), "the log is read")).length).toBe(2)
    })
  )

  itEffect("by a process that vanished before its COMMIT is given back by the server", () =>
    Effect.gen(function* () {
      const { query, schema, url, ...own } = yield* setUp({ lockTimeout: 20_000 })
      const { url: roleUrl } = yield* roleWith({ query, schema, url, client: own.client }, repeatableRead)
      const proxy = yield* proxyTo(roleUrl)
      const options = { schema, listen: false, lockTimeout: 500, answerTimeout: 1_000, resolveTimeout: 1 }
      const vanishing = yield* PostgresStore.make({ url: proxy.url, ...options })
      const all = [yield* appended(vanishing, "before")]
      let isSilent = false
      proxy.setRule(({ direction, text, type }) => {
        if (direction !== "toServer" || type !== "Q" || text !== "COMMIT") return "forward"
        isSilent = true
        return { blackHole: "both" }
      })
      const call = yield* Effect.forkScoped(appended(vanishing, "vanishes"), { startImmediately: true })
      yield* eventually("the COMMIT is swallowed", () => isSilent)
      all.push(yield* appended(own.store, "goes on"))
      expect(reasonOf(all[1]!)).toBeUndefined()
      yield* Effect.andThen(proxy.refuse, proxy.disconnect())
      all.push(yield* Fiber.join(call))
      expect(reasonOf(all[2]!)?._tag).toBe("CommitUnknown")
      yield* expectTrueAnswers(query, schema, all)
    })
  )
})
