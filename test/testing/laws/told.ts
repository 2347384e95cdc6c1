import type { Laws } from "evolvent/testing"
import { describeSteps } from "../../../src/testing/laws/telling.ts"

/** The first thing that a verdict says is wrong, and its smallest counter-example, as it is printed. */
export const told = ({ counterExample, findings }: Laws.Verdict): ReadonlyArray<string> => [
  findings[0]?.problem ?? "holds",
  ...describeSteps(counterExample?.steps ?? [])
]
