/** Streams of bytes become whole messages, wherever the chunks end. */
import { describe, expect, it } from "vitest"
import { commandComplete, errorResponse, makeSplitters, readyForQuery, simpleQuery, textOf } from "./wireProtocol.ts"

const opening = (code: number, body = ""): Buffer => {
  const message = Buffer.from(`........${body}`)
  message.writeUInt32BE(message.length, 0)
  message.writeUInt32BE(code, 4)
  return message
}

const startup = opening(196_608, "user\0ann\0\0")
const cancel = opening(80_877_102, "12345678")
const encryption = opening(80_877_103)

const typed = (type: string, body: string): Buffer => {
  const head = Buffer.from(`${type}....`)
  head.writeUInt32BE(Buffer.byteLength(body) + 4, 1)
  return Buffer.concat([head, Buffer.from(body)])
}

const chunksOf = (bytes: Buffer, size: number): ReadonlyArray<Buffer> =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))

describe("a splitter", () => {
  it.each([1, 2, 3, 4, 5, 7, 64, 100_000])("finds the same messages in chunks of %i bytes", (size) => {
    const messages = [startup, typed("Q", "BEGIN\0"), typed("S", ""), typed("B", "\0".repeat(1_000)), typed("X", "")]
    const split = makeSplitters().toServer
    const found = chunksOf(Buffer.concat(messages), size).flatMap((chunk) => split(chunk))
    expect(found.map(({ type }) => type)).toEqual(["startup", "Q", "S", "B", "X"])
    expect(found.map(({ bytes }) => bytes.toString("hex"))).toEqual(messages.map((bytes) => bytes.toString("hex")))
  })

  it("keeps to itself what is not complete", () => {
    const split = makeSplitters().toClient
    const message = commandComplete("COMMIT")
    expect(split(message.subarray(0, -1))).toEqual([])
    expect(split(message.subarray(-1))).toEqual([{ type: "C", bytes: message }])
  })

  it("knows the answer to a request for encryption by its place, and the start that follows a refusal", () => {
    const { toClient, toServer } = makeSplitters()
    expect(toServer(encryption).map(({ type }) => type)).toEqual(["encryption"])
    expect(toClient(Buffer.concat([Buffer.from("N")]))).toEqual([{ type: "encryption", bytes: Buffer.from("N") }])
    expect(toServer(Buffer.concat([startup, typed("X", "")])).map(({ type }) => type)).toEqual(["startup", "X"])
    expect(toClient(readyForQuery("I")).map(({ type }) => type)).toEqual(["Z"])
  })

  it("takes everything as opaque once a server has agreed to encryption", () => {
    const { toClient, toServer } = makeSplitters()
    toServer(encryption)
    toClient(Buffer.from("S"))
    expect(toServer(Buffer.from("\u0016abc")).map(({ type }) => type)).toEqual(["opaque"])
    expect(toClient(Buffer.from("\u0016")).map(({ type }) => type)).toEqual(["opaque"])
  })

  it("knows a request to cancel", () => {
    expect(makeSplitters().toServer(cancel)).toEqual([{ type: "cancel", bytes: cancel }])
  })
})

describe("the text of a message", () => {
  it("is what can be read in it", () => {
    expect(textOf({ type: "Q", bytes: typed("Q", "SELECT 'ä'\0") })).toBe("SELECT 'ä'")
    expect(textOf({ type: "Q", bytes: simpleQuery("SELECT 'ä'") })).toBe("SELECT 'ä'")
    expect(textOf({ type: "C", bytes: commandComplete("INSERT 0 1") })).toBe("INSERT 0 1")
    expect(textOf({ type: "E", bytes: errorResponse("40001", "try again") })).toContain("C40001 Mtry again")
    expect(textOf({ type: "startup", bytes: startup })).toContain("user ann")
  })
})
