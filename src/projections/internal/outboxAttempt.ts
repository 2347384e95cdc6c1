/**
 * One attempt to carry out a reaction, and what follows from it: it is done, it is due again after a while, or it is dead.
 *
 * A life is so many attempts. An entry's number of attempts tells its holders apart, so a revived entry begins another life where the
 * number goes on. It only becomes less where an attempt was leased and not begun: nobody has anything to write down under it.
 */
import { randomUUID } from "node:crypto"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import { causedBy } from "../../dispatch/CommandMetadata.ts"
import type { EventRecord } from "../../stores/Event.ts"
import type { OutboxEntry, OutboxKey, OutboxTable } from "../../stores/WorkspaceTables.ts"
import { traced } from "../../stores/tracing.ts"
import type { Outbox } from "../Outbox.ts"
import { ReactionTimedOut } from "../OutboxError.ts"
import { failureText } from "./failureText.ts"
import { carriedOut } from "./handling.ts"

const unanswered = "The last attempt has not been answered."

/** A holder of leases. It is stored in the place of a failure until the attempt is answered, and stays there when its process ends. */
export const newHolder = (): string => `${unanswered} Its worker: ${randomUUID()}`

/** Whether the attempt before has ended without a word. */
const isUnanswered = ({ failure }: OutboxEntry): boolean => failure?.startsWith(unanswered) === true

/** What becomes of an entry whose last attempt was not answered. */
export const givenUp = "The last attempt was not answered: its process ended, or was too slow. It may have succeeded."

/** What became of an attempt. */
export interface Settlement {
  readonly entry: OutboxEntry
  readonly write: (outbox: OutboxTable) => ReturnType<OutboxTable["acknowledge"]>
}

/**
 * The key under which a reaction is carried out: at most 255 bytes, since a reactor's name has at most 200. Events have their ids in any
 * log, numbers only in one.
 */
export const idempotencyKeyOf = ({ place, reactor }: OutboxKey, { eventId }: EventRecord): string =>
  `${reactor}/${eventId}/${place}`

/** Which attempt of its life it is, from 1. */
const attemptInLife = (attempts: number, most: number): number => ((attempts - 1) % most) + 1

/** Whether the attempt before was the last one of a life, and was not answered: this one must not begin. */
export const isGivenUp = (entry: OutboxEntry, most: number): boolean =>
  isUnanswered(entry) && attemptInLife(entry.attempts - 1, most) === most

/** Carries the reaction out and says what became of it. Never fails, and takes no longer than the timeout. */
export const carryOut = Effect.fnUntraced(function* <Reaction, R>(
  outbox: Outbox<Reaction, R>,
  entry: OutboxEntry,
  record: EventRecord
): Effect.fn.Return<Exit.Exit<void, unknown>, never, R> {
  const controller = new AbortController()
  const occasion = {
    idempotencyKey: idempotencyKeyOf(entry, record),
    record,
    attempt: entry.attempts,
    signal: controller.signal
  }
  const effort = traced("evolvent.carryOut", { "evolvent.reactor": entry.reactor }, () =>
    carriedOut(() => outbox.carryOut(JSON.parse(entry.body) as Reaction, occasion))
  )
  const fiber = yield* Effect.forkDetach(causedBy(record)(effort))
  const timedOut = new ReactionTimedOut({ reactor: entry.reactor, afterMs: outbox.timeout })
  const exit = yield* Effect.raceFirst(
    Fiber.await(fiber),
    Effect.as(Effect.sleep(Duration.millis(outbox.timeout)), Exit.fail(timedOut))
  )
  if (Exit.isFailure(exit)) controller.abort(timedOut)
  // What cannot be interrupted is not waited for.
  fiber.interruptUnsafe()
  return exit
})

/** What follows from how an attempt ended. */
export const settle = <Reaction>(
  { attempts: most, backOff }: Pick<Outbox<Reaction>, "attempts" | "backOff">,
  entry: OutboxEntry,
  exit: Exit.Exit<void, unknown>
): Effect.Effect<Settlement> => {
  const { attempts } = entry
  if (Exit.isSuccess(exit)) return Effect.succeed({ entry, write: (table) => table.acknowledge(entry, attempts) })
  const failure = failureText(Cause.squash(exit.cause))
  const attempt = attemptInLife(attempts, most)
  if (attempt === most) {
    return Effect.succeed({ entry, write: (table) => table.bury(entry, attempts, failure) })
  }
  const longest = Math.min(backOff.most, backOff.first * 2 ** (attempt - 1))
  return Effect.map(Random.next, (share) => {
    const delayMs = Math.round(share * longest)
    return { entry, write: (table) => table.postpone(entry, attempts, delayMs, failure) }
  })
}
