/**
 * A proxy between a driver and a server, for faults: it passes on whole messages of the protocol, each as the test's rule says.
 * Messages of one direction keep their order; nothing is passed on that a rule has not seen. A server that agrees to encryption
 * makes the rest of that connection opaque.
 */
import type { Server, Socket } from "node:net"
import { connect, createServer } from "node:net"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { freePort } from "../../examples/tickets/freePort.ts"
import type { Direction, Frame } from "./wireProtocol.ts"
import { makeSplitters, textOf } from "./wireProtocol.ts"

export interface Message extends Frame {
  readonly direction: Direction
  /** Which connection to the proxy, from 0 on. */
  readonly connection: number
  /** Which message of its connection and direction, from 0 on. */
  readonly index: number
  /** What can be read in it: a statement, a tag, an error. */
  readonly text: string
}

export type Action =
  | "forward"
  /** Ends the connection for both, abruptly: before this message arrives, or as soon as it has been passed on. */
  | { readonly cut: "before" | "after" }
  /** From this message on nothing arrives any more that way, not even the end of the connection, which stays open. */
  | { readonly blackHole: Direction | "both" }
  /** Other bytes instead: none, one message or many. */
  | { readonly rewrite: Buffer }
  /** This message, and what comes behind it, waits for the effect's end. Afterwards: `forward`, if nothing else is said. */
  | { readonly hold: Effect.Effect<unknown>; readonly afterwards?: Action }

/** Called once for every message, in order. What it throws fails the test run. */
export type Rule = (message: Message) => Action

export interface PostgresProxy {
  /** As the server's, through the proxy. */
  readonly url: string
  /** For all messages from now on, of connections that are open too. */
  readonly setRule: (rule: Rule) => void
  /** Starts a new list of the messages from now on, which grows as they come; the one before ends. */
  readonly record: () => ReadonlyArray<Message>
  /** How many connections are open: to the driver, the server or both. */
  readonly connections: () => number
  /** Cuts this connection, or all that are open, now. */
  readonly disconnect: (connection?: number) => Effect.Effect<void>
  /** Makes this connection, or all that are open, a black hole, now: also where no message would come. */
  readonly blackHole: (direction: Direction | "both", connection?: number) => Effect.Effect<void>
  /** From now on connections are refused; those that are open stay. */
  readonly refuse: Effect.Effect<void>
  /** Accepts connections again, at the same port. */
  readonly accept: Effect.Effect<void>
}

/** Passes everything on. */
export const forwardAll: Rule = () => "forward"

/** Acts on the `n`th message, from 0 on and from now on, of those that `among` picks; passes on all others. */
export const atMessage = (n: number, among: (message: Message) => boolean, action: Action): Rule => {
  let seen = 0
  return (message) => (among(message) && seen++ === n ? action : "forward")
}

/** A proxy to the server of `url`, which is reached over TCP; closed with the scope, and every connection with it. */
export const proxyTo = (url: string): Effect.Effect<PostgresProxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    const server = new URL(url)
    const host = server.hostname.replace(/^\[(.*)\]$/, "$1")
    const port = yield* freePort
    const open = new Map<number, Connection>()
    const state: State = { rule: forwardAll, recording: undefined }
    let accepted = 0
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, (driver) => {
      const options = { host, port: Number(server.port || 5432), allowHalfOpen: true, noDelay: true }
      const number = accepted++
      open.set(number, new Connection(number, state, driver, connect(options), () => open.delete(number)))
    })
    const each = (number: number | undefined, act: (connection: Connection) => void) =>
      Effect.sync(() => {
        for (const [key, connection] of open) if (number === undefined || number === key) act(connection)
      })
    const disconnect = (number?: number) => each(number, (connection) => connection.cut())
    const accept = Effect.suspend(() => (listener.listening ? Effect.void : listen(listener, port)))
    yield* Effect.acquireRelease(accept, () => Effect.andThen(refuse(listener), disconnect()))
    const through = new URL(url)
    through.host = `127.0.0.1:${port}`
    return {
      url: through.href,
      setRule: (rule) => (state.rule = rule),
      record: () => (state.recording = []),
      connections: () => open.size,
      disconnect,
      blackHole: (direction, number) => each(number, (connection) => connection.blackHole(direction)),
      refuse: refuse(listener),
      accept
    }
  })

const listen = (listener: Server, port: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const failed = (error: Error) => resume(Effect.die(error))
    listener.once("error", failed)
    listener.listen(port, "127.0.0.1", () => {
      listener.off("error", failed)
      resume(Effect.void)
    })
  })

