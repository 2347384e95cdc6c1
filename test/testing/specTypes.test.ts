import * as Schema from "effect/Schema"
import { EventCatalog, View } from "evolvent"
import type { Decider } from "evolvent"
import { Spec } from "evolvent/testing"
import { describe, expectTypeOf, it } from "vitest"
import type { SoldOut } from "../decider/tickets.ts"
import { buyTicket, saleId, TicketEvents } from "../decider/tickets.ts"

const Others = EventCatalog.make({ OtherHappened: Schema.Struct({ id: Schema.String }) })
const Thirds = EventCatalog.make({ ThirdHappened: Schema.Struct({ id: Schema.Int }) })
const other = Others.OtherHappened({ id: "1" })
const sold = TicketEvents.TicketSold({ saleId, buyer: "ada" })
const command = { saleId, buyer: "ada" }

describe("types of a spec", () => {
  it("wrong events, commands and rejections do not compile", () => {
    const spec = Spec.of(buyTicket)
    const decided = spec.given(sold).when(command)
    // @ts-expect-error an event of a catalog that was not named
    const given = () => spec.given(other)
    // @ts-expect-error an event that is none
    const raw = () => spec.given({ eventType: "TicketSold", payload: { saleId } })
    // @ts-expect-error a field of the command is missing
    const when = () => spec.when({ saleId })
    // @ts-expect-error an event that the decider does not know
    const then = () => decided.then(other)
    // @ts-expect-error a rejection that the decider does not give
    const rejects = () => decided.thenRejects("SoldOut")
    // @ts-expect-error no such field of the rejection
    const predicate = () => decided.thenRejects((rejection) => rejection.seats === 1)
    // @ts-expect-error nothing takes no events
    const nothing = () => decided.thenNothing(sold)
    // @ts-expect-error a decider has no state without a command
    const state = () => spec.thenState({ capacity: 0, sold: 0 })
    // @ts-expect-error not to be awaited
    const awaited = async () => await decided
    void [given, raw, when, then, rejects, predicate, nothing, state, awaited]
    decided.thenRejects satisfies (rejection: SoldOut) => void
    decided.thenRejects satisfies (predicate: (rejection: SoldOut) => boolean) => void
  })

  it("events of the catalogs that were named compile, and only in given", () => {
    const spec = Spec.of(buyTicket, Others, Thirds).given(other, sold, Thirds.ThirdHappened({ id: 1 }))
    const decided = spec.when(command)
    // @ts-expect-error the decider does not emit it
    const then = () => decided.then(other)
    // @ts-expect-error wrong payload
    const given = () => spec.given(Thirds.ThirdHappened({ id: "1" }))
    void [then, given]
  })

  it("a view's spec takes its events and its state", () => {
    const count = View.make({
      name: "Count",
      events: TicketEvents,
      query: () => TicketEvents.queryAll(),
      initial: 0,
      evolve: {}
    })
    const spec = Spec.ofView(count(), Others).given(sold, other)
    // @ts-expect-error another state
    const state = () => spec.thenState("0")
    // @ts-expect-error an event of a catalog that was not named
    const given = () => Spec.ofView(count()).given(other)
    // @ts-expect-error the view has to be bound to its parameters
    const unbound = () => Spec.ofView(count)
    void [state, given, unbound]
    expectTypeOf(spec.thenState).parameter(0).toEqualTypeOf<number>()
  })

  it("results carry the types of the decider", () => {
    const result = Spec.of(buyTicket).when(command).result()
    if (result._tag === "Failure") return
    expectTypeOf(result.success.state).toEqualTypeOf<{ capacity: number; sold: number }>()
    expectTypeOf(result.success.decision).toEqualTypeOf<
      Decider.Decision<EventCatalog.Event<typeof TicketEvents>, SoldOut>
    >()
  })
})
