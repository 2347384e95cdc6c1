/**
 * `Laws`: what holds for every decider, whatever the commands, checked on generated histories. A law gives a `Verdict`: a value
 * that says whether it holds, and if not, the smallest counter-example and what to do. `assert` throws it.
 */
export { commands } from "../arbitrary/History.ts"
export type { Commands, EventIn, Step } from "../arbitrary/History.ts"
export { assert, LawBroken } from "./Verdict.ts"
export type { CounterExample, Finding, Law, Missing, Verdict } from "./Verdict.ts"
export type { InLog, Invariant, Invariants, Oracle } from "./judge.ts"
export { sufficiency } from "./sufficiency.ts"
export { invariants } from "./invariants.ts"
export { tightness } from "./tightness.ts"
export type { PartUse, TightnessVerdict } from "./tightness.ts"
export { purity } from "./purity.ts"
export { codec } from "./codec.ts"
export type { OlderPayloads, RecordedEvent } from "./older.ts"
