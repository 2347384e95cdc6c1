/** The Promise facade: the same outcomes and errors for code that does not use Effect. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, describe, expect, it } from "vitest"
import { Application, EventStoreError, MemoryStore, WrongRevision } from "evolvent"
import { SqliteStore } from "evolvent/sqlite"
import { deposit, depositEvent, Insufficient, misbehave, streamOf, withdraw } from "./dispatch/accounts.ts"

const one = { account: "a", amount: 1 }
const folder = mkdtempSync(join(tmpdir(), "evolvent-application-"))
const opened: Array<Application.Application> = []

const open = async (options: Partial<Application.ApplicationOptions> = {}): Promise<Application.Application> => {
  const application = await Application.open({ store: MemoryStore.layer(), ...options })
  opened.push(application)
  return application
}

afterEach(async () => {
  for (const application of opened.splice(0)) await application.close()
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const failure = async (promise: Promise<unknown>): Promise<unknown> => {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error })
  )
  if ("value" in outcome) throw new Error(`the promise resolved with ${JSON.stringify(outcome.value)}`)
  return outcome.error
}

describe("an application", () => {
  it("gives outcomes as values, rejections of the domain among them", async () => {
    const application = await open()
    expect(await application.dispatch(withdraw, one)).toEqual({
      _tag: "Rejected",
      rejection: new Insufficient({ balance: 0 }),
      attempts: 1
    })
    expect(await application.dispatch(deposit, one)).toMatchObject({ _tag: "Accepted", position: 1, attempts: 1 })
    expect(await application.dispatch(deposit, { account: "a", amount: 0 })).toMatchObject({ _tag: "NothingToDo" })
  })

  it("appends once under an idempotency key, however often it is asked to", async () => {
    const application = await open()
    const first = await application.append([depositEvent("a", 1)], { idempotencyKey: "k" })
    expect(await application.append([depositEvent("a", 1)], { idempotencyKey: "k" })).toEqual(first)
    expect((await application.query()).headSequenceNumber).toBe(1)
  })

  it("appends and reads without a decision", async () => {
    const application = await open()
    expect(await application.append([depositEvent("a", 1), depositEvent("b", 1)])).toMatchObject({ committedCount: 2 })
    expect((await application.query()).headSequenceNumber).toBe(2)
    const { eventRecords } = await application.query({ filters: [{ tags: [streamOf("b")] }] })
    expect(eventRecords.map((record) => record.sequenceNumber)).toEqual([2])
  })

  it("dispatches concurrent commands through one lane", async () => {
    const application = await open()
    const answers = await Promise.all(Array.from({ length: 50 }, () => application.dispatch(deposit, one)))
    expect(answers.map((answer) => answer._tag === "Accepted" && answer.position)).toEqual(
      Array.from({ length: 50 }, (_, index) => index + 1)
    )
  })

  it("records the metadata of a call", async () => {
    const application = await open()
    const metadata = { actor: "ada", correlationId: "c" }
    await application.dispatch(deposit, one, { metadata })
    await application.dispatchToStream(deposit, streamOf("a"), one, { metadata: { actor: "bob" } })
    await application.dispatch(deposit, one)
    const { eventRecords } = await application.query()
    expect(eventRecords.map((record) => record.metadata)).toEqual([metadata, { actor: "bob" }, {}])
  })

  it("dispatches to a stream at a revision", async () => {
    const application = await open()
    const stream = streamOf("a")
    const accepted = await application.dispatchToStream(deposit, stream, one, { expectedRevision: null })
    expect(accepted).toMatchObject({ _tag: "Accepted", position: 1 })
    const error = await failure(application.dispatchToStream(deposit, stream, one, { expectedRevision: null }))
    expect(error).toBeInstanceOf(WrongRevision)
    expect(error).toMatchObject({ expected: null, actual: 1 })
  })

  it("rejects promises with the typed error itself", async () => {
    const application = await open()
    const refused = await failure(application.append([]))
    expect(refused).toBeInstanceOf(EventStoreError.EventStoreError)
    expect(refused).toMatchObject({ reason: { _tag: "EmptyAppend" } })
    expect(await failure(application.dispatch(misbehave, { account: "a", how: "invalidPayload" }))).toMatchObject({
      _tag: "EncodeError"
    })
    expect(await failure(application.dispatch(misbehave, { account: "a", how: "throwInDecide" }))).toEqual(
      new Error("a bug in decide")
    )
    expect(await failure(application.dispatch(deposit, one, { attempts: 0 }))).toMatchObject({
      reason: { _tag: "InvalidInput", path: "options.attempts" }
    })
  })

  it("does not open where the store or an option is refused", async () => {
    expect(await failure(open({ store: SqliteStore.layer({ file: ":memory:" }) }))).toMatchObject({
      _tag: "EventStoreError",
      reason: { _tag: "InvalidInput", path: "options.file" }
    })
    expect(await failure(open({ cachedContexts: -1 }))).toMatchObject({
      reason: { _tag: "InvalidInput", path: "options.cachedContexts" }
    })
  })

  it("closes its store, once or several times", async () => {
    const file = join(folder, "log.sqlite")
    const first = await open({ store: SqliteStore.layer({ file }) })
    await first.dispatch(deposit, one)
    await Promise.all([first.close(), first.close()])
    await first.close()
    const second = await open({ store: SqliteStore.layer({ file }) })
    expect(await second.dispatch(deposit, one)).toMatchObject({ position: 2, state: { deposits: 2 } })
    await second.close()
  })

  it("answers every call after close with StoreClosed", async () => {
    const application = await open()
    await application.dispatch(deposit, one)
    await application.close()
    const closed = { _tag: "EventStoreError", reason: { _tag: "StoreClosed" } }
    expect(await failure(application.dispatch(deposit, one))).toMatchObject(closed)
    expect(await failure(application.dispatchToStream(deposit, streamOf("a"), one))).toMatchObject(closed)
    expect(await failure(application.append([depositEvent("a", 1)]))).toMatchObject(closed)
    expect(await failure(application.query())).toMatchObject(closed)
  })
})
