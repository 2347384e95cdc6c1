/**
 * A COMMIT that does not commit: what fails at the very end, after the server has said that the command is complete, fails for
 * exactly the call that it is about, and nothing of that call is stored (A3).
 */
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { withTags } from "../../../src/stores/EventQuery.ts"
import * as PostgresStore from "../../../src/stores/postgres/PostgresStore.ts"
import { range } from "../../../src/testing/conformance/expectations.ts"
import { itEffect } from "../../support/it.ts"
import { ownSchema } from "../../support/postgres.ts"
import { forwardAll, proxyTo } from "../../support/postgresProxy.ts"
import { simpleQuery } from "../../support/wireProtocol.ts"
import { answered, appended, eventsOf, expectTrueAnswers, reasonOf } from "./answers.ts"
import { repeatableRead, roleWith } from "./roles.ts"

/** A store, where wished one that opens its transactions itself, behind a proxy. */
const setUp = (isExplicit: boolean) =>
  Effect.gen(function* () {
    const own = yield* ownSchema
    const { url } = isExplicit ? yield* roleWith(own, repeatableRead) : own
    const proxy = yield* proxyTo(url)
    const store = yield* PostgresStore.make({ url: proxy.url, schema: own.schema, listen: false })
    return { ...own, proxy, store }
  })

type SetUp = Effect.Success<ReturnType<typeof setUp>>

/** At COMMIT, events of this type are refused with the SQLSTATE. */
const refuseAtCommit = ({ query, schema }: SetUp, eventType: string, code: string) =>
  Effect.gen(function* () {
    yield* query(`CREATE FUNCTION "${schema}".refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF NEW.event_type = '${eventType}' THEN RAISE EXCEPTION 'too late' USING ERRCODE = '${code}'; END IF;
        RETURN NULL;
      END $$`)
    yield* query(`CREATE CONSTRAINT TRIGGER refuse_late AFTER INSERT ON "${schema}".events
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "${schema}".refuse_late()`)
  })

for (const isExplicit of [false, true]) {
  describe(isExplicit ? "a COMMIT that the store sends" : "a COMMIT that the server makes by itself", () => {
    for (const code of ["23514", "23505", "40001", "P0001"]) {
      itEffect(`that a deferred trigger refuses with ${code} fails one call of a group, and no other`, () =>
        Effect.gen(function* () {
          const own = yield* setUp(isExplicit)
          const { query, schema, store } = own
          yield* refuseAtCommit(own, "Refused", code)
          const refused = (name: string) =>
            store.append(eventsOf(name).map((event) => ({ ...event, eventType: "Refused" })))
          const all = [yield* appended(store, "before")]
          const group = yield* Effect.all(
            range(1, 6).map((n) =>
              n === 3 || n === 5 ? answered(`refused ${n}`, 2, refused(`refused ${n}`)) : appended(store, `fine ${n}`)
            ),
            { concurrency: "unbounded" }
          )
          all.push(...group)
          for (const call of group) {
            const reason = reasonOf(call)
            if (call.name.startsWith("fine")) expect(reason, call.name).toBeUndefined()
            else expect(reason).toMatchObject({ _tag: "StoreUnavailable", code, mayHaveCommitted: false })
          }
          all.push(yield* appended(store, "after"))
          yield* expectTrueAnswers(query, schema, all)
        })
      )
    }

    itEffect("that a deferred trigger refuses leaves the context as it was", () =>
      Effect.gen(function* () {
        const own = yield* setUp(isExplicit)
        const { query, schema, store } = own
        yield* refuseAtCommit(own, "Called", "23514")
        const call = (name: string) =>
          answered(name, 2, store.appendIf(eventsOf(name, 2, ["context"]), withTags("context"), null))
        const refused = yield* call("refused")
        expect(reasonOf(refused)).toMatchObject({ _tag: "StoreUnavailable", retryable: false })
        yield* query(`DROP TRIGGER refuse_late ON "${schema}".events`)
        const all = [refused, yield* call("fine")]
        expect(reasonOf(all[1]!)).toBeUndefined()
        yield* expectTrueAnswers(query, schema, all)
      })
    )
  })
}

describe("a COMMIT that is answered with ROLLBACK", () => {
  itEffect("has stored nothing, and says so", () =>
    Effect.gen(function* () {
      const { proxy, query, schema, store } = yield* setUp(true)
      const all = [yield* appended(store, "before")]
      let rollbacks = 0
      proxy.setRule(({ direction, text, type }) => {
        if (direction !== "toServer" || type !== "Q" || text !== "COMMIT") return "forward"
        rollbacks++
        return { rewrite: simpleQuery("ROLLBACK") }
      })
      const group = yield* Effect.all(
        range(1, 3).map((n) => appended(store, `rolled back ${n}`)),
        { concurrency: "unbounded" }
      )
      all.push(...group)
      expect(rollbacks).toBeGreaterThan(0)
      for (const call of group) {
        expect(reasonOf(call)).toMatchObject({ _tag: "StoreUnavailable", retryable: true, mayHaveCommitted: false })
      }
      proxy.setRule(forwardAll)
      all.push(yield* appended(store, "after"))
      expect(reasonOf(all[4]!)).toBeUndefined()
      yield* expectTrueAnswers(query, schema, all)
    })
  )
})
