/**
 * The conformance suite of the event store contract: every promise as a case, for every store. Run each case that applies
 * to a harness in a scope of its own, with the test runner of your choice.
 */
import { append } from "./append.ts"
import { batchesUnderOneCheck } from "./batchesUnderOneCheck.ts"
import { conditionalAppend } from "./conditionalAppend.ts"
import type { ConformanceCase } from "./ConformanceCase.ts"
import { conflictTail } from "./conflictTail.ts"
import { cursorLeases } from "./cursorLeases.ts"
import { damage } from "./damage.ts"
import { durableCursors } from "./durableCursors.ts"
import { durableEndings } from "./durableEndings.ts"
import { durableFailures } from "./durableFailures.ts"
import { durableNames } from "./durableNames.ts"
import { durableStreams } from "./durableStreams.ts"
import { durableTakeover } from "./durableTakeover.ts"
import { errors } from "./errors.ts"
import { hostileInputs } from "./hostileInputs.ts"
import { hostileQueries } from "./hostileQueries.ts"
import { lifecycle } from "./lifecycle.ts"
import { idempotency } from "./idempotency.ts"
import { idempotentContent } from "./idempotentContent.ts"
import { limits } from "./limits.ts"
import { matching } from "./matching.ts"
import { payloadPredicates } from "./payloadPredicates.ts"
import { query } from "./query.ts"
import { records } from "./records.ts"
import { reopening } from "./reopening.ts"
import { streamFailures } from "./streamFailures.ts"
import { streams } from "./streams.ts"

export type { ConformanceCase, OpenStore, StoreHarness } from "./ConformanceCase.ts"
export { applies } from "./ConformanceCase.ts"

/** All cases, by subject. Names are unique. */
export const conformance: ReadonlyArray<ConformanceCase> = [
  ...append,
  ...records,
  ...conditionalAppend,
  ...conflictTail,
  ...batchesUnderOneCheck,
  ...idempotency,
  ...idempotentContent,
  ...query,
  ...matching,
  ...payloadPredicates,
  ...streams,
  ...streamFailures,
  ...cursorLeases,
  ...durableStreams,
  ...durableCursors,
  ...durableFailures,
  ...durableEndings,
  ...durableNames,
  ...durableTakeover,
  ...limits,
  ...hostileInputs,
  ...hostileQueries,
  ...errors,
  ...lifecycle,
  ...reopening,
  ...damage
]
