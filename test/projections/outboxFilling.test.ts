/** An outbox is filled once per reaction, whoever fills it and however often they end; what cannot be kept stops the filling. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { describe, expect, it } from "vitest"
import * as EventCatalog from "../../src/decider/EventCatalog.ts"
import * as Reactor from "../../src/decider/Reactor.ts"
import * as Outbox from "../../src/projections/Outbox.ts"
import { ReactionNotJson } from "../../src/projections/OutboxError.ts"
import type { EventStore } from "../../src/stores/EventStore.ts"
import { closable, event, failsWith, inTime, range, times } from "../../src/testing/conformance/expectations.ts"
import { itEffect } from "../support/it.ts"
import { stores } from "../support/stores.ts"
import {
  cards,
  entriesOf,
  Guests,
  invited,
  letters,
  running,
  runToEnd,
  settledNow,
  until,
  watched
} from "./outboxes.ts"

for (const { make, name, reopen } of stores) {
  describe(`filling an outbox on ${name}`, () => {
    itEffect("carries the reactions to every event out once, with their record and a key of their own", () =>
      Effect.gen(function* () {
        const store = yield* make
        const { attempts, outbox, to } = watched()
        yield* store.append([...invited("ann"), event("Excused", { guest: "bob" }), ...invited("nobody")])
        yield* runToEnd(store, outbox)
        const { eventRecords } = yield* store.append(invited("cid"))
        yield* runToEnd(store, outbox)
        expect(to().sort()).toEqual(["ann", "cid", "host", "host"])
        const ofCid = attempts.filter(({ record }) => record.sequenceNumber === 4)
        expect(ofCid.map(({ attempt, record }) => [attempt, record])).toEqual([
          [1, eventRecords[0]],
          [1, eventRecords[0]]
        ])
        const { eventId } = eventRecords[0]!
        expect(ofCid.map(({ idempotencyKey }) => idempotencyKey)).toEqual([
          `letters/${eventId}/0`,
          `letters/${eventId}/1`
        ])
        expect(yield* entriesOf(store)).toEqual([])
      })
    )

    itEffect("starts at the head of the log unless it is told otherwise, and then goes on where it was", () =>
      Effect.gen(function* () {
        const store = yield* make
        yield* store.append(invited("old"))
        const { outbox, to } = watched({ start: "head" })
        yield* runToEnd(store, outbox)
        yield* store.append(invited("missed meanwhile"))
        yield* runToEnd(store, outbox)
        expect(to()).toEqual(["missed meanwhile", "host"])
      })
    )

    itEffect("is done once a reaction, though its transactions fail and their answers are lost", () =>
      Effect.gen(function* () {
        const store = yield* make
        let count = 0
        const { workspace } = store
        const shaky: EventStore = {
          ...store,
          workspace: {
            ...workspace,
            transaction: (work, options) =>
              Effect.suspend(() => {
                count += 1
                if (count % 3 === 0)
                  return workspace.transaction((tx) => Effect.andThen(work(tx), Effect.die("undone")), options)
                const done = workspace.transaction(work, options)
                return count % 3 === 1 ? Effect.andThen(done, Effect.die("the answer is lost")) : done
              })
          }
        }
        const { outbox, to } = watched()
        const guests = range(1, 60).map((n) => `guest ${n}`)
        for (const guest of guests) yield* store.append(invited(guest))
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { status } = yield* running(shaky, outbox)
            // Nothing may be lost or doubled in the table; which attempts are repeated is another matter.
            yield* until(
              "all is filled",
              Effect.exit(status),
              (exit) => Exit.isSuccess(exit) && exit.value.reactors[0]!.position === 60
            )
          })
        )
        yield* runToEnd(store, outbox)
        expect(new Set(to())).toEqual(new Set([...guests, "host"]))
      })
    )

    itEffect(
      "keeps the reactors of a merged one apart, so that each goes on where it was whatever it is merged with",
      () =>
        Effect.gen(function* () {
          const store = yield* make
          const both = watched({ reactor: Reactor.merge(letters, cards) })
          yield* store.append(invited("ann"))
          yield* Effect.scoped(
            Effect.gen(function* () {
              const outbox = yield* running(store, both.outbox)
              yield* settledNow(store, outbox)
              const { reactors } = yield* outbox.status
              expect(reactors.map(({ lag, position, reactor }) => [reactor, position, lag])).toEqual([
                ["letters", 1, 0],
                ["cards", 1, 0]
              ])
            })
          )
          expect(both.to().sort()).toEqual(["ann", "ann by card", "host"])
          const alone = watched({ reactor: cards })
          yield* store.append(invited("bob"))
          yield* runToEnd(store, alone.outbox)
          expect(alone.to()).toEqual(["bob by card"])
          const again = watched({ reactor: Reactor.merge(cards, letters) })
          yield* runToEnd(store, again.outbox)
          expect(again.to().sort()).toEqual(["bob", "host"])
        })
    )

    itEffect("stops before an event whose reaction is not JSON, and says so without a word of it", () =>
      Effect.gen(function* () {
        const store = yield* make
        const dates = Reactor.make({
          name: "dates",
          events: Guests,
          query: Guests.query("Invited"),
          react: {
            Invited: ({ guest }) =>
              (guest === "bad" ? [1, { at: { secret: 1n } }] : [{ guest }]) as ReadonlyArray<unknown>
          }
        })
        const seen: Array<unknown> = []
        const outbox = Outbox.make({
          reactor: dates,
          start: "beginning",
          carryOut: (reaction) => void seen.push(reaction)
        })
        yield* store.append(invited("ann", "bob"))
        yield* store.append(invited("bad", "cid"))
        const { status } = yield* running(store, outbox)
        const stopped = yield* until("it stops", status, ({ reactors }) => reactors[0]!.state === "stopped")
        const [{ lastError, position }] = stopped.reactors as [Outbox.ReactorStatus]
        expect(position).toBe(2)
        expect(lastError).toEqual(
          new ReactionNotJson({ reactor: "dates", sequenceNumber: 3, path: "reactions[1].at.secret" })
        )
        expect((lastError as Error).message).toContain('The reactor "dates" reacts to event 3')
        yield* until("the others are carried out", status, ({ waiting }) => waiting === 0)
        expect(seen).toEqual([{ guest: "ann" }, { guest: "bob" }])
      })
    )

    itEffect("stops at an event that cannot be decoded, and resumes where the reason is gone", () =>
      Effect.gen(function* () {
        const store = yield* make
        const { outbox, to } = watched()
        yield* store.append([event("Invited", { guest: 5 })])
        const { resume, status } = yield* running(store, outbox)
        const stopped = yield* until("it stops", status, ({ reactors }) => reactors[0]!.state === "stopped")
        expect(stopped.reactors[0]!.lastError).toBeInstanceOf(EventCatalog.DecodeError)
        yield* store.workspace.transaction(({ cursors }) => cursors.reset("reactor letters", 1))
        yield* store.append(invited("ann"))
        yield* resume
        yield* until("it goes on", status, ({ reactors, waiting }) => reactors[0]!.position === 2 && waiting === 0)
        expect(to()).toEqual(["ann", "host"])
      })
    )

    /** One that has stopped, and whose reason to stop is gone. */
    const stopped = Effect.gen(function* () {
      const store = yield* make
      const { outbox, to } = watched()
      yield* store.append([event("Invited", { guest: 5 })])
      const { resume, settled, status } = yield* running(store, outbox)
      yield* until("it stops", status, ({ reactors }) => reactors[0]!.state === "stopped")
      yield* store.workspace.transaction(({ cursors }) => cursors.reset("reactor letters", 1))
      yield* store.append(invited("ann"))
      return { resume, settled, status, to }
    })

    itEffect("is waited for where it has stopped, until it is resumed", () =>
      Effect.gen(function* () {
        const { resume, settled, to } = yield* stopped
        const settling = yield* Effect.forkChild(settled(2), { startImmediately: true })
        yield* resume
        yield* inTime(Fiber.join(settling), "it is settled")
        expect(to()).toEqual(["ann", "host"])
      })
    )

    itEffect("is resumed once, however often that is asked for at once", () =>
      Effect.gen(function* () {
        const { resume, settled, status, to } = yield* stopped
        yield* Effect.all(
          times(3, () => resume),
          { concurrency: "unbounded" }
        )
        yield* inTime(settled(2), "it is settled")
        expect(to()).toEqual(["ann", "host"])
        expect((yield* status).reactors).toMatchObject([{ state: "running", position: 2 }])
      })
    )

    itEffect("is not resumed when the outbox has ended", () =>
      Effect.gen(function* () {
        const store = yield* make
        const { outbox } = watched()
        yield* store.append([event("Invited", { guest: 5 })])
        const ended = yield* Effect.scoped(
          Effect.tap(running(store, outbox), ({ status }) =>
            until("it stops", status, ({ reactors }) => reactors[0]!.state === "stopped")
          )
        )
        yield* store.workspace.transaction(({ cursors }) => cursors.reset("reactor letters", 1))
        yield* ended.resume
        yield* Effect.scoped(running(store, outbox))
      })
    )

    itEffect("is refused where the reactor runs already, or where its query has changed", () =>
      Effect.gen(function* () {
        const store = yield* make
        const { outbox } = watched()
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* running(store, outbox)
            yield* failsWith("DurableStreamActive", Effect.scoped(running(store, outbox)))
            // The one that was refused does not take the other's place, nor hold any other reactor.
            const merged = watched({ reactor: Reactor.merge(cards, letters) })
            yield* failsWith("DurableStreamActive", running(store, merged.outbox))
            yield* Effect.scoped(running(store, watched({ reactor: cards }).outbox))
          })
        )
        const other = {
          ...outbox,
          reactor: Reactor.make({ name: "letters", events: Guests, query: Guests.queryAll(), react: {} })
        }
        yield* failsWith("DurableStreamMismatch", Effect.scoped(running(store, other)))
        yield* Effect.scoped(running(store, outbox))
      })
    )

    itEffect("reads what it reacts to in pages, however far apart", () =>
      Effect.gen(function* () {
        const store = yield* make
        const { attempts, outbox } = watched({ reactor: cards, concurrency: 100 })
        for (const n of range(1, 40)) {
          yield* store.append(
            times(n % 3 === 0 ? 45 : 1, (m) =>
              event(m === 7 || n % 5 === 0 ? "Invited" : "Excused", { guest: `${n} ${m}` })
            )
          )
        }
        yield* runToEnd(store, outbox)
        const { eventRecords } = yield* store.query(letters.query)
        expect(attempts.map(({ record }) => record).sort((a, b) => a.sequenceNumber - b.sequenceNumber)).toEqual(
          eventRecords
        )
        expect(
          attempts.every(({ record, to }) => to === `${(record.payload as { guest: string }).guest} by card`)
        ).toBe(true)
      })
    )
  })

  if (reopen === undefined) continue
  describe(`processes that fill one outbox on ${name}`, () => {
    itEffect("wait for each other where one of them has stopped", () =>
      Effect.gen(function* () {
        const open = yield* reopen
        const [first, second] = [yield* open, yield* open]
        const { outbox, to } = watched()
        const broken = Reactor.make({
          name: "letters",
          events: Guests,
          query: letters.query,
          react: { Invited: () => [{ to: 1n as never }] }
        })
        yield* first.append(invited("ann"))
        const { settled, status } = yield* running(first, { ...outbox, reactor: broken })
        yield* until("it stops", status, ({ reactors }) => reactors[0]!.state === "stopped")
        const settling = yield* Effect.forkChild(settled(1), { startImmediately: true })
        yield* running(second, outbox)
        yield* inTime(Fiber.join(settling), "it is settled")
        expect(to().sort()).toEqual(["ann", "host"])
      })
    )

    itEffect("take over from each other, and after a restart, without a gap and without a double", () =>
      Effect.gen(function* () {
        const open = yield* reopen
        const writer = yield* open
        const { outbox, to } = watched({ concurrency: 32 })
        const guests: Array<string> = []
        const invite = Effect.suspend(() => {
          const more = times(7, (n) => `guest ${guests.length + n}`)
          guests.push(...more)
          return Effect.forEach(more, (guest) => writer.append(invited(guest)))
        })
        for (const _ of range(1, 4)) {
          const first = yield* closable(open)
          const second = yield* closable(open)
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* running(second.store, outbox)
              yield* Effect.scoped(running(first.store, outbox))
              yield* invite
              const last = yield* running(first.store, outbox)
              yield* invite
              yield* settledNow(writer, last)
            })
          )
          yield* invite
          yield* inTime(Effect.all([first.close, second.close]), "both are closed")
        }
        const last = yield* open
        yield* runToEnd(last, outbox)
        expect(
          to()
            .filter((it) => it !== "host")
            .sort()
        ).toEqual(guests.sort())
        expect(to()).toHaveLength(2 * guests.length)
      })
    )
  })
}

