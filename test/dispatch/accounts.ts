/** A small domain for dispatch: accounts, with several deciders on the same facts, and one that misbehaves on demand. */
import * as Schema from "effect/Schema"
import * as Decider from "../../src/decider/Decider.ts"
import * as EventCatalog from "../../src/decider/EventCatalog.ts"
import type { EventQuery } from "../../src/stores/EventQuery.ts"
import * as Query from "../../src/stores/EventQuery.ts"

const Booking = Schema.Struct({ account: Schema.String, amount: Schema.Int })

/** Bookings carry the tag of their account's stream, notes do not. */
export const AccountEvents = EventCatalog.make({
  Deposited: EventCatalog.event(Booking, { tags: ({ account }) => [streamOf(account)] }),
  Withdrawn: EventCatalog.event(Booking, { tags: ({ account }) => [streamOf(account)] }),
  NoteTaken: Schema.Struct({ account: Schema.String, text: Schema.String })
})

export const streamOf = (account: string): string => `account:${account}`

/** The facts that all deciders here share: what happened to the account. */
export const factsOf = (account: string): EventQuery => AccountEvents.queryAll({ account })

/** A deposit as another process would append it. */
export const depositEvent = (account: string, amount: number) => ({
  eventType: "Deposited",
  payload: { account, amount },
  tags: [streamOf(account)]
})

export const withdrawalEvent = (account: string, amount: number) => ({
  ...depositEvent(account, amount),
  eventType: "Withdrawn"
})

export interface Book {
  readonly account: string
  readonly amount: number
}

/** Depositing nothing leads to nothing. The state counts deposits. */
export const deposit = Decider.make({
  name: "Deposit",
  events: AccountEvents,
  context: ({ account }: Book) => factsOf(account),
  initial: { deposits: 0 },
  evolve: { Deposited: ({ deposits }) => ({ deposits: deposits + 1 }) },
  decide: ({ account, amount }) =>
    amount === 0 ? Decider.nothing : Decider.accept(AccountEvents.Deposited({ account, amount }))
})

export class Insufficient extends Schema.TaggedError<Insufficient>()("Insufficient", { balance: Schema.Int }) {}

/** Cannot take out more than is there. */
export const withdraw = Decider.make({
  name: "Withdraw",
  events: AccountEvents,
  context: ({ account }: Book) => factsOf(account),
  initial: { balance: 0 },
  evolve: {
    Deposited: ({ balance }, { amount }) => ({ balance: balance + amount }),
    Withdrawn: ({ balance }, { amount }) => ({ balance: balance - amount })
  },
  decide: ({ account, amount }, { balance }) =>
    amount <= balance
      ? Decider.accept(AccountEvents.Withdrawn({ account, amount }))
      : Decider.reject(new Insufficient({ balance }))
})

export interface TakeNote {
  readonly account: string
  readonly text: string
}

/** Its fold throws when it meets the text "poison". */
export const takeNote = Decider.make({
  name: "TakeNote",
  events: AccountEvents,
  context: ({ account }: TakeNote) => factsOf(account),
  initial: { notes: 0 },
  evolve: {
    NoteTaken: ({ notes }, { text }) => {
      if (text === "poison") throw new Error("a bug in evolve")
      return { notes: notes + 1 }
    }
  },
  decide: ({ account, text }) => Decider.accept(AccountEvents.NoteTaken({ account, text }))
})

export interface Misbehave {
  readonly account: string
  readonly how: "throwInDecide" | "throwInView" | "refusedQuery" | "invalidPayload" | "unknownType" | "noDecision"
}

export const misbehave = Decider.make({
  name: "Misbehave",
  events: AccountEvents,
  context: ({ account, how }: Misbehave) => {
    if (how === "throwInView") throw new Error("a bug in the context")
    return how === "refusedQuery" ? Query.withTags("") : factsOf(account)
  },
  initial: {},
  evolve: {},
  decide: ({ account, how }) => {
    if (how === "throwInDecide") throw new Error("a bug in decide")
    if (how === "noDecision") return undefined as never
    if (how === "unknownType") return Decider.accept({ eventType: "Forged", payload: {} } as never)
    return Decider.accept(AccountEvents.Deposited({ account, amount: 0.5 }))
  }
})

/** Looks at every event of the log, whatever its type; the state counts them. */
export const everything = Decider.make({
  name: "Everything",
  events: AccountEvents,
  context: (): EventQuery => Query.all,
  initial: 0,
  evolve: {
    Deposited: (count) => count + 1,
    Withdrawn: (count) => count + 1,
    NoteTaken: (count) => count + 1
  },
  decide: ({ account, amount }: Book) => Decider.accept(AccountEvents.Deposited({ account, amount }))
})
