/**
 * `EncodeError` and `DecodeError`: why an event could not be turned into its stored form, or back.
 *
 * Both name types, versions and declared property names only. Neither field nor message ever carries payload content,
 * so that they can be logged.
 */
import * as Schema from "effect/Schema"

/** Why an event value has no stored form. */
export type EncodeProblem = "UnknownEventType" | "InvalidPayload"

/** Why a record could not be read. */
export type DecodeProblem = "UnknownEventType" | "UnknownSchemaVersion" | "UpcastFailed" | "InvalidPayload"

/** An event value does not fit the catalog: its type is not in it, or its payload does not fit the type's schema. */
export class EncodeError extends Schema.TaggedError<EncodeError>("evolvent/EncodeError")("EncodeError", {
  eventType: Schema.String,
  problem: Schema.Literals(["UnknownEventType", "InvalidPayload"]),
  /**
   * `InvalidPayload`: the first property that does not fit, for example `lines[2].price`; absent for the payload as a
   * whole. Keys that no schema declares, those of records, show as `*`.
   */
  path: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const type = JSON.stringify(this.eventType)
    return this.problem === "UnknownEventType"
      ? `The catalog has no event type ${type}: add it to the catalog, or emit an event that the catalog has.`
      : `The payload of a ${type} does not fit its schema${at(this.path)}: build the event from valid values.`
  }
}

/**
 * A record cannot be read with the catalog: unknown type or version, a failing upcast, or a payload that does not fit.
 */
export class DecodeError extends Schema.TaggedError<DecodeError>("evolvent/DecodeError")("DecodeError", {
  /** Position of the record in the log. */
  sequenceNumber: Schema.Number,
  eventType: Schema.String,
  /** Version that the record was stored with. */
  schemaVersion: Schema.Number,
  problem: Schema.Literals(["UnknownEventType", "UnknownSchemaVersion", "UpcastFailed", "InvalidPayload"]),
  /** `InvalidPayload`: the first property that does not fit, as in `EncodeError`. */
  path: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return `Event ${this.sequenceNumber} (${JSON.stringify(this.eventType)}, version ${this.schemaVersion}): ${this.explanation}`
  }

  private get explanation(): string {
    switch (this.problem) {
      case "UnknownEventType":
        return "the catalog does not know the type; add it to the catalog, or narrow the query."
      case "UnknownSchemaVersion":
        return "the catalog does not know the version; deploy a release that does."
      case "UpcastFailed":
        return "an upcast to the next version threw; make it total over what was stored."
      case "InvalidPayload":
        return `the payload does not fit the schema${at(this.path)}; widen the schema, or add a version with an upcast.`
    }
  }
}

const at = (path: string | undefined): string => (path === undefined ? "" : ` at ${path}`)
