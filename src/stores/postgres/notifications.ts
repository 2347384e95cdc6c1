/**
 * Hints between processes that the log has grown: an empty NOTIFY after a commit, outside of it, at most one in
 * `noticeInterval`. Nothing depends on them: streams look for themselves every `pollInterval`.
 *
 * Notices are sent and received on one connection of its own, so that a process can tell its own ones. The connection is
 * asked for a sign of life now and then, for a half-open one says nothing of its death, and is made anew when it fails.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as pg from "pg"
import type { ClientPool } from "./driver.ts"
import type { DatabaseSettings } from "./options.ts"

/** Milliseconds between two notices: the first one goes out at once. */
const noticeInterval = 25

/** Milliseconds between two signs of life. */
const lifeInterval = 10_000

/**
 * Milliseconds before a connection is made anew: longer with every try in a row that did not come to listen, for a pooler that
 * refuses to will go on refusing.
 */
export const reconnectDelay = (failures: number): number => Math.min(500 * 2 ** Math.max(0, failures - 1), 30_000)

export class Notifications {
  private readonly settings: DatabaseSettings
  private readonly channel: string
  private readonly received: () => void
  private due: (() => void) | undefined
  private isDue = false
  /** Tries in a row that did not come to listen. */
  private failures = 0

  /** `received` is called when another process has committed something, or may have. */
  constructor(settings: DatabaseSettings, received: () => void) {
    this.settings = settings
    this.channel = `evolvent_${settings.schema}`
    this.received = received
  }

  /** Lets other processes know that something was committed, soon. */
  send(): void {
    this.isDue = true
    this.due?.()
  }

  /** Keeps a connection that sends and listens, for ever. */
  readonly run: Effect.Effect<never> = Effect.gen({ self: this }, function* () {
    while (true) {
      this.failures++
      yield* Effect.ignore(Effect.scoped(this.listen()))
      this.received()
      yield* Effect.sleep(Duration.millis(reconnectDelay(this.failures)))
    }
  })

  /** Ends when the connection does. */
  private listen() {
    return Effect.gen({ self: this }, function* () {
      const { ended, query } = yield* connection(this.settings, this.received)
      yield* query(`LISTEN "${this.channel}"`, [])
      this.failures = 0
      this.received()
      const sending = yield* Effect.forkChild(this.sendWhenDue(query))
      yield* Effect.raceFirst(ended, Fiber.join(sending))
    })
  }

  private sendWhenDue(query: Query): Effect.Effect<void, ConnectionLost> {
    return Effect.gen({ self: this }, function* () {
      while (true) {
        const isDue = yield* Effect.timeoutOption(this.awaitDue, Duration.millis(lifeInterval))
        this.isDue = false
        yield* isDue._tag === "Some"
          ? query("SELECT pg_catalog.pg_notify($1, '')", [this.channel])
          : query("SELECT 1", [])
        yield* Effect.sleep(Duration.millis(noticeInterval))
      }
    })
  }

  private readonly awaitDue: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.isDue) return resume(Effect.void)
    this.due = () => {
      this.due = undefined
      resume(Effect.void)
    }
    return Effect.sync(() => {
      this.due = undefined
    })
  })
}

interface ConnectionLost {
  readonly _tag: "ConnectionLost"
}

const connectionLost: ConnectionLost = { _tag: "ConnectionLost" }

type Query = (text: string, values: Array<unknown>) => Effect.Effect<pg.QueryResult, ConnectionLost>

/** A client beside the pool, made like the pool's own ones. */
const connection = (settings: DatabaseSettings, received: () => void) =>
  Effect.gen(function* () {
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new pg.Client(clientConfig(settings))),
      (opened) => Effect.sync(() => void opened.end().catch(() => undefined))
    )
    const ended = Effect.callback<void>((resume) => {
      client.once("end", () => resume(Effect.void))
    })
    client.on("error", () => undefined)
    yield* attempt(() => client.connect())
    let pid: number | undefined
    client.on("notification", ({ processId }) => {
      if (processId !== pid) received()
    })
    const query: Query = (text, values) =>
      attempt(() => client.query(text, values)).pipe(
        Effect.timeoutOrElse({
          duration: Duration.millis(settings.answerTimeout),
          orElse: () => Effect.fail(connectionLost)
        })
      )
    const answer = yield* query("SELECT pg_catalog.pg_backend_pid() AS pid", [])
    pid = Number(answer.rows[0]?.pid)
    return { ended, query }
  })

/** A pool hides its password from whoever prints or copies it, so that is asked for by name. */
const clientConfig = ({ connectTimeout, pool, url }: DatabaseSettings): pg.ClientConfig => ({
  ...(pool?.options as pg.ClientConfig | undefined),
  ...passwordOf(pool),
  ...(url === undefined ? {} : { connectionString: url }),
  connectionTimeoutMillis: connectTimeout,
  keepAlive: true
})

const passwordOf = (pool: ClientPool | undefined): pg.ClientConfig => {
  const { password } = (pool?.options ?? {}) as pg.ClientConfig
  return password === undefined ? {} : { password }
}

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, ConnectionLost> =>
  Effect.tryPromise({ try: run, catch: () => connectionLost })
