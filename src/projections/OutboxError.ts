/** What goes wrong with outboxes, other than in the effects themselves. */
import * as Schema from "effect/Schema"

/** A reaction is not JSON, so it cannot be kept. The filling stops before its event. */
export class ReactionNotJson extends Schema.TaggedError<ReactionNotJson>("evolvent/ReactionNotJson")(
  "ReactionNotJson",
  {
    reactor: Schema.String,
    /** The event that is reacted to. */
    sequenceNumber: Schema.Number,
    /** Where in the reactions to it, for example `reactions[0].at`. */
    path: Schema.String
  }
) {
  override get message() {
    return (
      `The reactor ${JSON.stringify(this.reactor)} reacts to event ${this.sequenceNumber} with what is not JSON, ` +
      `see ${this.path}: describe what is to be done as plain data.`
    )
  }
}

/** An effect did not settle in time. It was interrupted and is tried again like one that failed. */
export class ReactionTimedOut extends Schema.TaggedError<ReactionTimedOut>("evolvent/ReactionTimedOut")(
  "ReactionTimedOut",
  { reactor: Schema.String, afterMs: Schema.Number }
) {
  override get message() {
    return `A reaction of ${JSON.stringify(this.reactor)} took more than ${this.afterMs} ms: make it faster, or raise the timeout.`
  }
}

/** The log does not hold the event that is reacted to: it was replaced by another one. */
export class ReactedEventMissing extends Schema.TaggedError<ReactedEventMissing>("evolvent/ReactedEventMissing")(
  "ReactedEventMissing",
  { reactor: Schema.String, sequenceNumber: Schema.Number }
) {
  override get message() {
    return `Event ${this.sequenceNumber}, to which ${JSON.stringify(this.reactor)} reacts, is not in the log.`
  }
}
