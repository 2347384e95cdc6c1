/** `evolvent/testing`: what proves that a store keeps the contract. No test runner is imported. */
export * from "./conformance/index.ts"
