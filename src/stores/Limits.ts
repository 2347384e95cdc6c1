/**
 * The limits of the contract, equal in all stores. Crossing one is `LimitExceeded`, before anything is stored.
 */

/** Bytes of an event type, tag, durable stream name or idempotency key, as UTF-8. At least 1. */
export const maxNameBytes = 255

/** Nested arrays and objects in a payload or a payload predicate; a scalar has depth 0. */
export const maxDepth = 128

/** Bytes of a payload as UTF-8 JSON, unless the store is configured otherwise: 1 MiB. */
export const defaultMaxPayloadBytes = 1_048_576

/** The most that `maxPayloadBytes` of a store can be set to: 64 MiB. */
export const largestMaxPayloadBytes = 67_108_864

/** Entries in an event's metadata. */
export const maxMetadataEntries = 64

/** Bytes of all keys and values of an event's metadata together, as UTF-8: 8 KiB. */
export const maxMetadataBytes = 8_192

/** Distinct tags of one event. */
export const maxTags = 128

/** Events in one append. */
export const maxEventsPerAppend = 10_000

/** Filters in one query. */
export const maxFilters = 256

/** Event types, payload predicates and tags of all filters of one query together. */
export const maxQueryTerms = 10_000
