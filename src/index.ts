/**
 * evolvent: command handling on facts. This entry loads no driver and no test tool; the stores that need one have entries of
 * their own, `evolvent/sqlite` for instance, and the conformance suite is in `evolvent/testing`.
 */
export * as EventCatalog from "./decider/EventCatalog.ts"
export * as View from "./decider/View.ts"
export * as Decider from "./decider/Decider.ts"
export * as Reactor from "./decider/Reactor.ts"
export * as EventQuery from "./stores/EventQuery.ts"
export * as EventStoreError from "./stores/EventStoreError.ts"
export * as DurableStream from "./stores/DurableStream.ts"
export * as Limits from "./stores/Limits.ts"
export * as MemoryStore from "./stores/memory/MemoryStore.ts"
export * as Application from "./Application.ts"
export { EventStore } from "./stores/EventStore.ts"
export type { AppendIfOptions, AppendOptions, AppendResult, QueryResult } from "./stores/EventStore.ts"
export type { EventBatch, EventRecord, JsonScalar, JsonValue, Metadata, NewEvent } from "./stores/Event.ts"
export type {
  BatchHandler,
  EventStream,
  DurableStreamOptions,
  StreamOptions,
  StreamStatus
} from "./stores/EventStream.ts"
export { CommandMetadata, causedBy, withMetadata } from "./dispatch/CommandMetadata.ts"
export { Dispatcher, dispatch, dispatchToStream } from "./dispatch/Dispatcher.ts"
export type { DispatchOptions, DispatcherOptions, StreamDispatchOptions } from "./dispatch/Dispatcher.ts"
export { layer as layerDispatcher } from "./dispatch/Dispatcher.ts"
export { conflicts as dispatchConflicts, dispatches } from "./dispatch/DispatchMetrics.ts"
export * as Projection from "./projections/Projection.ts"
export { ProjectionWorker } from "./projections/ProjectionWorker.ts"
export { layer as layerProjectionWorker } from "./projections/ProjectionWorker.ts"
export {
  HandlerTimedOut,
  HookFailed,
  UnfitProjection,
  UnknownProjection,
  WaitTimedOut
} from "./projections/ProjectionError.ts"
export * as Outbox from "./projections/Outbox.ts"
export { layer as layerOutboxes, run as runOutbox } from "./projections/OutboxWorker.ts"
export { ReactedEventMissing, ReactionNotJson, ReactionTimedOut } from "./projections/OutboxError.ts"
export type { PartitionStatus, ProjectionStatus } from "./projections/ProjectionStatus.ts"
export type { ProjectionRef, ProjectionWorkerOptions } from "./projections/ProjectionWorker.ts"
export { SqlError } from "./stores/Transaction.ts"
export type { SqlRow, SqlTransaction, SqlValue } from "./stores/Transaction.ts"
export type { Transaction, Workspace } from "./stores/Workspace.ts"
export { Overloaded, RetriesExhausted, WrongRevision } from "./dispatch/Outcome.ts"
export type { Accepted, DispatchError, Done, NothingToDo, Outcome, Rejected } from "./dispatch/Outcome.ts"