/** Does not wait for the connections that are open, as the callback of `close` does. */
const refuse = (listener: Server): Effect.Effect<void> => Effect.sync(() => void listener.close())

interface State {
  rule: Rule
  recording: Array<Message> | undefined
}

/** One driver's connection and the one to the server that belongs to it. */
class Connection {
  private readonly sockets: ReadonlyArray<Socket>
  private readonly flows: Readonly<Record<Direction, Flow>>

  constructor(number: number, state: State, driver: Socket, server: Socket, onClosed: () => void) {
    const splitters = makeSplitters()
    const flow = (direction: Direction, from: Socket, to: Socket) =>
      new Flow(this, { number, direction, state, split: splitters[direction] }, from, to)
    this.sockets = [driver, server]
    this.flows = { toServer: flow("toServer", driver, server), toClient: flow("toClient", server, driver) }
    for (const socket of this.sockets) {
      socket.on("error", () => {})
      socket.once("close", () => {
        if (this.sockets.every(({ destroyed }) => destroyed)) onClosed()
      })
    }
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy()
    for (const flow of Object.values(this.flows)) flow.letGo()
  }

  blackHole(direction: Direction | "both"): void {
    if (direction !== "toClient") this.flows.toServer.isBlackHole = true
    if (direction !== "toServer") this.flows.toClient.isBlackHole = true
  }
}

interface Course {
  readonly number: number
  readonly direction: Direction
  readonly state: State
  readonly split: (chunk: Buffer) => ReadonlyArray<Frame>
}

/** One direction of a connection: messages in their order, and the connection's end behind them. */
class Flow {
  isBlackHole = false
  private readonly queue: Array<Frame | "end"> = []
  private held: Fiber.Fiber<unknown> | undefined
  private index = 0
  private readonly connection: Connection
  private readonly course: Course
  private readonly to: Socket

  constructor(connection: Connection, course: Course, from: Socket, to: Socket) {
    this.connection = connection
    this.course = course
    this.to = to
    from.on("data", (chunk) => this.take(...course.split(chunk)))
    from.once("end", () => this.take("end"))
    // An end without a farewell: a connection that was reset or never made.
    from.once("close", () => {
      if (!from.readableEnded) this.take("end")
    })
  }

  /** Ends a wait, whatever it waits for. */
  letGo(): void {
    this.held?.interruptUnsafe()
    this.queue.length = 0
  }

  private take(...items: ReadonlyArray<Frame | "end">): void {
    this.queue.push(...items)
    this.to.cork()
    this.pass()
    this.to.uncork()
  }

  private pass(): void {
    while (this.held === undefined) {
      if (this.isBlackHole) this.queue.length = 0
      const item = this.queue.shift()
      if (item === undefined) return
      if (item === "end") this.to.end()
      else this.apply(this.decide(item), item.bytes)
    }
  }

  private decide(frame: Frame): Action {
    const { direction, number, state } = this.course
    const message = new SeenMessage(frame, direction, number, this.index++)
    state.recording?.push(message)
    return state.rule(message)
  }

  private apply(action: Action, bytes: Buffer): void {
    if (action === "forward") this.to.write(bytes)
    else if ("rewrite" in action) this.to.write(action.rewrite)
    else if ("blackHole" in action) {
      this.connection.blackHole(action.blackHole)
      // The other direction only: this message is on its way.
      if (!this.isBlackHole) this.to.write(bytes)
    } else if ("cut" in action) this.cutAfter(action.cut === "before" ? Buffer.alloc(0) : bytes)
    else this.hold(action.hold, action.afterwards ?? "forward", bytes)
  }

  /** Nothing else goes either way while the bytes, and those of earlier messages, go out. */
  private cutAfter(bytes: Buffer): void {
    this.connection.blackHole("both")
    this.to.write(bytes, () => this.connection.cut())
  }

  private hold(until: Effect.Effect<unknown>, afterwards: Action, bytes: Buffer): void {
    const fiber = Effect.runFork(until)
    this.held = fiber
    fiber.addObserver(() => {
      this.held = undefined
      if (this.to.destroyed || this.isBlackHole) return
      this.apply(afterwards, bytes)
      this.pass()
    })
  }
}

class SeenMessage implements Message {
  readonly type: string
  readonly bytes: Buffer
  readonly direction: Direction
  readonly connection: number
  readonly index: number

  constructor({ bytes, type }: Frame, direction: Direction, connection: number, index: number) {
    this.type = type
    this.bytes = bytes
    this.direction = direction
    this.connection = connection
    this.index = index
  }

  get text(): string {
    return textOf(this)
  }
}
