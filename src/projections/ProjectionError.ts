/** What goes wrong with projections, other than in their handlers. */
import * as Schema from "effect/Schema"

/** A handler took too long for a batch. It was interrupted and is tried again like one that failed. */
export class HandlerTimedOut extends Schema.TaggedError<HandlerTimedOut>("evolvent/HandlerTimedOut")(
  "HandlerTimedOut",
  {
    projection: Schema.String,
    afterMs: Schema.Number
  }
) {
  override get message() {
    return `The handler of ${JSON.stringify(this.projection)} took more than ${this.afterMs} ms: make it faster, or raise its timeout.`
  }
}

/** The worker does not run a projection of this name. */
export class UnknownProjection extends Schema.TaggedError<UnknownProjection>("evolvent/UnknownProjection")(
  "UnknownProjection",
  { projection: Schema.String }
) {
  override get message() {
    return `This worker does not run the projection ${JSON.stringify(this.projection)}: name one that it was given.`
  }
}

/** The projections of a worker do not fit together, or do not fit the store. */
export class UnfitProjection extends Schema.TaggedError<UnfitProjection>("evolvent/UnfitProjection")(
  "UnfitProjection",
  {
    projection: Schema.String,
    problem: Schema.String
  }
) {
  override get message() {
    return `The projection ${JSON.stringify(this.projection)} cannot run: ${this.problem}`
  }
}

/** A hook of a projection failed: `cause` is what it failed with, and is never printed. */
export class HookFailed extends Schema.TaggedError<HookFailed>("evolvent/HookFailed")("HookFailed", {
  projection: Schema.String,
  hook: Schema.Literals(["setup", "reset", "activate"])
}) {
  override get message() {
    return `The ${this.hook} of the projection ${JSON.stringify(this.projection)} failed: see the cause.`
  }

  static caused(fields: { projection: string; hook: "setup" | "reset" | "activate" }, cause: unknown): HookFailed {
    return Object.defineProperty(new HookFailed(fields), "cause", { value: cause, enumerable: false })
  }
}

/** The projection had not come as far as it was waited for. */
export class WaitTimedOut extends Schema.TaggedError<WaitTimedOut>("evolvent/WaitTimedOut")("WaitTimedOut", {
  projection: Schema.String,
  /** The number that was waited for. */
  sequenceNumber: Schema.Number,
  /** Where the projection was. */
  position: Schema.Number
}) {
  override get message() {
    return (
      `The projection ${JSON.stringify(this.projection)} has come to ${this.position}, not to ${this.sequenceNumber}: ` +
      "look at its status, or wait longer."
    )
  }
}
