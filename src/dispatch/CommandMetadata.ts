/**
 * The metadata of the command at hand, recorded with every event that it leads to: who asks (`actor`), which conversation it
 * belongs to (`correlationId`) and what led to it (`causationId`). It travels in the fiber's context, so nothing has to
 * be passed on.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { EventRecord, Metadata } from "../stores/Event.ts"

/** What dispatch records with events. Default: nothing. */
export const CommandMetadata: Context.Reference<Metadata> = Context.Reference<Metadata>("evolvent/CommandMetadata", {
  defaultValue: () => ({})
})

/** The well-known entries; any other is as welcome. */
export interface WellKnown {
  /** The conversation that the command belongs to; handed on unchanged. */
  readonly correlationId?: string
  /** The id of the event or the message that led to the command. */
  readonly causationId?: string
  /** On whose behalf the command is dispatched. */
  readonly actor?: string
}

/** Runs an effect in which dispatch records these entries, over those that are there already. */
export const withMetadata =
  (metadata: WellKnown & Metadata) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.updateService(effect, CommandMetadata, (outer): Metadata => ({ ...outer, ...metadata }))

/** Runs an effect that a recorded event led to: it is the cause, and its correlation is handed on. */
export const causedBy = (record: EventRecord) =>
  withMetadata({
    causationId: record.eventId,
    correlationId: record.metadata["correlationId"] ?? record.eventId
  })
