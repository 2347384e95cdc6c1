/** Whether an error says that the store cannot be had at the moment: that is waited for, and counts for nothing else. */
import type { EventStoreErrorReason } from "./EventStoreError.ts"
import { EventStoreError } from "./EventStoreError.ts"

export const isOutage = (error: unknown): boolean => {
  const reason = error instanceof EventStoreError ? error.reason : (error as EventStoreErrorReason | undefined)
  return (reason?._tag === "StoreUnavailable" || reason?._tag === "StoreBusy") && reason.retryable
}
