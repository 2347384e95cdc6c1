/** Mutants that take idempotency keys wrongly (I1). */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { IdempotencyMismatch } from "../../stores/EventStoreError.ts"
import type { KnownKey } from "../../stores/internal/appending.ts"
import { Repeated } from "../../stores/internal/appending.ts"
import type { Idempotency } from "../../stores/internal/idempotency.ts"
import type { AppendRequest } from "../../stores/internal/StoreBackend.ts"
import type { Mutant } from "./Mutant.ts"
import { mutant } from "./Mutant.ts"
import type { Committed } from "./PlainLog.ts"
import { answering, PlainLog } from "./PlainLog.ts"

/** A mutant that takes what stands under a key for something else, or ignores it. */
const keyedBy = (
  name: string,
  mistake: string,
  killedBy: Mutant["killedBy"],
  alter: (idempotency: Idempotency, request: AppendRequest) => Idempotency | undefined
): Mutant =>
  mutant(name, mistake, killedBy, {
    backend: (backend) => ({
      ...backend,
      commit: (request) => {
        const { idempotency } = request
        return backend.commit({ ...request, idempotency: idempotency && alter(idempotency, request) })
      }
    })
  })

class BurningKeys extends PlainLog {
  private readonly burnt = new Set<string>()

  override admit(request: AppendRequest) {
    const key = request.idempotency?.key
    if (key === undefined) return super.admit(request)
    if (this.burnt.has(key)) return Result.fail(new IdempotencyMismatch({ idempotencyKey: key }))
    const admitted = super.admit(request)
    if (Result.isFailure(admitted)) this.burnt.add(key)
    return admitted
  }
}

class KeysBeforeTheLock extends PlainLog {
  override commit(request: AppendRequest, occurredAt: number): Committed {
    return Effect.flatMap(
      answering(() => this.admit(request)),
      (admitted) =>
        admitted instanceof Repeated
          ? Effect.succeed(admitted.results)
          : Effect.flatMap(Effect.yieldNow, () =>
              Effect.tap(super.commit({ ...request, idempotency: undefined }, occurredAt), ([result]) =>
                Effect.sync(() => this.remember(request.idempotency, result))
              )
            )
    )
  }
}

class ConditionsBeforeKeys extends PlainLog {
  override admit(request: AppendRequest) {
    if (request.condition === undefined) return super.admit(request)
    const withoutKey = super.admit({ ...request, idempotency: undefined })
    return Result.isFailure(withoutKey) ? withoutKey : super.admit(request)
  }
}

const keysKept = 10

class ForgettingKeys extends PlainLog {
  override findKey(key: string): KnownKey | undefined {
    return [...this.keys.keys()].slice(-keysKept).includes(key) ? super.findKey(key) : undefined
  }
}

const textOf = ({ batches }: AppendRequest): string =>
  JSON.stringify(batches.flat().map(({ eventType, payload, tags }) => [eventType, payload, tags]))

export const repeating = [
  keyedBy(
    "key ignored",
    "Records an append again when it is repeated under its key.",
    ["a repeated append gives the first result and records nothing"],
    () => undefined
  ),
  mutant(
    "key burnt by a failure",
    "Refuses a key under which an append has failed.",
    ["a failed append does not use its key up"],
    { log: () => new BurningKeys() }
  ),
  keyedBy(
    "content not compared",
    "Takes any events under a known key for a repetition.",
    ["a key that stands for other events is refused"],
    ({ key }) => ({ key, fingerprint: "" })
  ),
  keyedBy(
    "content compared as text",
    "Compares the text of the events as they were written, in which keys have an order, and leaves ids, versions and metadata out.",
    ["the content is compared after normalisation", "a key that stands for other events is refused"],
    ({ key }, request) => ({ key, fingerprint: textOf(request) })
  ),
  keyedBy(
    "keys without case",
    "Compares keys without regard to case.",
    ["keys are compared by code point, and each gives its own result"],
    ({ fingerprint, key }) => ({ fingerprint, key: key.toLowerCase() })
  ),
  mutant(
    "key looked up before the lock",
    "Looks for the key, lets others have their turn, and records the events.",
    ["of two contents under one key made at once one is recorded and the other refused"],
    { log: () => new KeysBeforeTheLock() }
  ),
  mutant(
    "condition before the key",
    "Compares the context before it looks for the key, so a repetition conflicts with itself.",
    ["a repeated conditional append gives the first result, whatever became of the context"],
    { log: () => new ConditionsBeforeKeys() }
  ),
  mutant(
    "keys forgotten",
    "Remembers the latest ten keys only.",
    ["keys are compared by code point, and each gives its own result"],
    { log: () => new ForgettingKeys() }
  )
]
