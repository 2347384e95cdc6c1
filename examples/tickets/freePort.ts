/** A port on 127.0.0.1 that nobody listens on. */
import * as Effect from "effect/Effect"
import { randomInt } from "node:crypto"
import { createServer } from "node:net"

/**
 * Below the ports that systems give to outgoing connections: such a connection could take the port while its server restarts,
 * and a client that connects to it again and again could end up connected to itself.
 */
export const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const attempt = (): void => {
    const port = randomInt(20_000, 32_000)
    const listener = createServer()
    listener.once("error", attempt)
    listener.listen(port, "127.0.0.1", () => listener.close(() => resume(Effect.succeed(port))))
  }
  attempt()
})
