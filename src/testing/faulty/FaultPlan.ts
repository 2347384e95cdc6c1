/** Plans: which call meets which fault. A script by hand, or generated and shrunk by fast-check. */
import * as fc from "fast-check"
import type { EventQuery } from "../../stores/EventQuery.ts"
import type { AppendFault, DeliveryFault, ReadFault } from "./Fault.ts"
import { busy, conflict, delayed, lostAnswer, lostAppend, lostSuccess, unavailable } from "./Fault.ts"

/** A call that may meet a fault. */
export interface Call {
  /** From 1, in its own column of the plan. */
  readonly nth: number
  readonly operation:
    | "append"
    | "appendIf"
    | "appendBatchesIf"
    | "query"
    | "streamAll"
    | "streamTo"
    | "streamAllDurable"
    | "streamToDurable"
    | "delivery"
  /** The context of a conditional append, the query of a read; `undefined` where there is none. */
  readonly query: EventQuery | undefined
}

/** Decides on the fault of a call: `undefined` for none. It is asked once per call, in their order. */
export type Choice<Fault> = (call: Call) => Fault | undefined

/** Which call meets which fault, in four columns that are counted apart. Default: none meets any. */
export interface FaultPlan {
  readonly appends?: Choice<AppendFault> | undefined
  readonly queries?: Choice<ReadFault> | undefined
  readonly registrations?: Choice<ReadFault> | undefined
  readonly deliveries?: Choice<DeliveryFault> | undefined
}

/** `on(3, fault)`: the third call, and no other. */
export const on =
  <Fault>(nth: number, fault: Fault): Choice<Fault> =>
  (call) =>
    call.nth === nth ? fault : undefined

/** Every call, from the `from`th on. */
export const always =
  <Fault>(fault: Fault, from = 1): Choice<Fault> =>
  (call) =>
    call.nth >= from ? fault : undefined

/** The first call meets the first, the second the second; none when the list is over. */
export const inOrder =
  <const Faults extends ReadonlyArray<unknown>>(...faults: Faults): Choice<Exclude<Faults[number], undefined>> =>
  (call) =>
    faults[call.nth - 1] as Exclude<Faults[number], undefined> | undefined

/** What plans are generated from. */
export interface PlanConstraints {
  /** Calls per column that may meet a fault; later ones meet none. Default: 20. */
  readonly calls?: number | undefined
  /** Faults of appends. Default: conflicts, both kinds of `CommitUnknown`, unavailability, a busy store, short delays. */
  readonly appends?: ReadonlyArray<AppendFault> | undefined
  /** Faults of queries. Default: unavailability, a busy store, short delays. */
  readonly queries?: ReadonlyArray<ReadFault> | undefined
  /** Faults of deliveries. Default: unavailability, successes that are lost, short delays. */
  readonly deliveries?: ReadonlyArray<DeliveryFault> | undefined
}

const late = delayed({ before: 1, after: 1 })

/** Plans that leave three calls in four alone. They shrink to fewer faults; `FaultyStore` tells which have struck. */
export const plans = (constraints: PlanConstraints = {}): fc.Arbitrary<FaultPlan> => {
  const { calls = 20 } = constraints
  const { appends = [conflict, lostAnswer, lostAppend, unavailable, busy, late] } = constraints
  const { queries = [unavailable, busy, late], deliveries = [unavailable, lostSuccess, late] } = constraints
  const column = <Fault>(faults: ReadonlyArray<Fault>): fc.Arbitrary<Choice<Fault>> => {
    const fault = faults.length === 0 ? fc.constant(undefined) : fc.constantFrom(...faults)
    const perhaps = fc.oneof(
      { weight: 3, arbitrary: fc.constant(undefined), withCrossShrink: true },
      { weight: 1, arbitrary: fault }
    )
    return fc.array(perhaps, { maxLength: calls, size: "max" }).map((list) => inOrder(...list))
  }
  return fc.record({ appends: column(appends), queries: column(queries), deliveries: column(deliveries) })
}

/** The plan of a seed: the same one each time. */
export const seeded = (seed: number, constraints: PlanConstraints = {}): FaultPlan =>
  fc.sample(plans(constraints), { seed, numRuns: 1 })[0]!
