/** Outboxes for code that does not use Effect: reactions carried out by async functions, and what can be asked, with promises. */
import { Application, dispatch, EventStoreError, MemoryStore, Outbox, Reactor } from "evolvent"
import { afterEach, describe, expect, it } from "vitest"
import { AccountEvents, deposit, depositEvent, factsOf } from "../dispatch/accounts.ts"

/** Tells of every deposit to `a`. */
const bonus = Reactor.make({
  name: "bonus",
  events: AccountEvents,
  query: factsOf("a"),
  react: { Deposited: ({ amount }) => [{ account: "b", amount }] }
})

let app: Application.Application | undefined

const open = async (...outboxes: ReadonlyArray<Application.ApplicationOutbox<any>>): Promise<Application.Application> =>
  (app = await Application.open({ store: MemoryStore.layer(), outboxes }))

afterEach(() => app?.close())

describe("an application with outboxes", () => {
  it("carries reactions out with an async function, and gives dead ones another try", async () => {
    const amounts: Array<number> = []
    let isOut = true
    const outbox = Outbox.make({
      reactor: bonus,
      attempts: 1,
      carryOut: async ({ amount }) => {
        if (isOut && amount === 2) return Promise.reject(new Error("no service"))
        amounts.push(amount)
      }
    })
    const opened = await open(outbox)
    const { lastSequenceNumber } = await opened.append([1, 2, 3].map((amount) => depositEvent("a", amount)))
    const { dead, drop, revive, settled, status } = opened.outbox(outbox)
    await settled(lastSequenceNumber)
    expect(amounts.toSorted()).toEqual([1, 3])
    expect(await status()).toMatchObject({ waiting: 0, dead: 1, reactors: [{ reactor: "bonus", position: 3 }] })
    expect(await dead()).toMatchObject([{ sequenceNumber: 2, reaction: { account: "b", amount: 2 }, attempts: 1 }])
    isOut = false
    expect(await revive()).toBe(1)
    await settled(lastSequenceNumber)
    expect(amounts.toSorted()).toEqual([1, 2, 3])
    expect(await drop([{ reactor: "bonus", sequenceNumber: 2, place: 0 }])).toBe(0)
    await opened.outbox(outbox).resume()
  })

  it("runs effects that dispatch, caused by what they react to", async () => {
    const outbox = Outbox.make({
      reactor: bonus,
      carryOut: (book, { idempotencyKey }) => dispatch(deposit, book, { idempotencyKey })
    })
    const opened = await open(outbox)
    const { commitId, lastSequenceNumber } = await opened.append([depositEvent("a", 7)])
    await opened.outbox(outbox).settled(lastSequenceNumber)
    const { eventRecords } = await opened.query(factsOf("b"))
    expect(eventRecords).toMatchObject([{ payload: { account: "b", amount: 7 }, metadata: { causationId: commitId } }])
  })

  it("answers for no outbox but those that it runs, and for none after close", async () => {
    const outbox = Outbox.make({ reactor: bonus, carryOut: () => undefined })
    const opened = await open(outbox)
    expect(() => opened.outbox(Outbox.make({ reactor: bonus, carryOut: () => undefined }))).toThrow(
      /does not run this outbox/
    )
    await opened.close()
    await expect(opened.outbox(outbox).status()).rejects.toMatchObject({ reason: { _tag: "StoreClosed" } })
  })

  it("does not open when an outbox is there twice", async () => {
    const outbox = Outbox.make({ reactor: bonus, carryOut: () => undefined })
    const refused: unknown = await open(outbox, outbox).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(EventStoreError.EventStoreError)
    expect(refused).toMatchObject({ reason: { _tag: "DurableStreamActive" } })
  })

  it("starts no effect after close, and lets one that runs finish", async () => {
    const log: Array<string> = []
    let go = (): void => undefined
    const started = new Promise<void>((resolve) => {
      go = resolve
    })
    const outbox = Outbox.make({
      reactor: bonus,
      concurrency: 1,
      carryOut: async ({ amount }) => {
        log.push(`begin ${amount}`)
        go()
        await new Promise((resolve) => setTimeout(resolve, 50))
        log.push(`end ${amount}`)
      }
    })
    const opened = await open(outbox)
    await opened.append([depositEvent("a", 1), depositEvent("a", 2)])
    await started
    await opened.close()
    expect(log).toEqual(["begin 1", "end 1"])
  })
})
