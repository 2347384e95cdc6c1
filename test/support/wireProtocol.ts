/**
 * PostgreSQL's wire protocol, version 3, as far as a proxy needs it: a stream of bytes cut into whole messages, and answers of
 * a server made by hand. A message is a letter, its length (which counts itself, not the letter) and a body; only a client's
 * opening messages have no letter, and only the answer to a request for encryption is a bare byte.
 */
export type Direction = "toServer" | "toClient"

export interface Frame {
  /**
   * The protocol's letter, which means one thing in one direction and another in the other; or `startup`, `cancel`,
   * `encryption` (the request for it, and the answer), `opaque` (bytes after a server has agreed to encryption).
   */
  readonly type: string
  readonly bytes: Buffer
}

/** What the two directions of one connection know of each other. */
interface Opening {
  hasStarted: boolean
  answersToCome: number
  isEncrypted: boolean
}

const cancelRequest = 80_877_102
const encryptionRequests: ReadonlyArray<number> = [80_877_103, 80_877_104]

/** Give each the chunks of its direction, get the messages that are complete. */
export const makeSplitters = (): Readonly<Record<Direction, (chunk: Buffer) => ReadonlyArray<Frame>>> => {
  const opening: Opening = { hasStarted: false, answersToCome: 0, isEncrypted: false }
  return { toServer: makeSplitter(opening, nextToServer), toClient: makeSplitter(opening, nextToClient) }
}

type Next = (opening: Opening, rest: Buffer) => { readonly type: string; readonly size: number } | undefined

const makeSplitter = (opening: Opening, next: Next) => {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk: Buffer): ReadonlyArray<Frame> => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const frames: Array<Frame> = []
    while (rest.length > 0) {
      const found = opening.isEncrypted ? { type: "opaque", size: rest.length } : next(opening, rest)
      if (found === undefined || rest.length < found.size) break
      frames.push({ type: found.type, bytes: rest.subarray(0, found.size) })
      rest = rest.subarray(found.size)
    }
    return frames
  }
}

const nextToServer: Next = (opening, rest) => {
  if (opening.hasStarted) return nextTyped(rest)
  if (rest.length < 8 || rest.length < rest.readUInt32BE(0)) return undefined
  const size = rest.readUInt32BE(0)
  const code = rest.readUInt32BE(4)
  if (code === cancelRequest) return { type: "cancel", size }
  if (encryptionRequests.includes(code)) {
    opening.answersToCome++
    return { type: "encryption", size }
  }
  opening.hasStarted = true
  return { type: "startup", size }
}

const nextToClient: Next = (opening, rest) => {
  if (opening.answersToCome === 0) return nextTyped(rest)
  opening.answersToCome--
  opening.isEncrypted = rest[0] !== "N".charCodeAt(0)
  return { type: "encryption", size: 1 }
}

const nextTyped = (rest: Buffer) =>
  rest.length < 5 ? undefined : { type: String.fromCharCode(rest[0] ?? 0), size: 1 + rest.readUInt32BE(1) }

/** What can be read in a message (a statement, a tag, an error), with spaces for all that cannot. */
export const textOf = ({ bytes, type }: Frame): string =>
  bytes
    .toString("utf8", type.length === 1 ? 5 : 0)
    .replaceAll(/\p{Cc}/gu, " ")
    .trim()

const typed = (type: string, body: string): Buffer => {
  const message = Buffer.from(`${type}....${body}`)
  message.writeUInt32BE(message.length - 1, 1)
  return message
}

/** A client's Query: a statement without parameters. */
export const simpleQuery = (text: string): Buffer => typed("Q", `${text}\0`)

/** A server's CommandComplete: `COMMIT`, `INSERT 0 1`. */
export const commandComplete = (tag: string): Buffer => typed("C", `${tag}\0`)

/** A server's ErrorResponse. After `FATAL` a server closes the connection, which the proxy does not do by itself. */
export const errorResponse = (code: string, message: string, severity: "ERROR" | "FATAL" = "ERROR"): Buffer =>
  typed("E", `S${severity}\0V${severity}\0C${code}\0M${message}\0\0`)

/** A server's ReadyForQuery: idle, in a transaction, or in one that failed. */
export const readyForQuery = (status: "I" | "T" | "E"): Buffer => typed("Z", status)