describe("what makes an outbox", () => {
  const made = (options: Partial<Outbox.Definition<{ to: string }, never>>) => () =>
    Outbox.make({ reactor: letters, carryOut: () => Effect.void, ...options })

  it("is checked when it is made", () => {
    expect(made({ attempts: 0 })).toThrow('outbox of "letters": attempts must be a whole number from 1')
    expect(made({ concurrency: 1.5 })).toThrow("concurrency")
    expect(made({ timeout: "0 millis" })).toThrow("timeout")
    expect(made({ timeout: "25 hours" })).toThrow("timeout must be a duration from 1 ms to a day")
    for (const lease of ["99 millis", "25 hours", "soon" as never] as const) {
      expect(made({ lease })).toThrow('outbox of "letters": lease must be a duration from 100 ms to a day')
    }
    expect(made({ start: "end" as never })).toThrow('outbox of "letters": start must be "beginning" or "head"')
    expect(made({ backOff: { first: "never" as never } })).toThrow("backOff.first")
    expect(made({ backOff: { most: -1 } })).toThrow("backOff.most")
    for (const name of ["", "a\0", "x".repeat(201), "\ud800"]) {
      expect(made({ reactor: { ...letters, parts: [{ ...letters.parts[0]!, name }] } })).toThrow("1 to 200 bytes")
    }
    expect(made({})()).toMatchObject({ attempts: 10, concurrency: 8, timeout: 60_000, start: "head" })
    expect(made({ lease: "100 millis", start: "beginning" })()).toMatchObject({ lease: 100, start: "beginning" })
    expect(made({ lease: "1 day" })()).toMatchObject({ lease: 86_400_000 })
    expect(made({})().backOff).toEqual({ first: 1_000, most: 300_000 })
  })

  itEffect("includes a poll that is allowed", () =>
    Effect.gen(function* () {
      const store = yield* stores[0]!.make
      yield* failsWith("InvalidInput", Effect.scoped(running(store, watched().outbox, { poll: 0 })))
    })
  )

  itEffect("may be a name so long that keys just fit", () =>
    Effect.gen(function* () {
      const store = yield* stores[0]!.make
      const name = "\u00e9".repeat(100)
      const { attempts, outbox } = watched({ reactor: { ...letters, parts: [{ ...letters.parts[0]!, name }] } })
      const { eventRecords } = yield* store.append(invited("ann"))
      yield* runToEnd(store, outbox)
      const keys = attempts.map(({ idempotencyKey }) => idempotencyKey)
      expect(keys).toEqual([0, 1].map((place) => `${name}/${eventRecords[0]!.eventId}/${place}`))
      expect(Buffer.byteLength(`${keys[0]}${Number.MAX_SAFE_INTEGER}`)).toBeLessThanOrEqual(255)
    })
  )
})
