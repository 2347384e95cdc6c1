/** `evolvent/testing`: what proves that a store keeps the contract, and specs for deciders. No test runner is imported. */
export * from "./conformance/index.ts"
export * as Spec from "./spec/Spec.ts"
export * as Arbitrary from "./arbitrary/Arbitrary.ts"
export * as History from "./arbitrary/History.ts"
export * as Mutants from "./mutants/Mutants.ts"
export * as ProjectionCheck from "./projections/ProjectionCheck.ts"
export * as FaultyStore from "./faulty/FaultyStore.ts"
export * as Serialisability from "./concurrency/Serialisability.ts"
