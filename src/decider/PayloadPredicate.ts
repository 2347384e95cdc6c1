/**
 * The type of payload predicates: which JSON values can be contained in an encoded payload, by the recursive subset of
 * the store contract ("Matching", rules 4 to 7). Objects by some of their properties, arrays by some of their elements.
 */
import type { JsonScalar, JsonValue } from "../stores/Event.ts"

/** A part of `Encoded`: any subset of an object's properties, any of an array's elements, or the scalar itself. */
export type PayloadPredicate<Encoded> = unknown extends Encoded
  ? JsonValue
  : Encoded extends JsonScalar
    ? Encoded
    : Encoded extends ReadonlyArray<infer Element>
      ? ReadonlyArray<PayloadPredicate<Element>>
      : Encoded extends object
        ? { readonly [Key in keyof Encoded]?: PayloadPredicate<Exclude<Encoded[Key], undefined>> }
        : never

/** What the members of a union of payloads have in common: the properties of all of them, with the values of any. */
export type CommonPayload<Encoded> = unknown extends Encoded
  ? Encoded
  : [Encoded] extends [JsonScalar | ReadonlyArray<unknown>]
    ? Encoded
    : { readonly [Key in Extract<keyof Encoded, PropertyKey>]: Encoded[Key] }
