import { Spec } from "evolvent/testing"

/** The failure of a spec that has to fail. */
export const failureOf = (spec: () => void): Spec.SpecFailure => {
  try {
    spec()
  } catch (error) {
    if (error instanceof Spec.SpecFailure) return error
    throw error
  }
  throw new Error("the spec holds")
}
