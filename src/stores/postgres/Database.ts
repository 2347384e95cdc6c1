/**
 * Statements on connections of a pool. Waiting for a connection and for an answer is bounded; a connection on which
 * anything went wrong is closed, never given back.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { EventStoreError } from "../EventStoreError.ts"
import { fromReason, StoreUnavailable } from "../EventStoreError.ts"
import type { ClientAnswer, ClientPool, ClientQuery, Parameter, PoolClient } from "./driver.ts"
import type { Failure } from "./driverErrors.ts"
import { readFailure, toFailure, toUnavailable } from "./driverErrors.ts"
import type { DatabaseSettings } from "./options.ts"
import { raised } from "./functions.ts"
import type { Query } from "./submitting.ts"
import { submit } from "./submitting.ts"

export type Rows = ReadonlyArray<ReadonlyArray<string | null>>

/** SQLSTATEs that say that the role's settings do not fit: a transaction that names its own will do. */
const wrongTransaction: ReadonlySet<string> = new Set([raised.isolation, "25006"])

/** SQLSTATEs of a prepared statement that is not there, or is there already. */
const lostStatement: ReadonlySet<string> = new Set(["26000", "42P05"])

/** The code of an answer that did not come in time. */
export const answerTimeout = "ANSWER_TIMEOUT"

/** The SQLSTATE of a transaction that the server has ended, for nothing was asked in it for too long. */
const idleTimeout = "25P03"

/** A transaction was left open on the connection by whoever had it before: nothing is committed there. */
const leftOpen: Failure = { _tag: "Lost", code: "25001" }

/** What is said of a COMMIT that was answered with ROLLBACK. */
const rolledBack: Failure = { _tag: "Refused", code: "40000", detail: undefined, waitedMs: 0 }

/** The same where a statement of the application's has failed before, which trying again does not mend. */
const failedBefore: Failure = { ...rolledBack, code: "25P02" }

export class Database {
  private readonly pool: ClientPool
  private readonly settings: DatabaseSettings
  /** Whether writing statements need a transaction that says how it wants to be isolated. */
  private isExplicit = false
  private working = 0
  /** Whether statements are prepared once a connection. A pooler that hands connections around may not keep them. */
  private isPrepared = true

  constructor(pool: ClientPool, settings: DatabaseSettings) {
    this.pool = pool
    this.settings = settings
  }

  /** Runs a statement that only reads, or may happen twice: once more where the connection had ended while it was idle. */
  read(
    operation: string,
    statement: Statement,
    values: Array<Parameter>
  ): Effect.Effect<Rows, Failure | StoreUnavailable> {
    const once = this.adapting((query) => this.askOnce(operation, query), { ...statement, values })
    return Effect.catch(once, (failure) =>
      failure._tag === "Lost" && failure.code !== answerTimeout ? once : Effect.fail(failure)
    )
  }

  /**
   * Runs a statement that writes, in a transaction of its own: usually the one that the server makes for it, which takes one
   * round trip.
   */
  write(
    operation: string,
    statement: Statement,
    values: Array<Parameter>
  ): Effect.Effect<Rows, Failure | StoreUnavailable> {
    return this.adapting(
      (query) =>
        this.isExplicit
          ? this.transaction(operation, (ask) => ask(query.text, query.values, query.name))
          : this.askOnce(operation, query),
      { ...statement, values }
    )
  }

  /** Runs a query again, another way, when the server says that this way does not fit the role or the pooler. */
  private adapting<E>(
    run: (query: Query) => Effect.Effect<Rows, Failure | E>,
    query: Query
  ): Effect.Effect<Rows, Failure | E> {
    return Effect.suspend(() => {
      // As this run goes about it: while it is under way another one may find out the same.
      const { isExplicit, isPrepared } = this
      return Effect.catch(run(isPrepared ? query : unnamed(query)), (failure) => {
        const code = isRefused(failure) ? failure.code : ""
        if (wrongTransaction.has(code) && !isExplicit) this.isExplicit = true
        else if (lostStatement.has(code) && isPrepared) this.isPrepared = false
        else return Effect.fail(failure)
        return this.adapting(run, query)
      })
    })
  }

  /**
   * Runs statements on one connection, in one transaction. What fails before its COMMIT has done nothing, whatever has become of
   * the connection.
   */
  transaction<A, E>(
    operation: string,
    run: (ask: Ask) => Effect.Effect<A, Failure | E>
  ): Effect.Effect<A, Failure | StoreUnavailable | E> {
    return this.withClient(operation, (client) => {
      const ask: Ask = (text, values = [], name = undefined) =>
        Effect.mapError(this.ask(client, name === undefined ? { text, values } : { name, text, values }), toRefused)
      return ask(begin).pipe(
        Effect.andThen(Effect.suspend(() => run(ask))),
        Effect.tap(() => this.commit(client))
      )
    })
  }

  /**
   * Runs work of the application's in a transaction. The work may be interrupted, fail or die: then the connection is closed, and with
   * it goes what was done.
   */
  work<A, E, R>(
    operation: string,
    idleMs: number,
    run: (client: PoolClient) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | EventStoreError, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen(() => this.carryOut(operation, idleMs, (client) => restore(Effect.suspend(() => run(client)))))
    )
  }

  private *carryOut<A, E, R>(
    operation: string,
    idleMs: number,
    run: (client: PoolClient) => Effect.Effect<A, E, R>
  ): Effect.fn.Return<A, E | EventStoreError, R> {
    const asError = Effect.mapError((failure: Failure) => fromReason(readFailure(failure, operation)))
    const begun = {
      text:
        `${begin}; SET LOCAL idle_in_transaction_session_timeout = ${Math.max(1, Math.round(idleMs))}; ` +
        "SET LOCAL bytea_output = 'hex'"
    }
    const client = yield* Effect.mapError(this.connect(operation), fromReason)
    this.working++
    let broken: string | undefined
    const noteBroken = (error: unknown) => {
      broken ??= toUnavailable(error, operation).code
    }
    client.on("error", noteBroken)
    const exit = yield* asError(this.ask(client, begun)).pipe(
      Effect.andThen(run(client)),
      Effect.tap(() =>
        asError(Effect.mapError(this.commit(client), (failure) => (failure === rolledBack ? failedBefore : failure)))
      ),
      Effect.exit
    )
    this.working--
    client.removeListener("error", noteBroken)
    giveBack(client, Exit.isFailure(exit) || isWithinTransaction(client))
    if (broken !== undefined && Exit.isFailure(exit)) {
      // Who takes too long between two statements takes as long the next time: no outage to be waited for.
      const retryable = broken !== idleTimeout
      return yield* fromReason(new StoreUnavailable({ code: broken, operation, retryable }))
    }
    return yield* exit
  }

  get answerTimeout(): number {
    return this.settings.answerTimeout
  }

  /** Whether work of the application's is under way. */
  get isWorking(): boolean {
    return this.working > 0
  }

  /** A COMMIT that is answered with ROLLBACK did not commit. */
  private commit(client: PoolClient): Effect.Effect<void, Failure> {
    return Effect.flatMap(this.answer(client, { text: "COMMIT" }), ({ command }) =>
      command === "COMMIT" ? Effect.void : Effect.fail(rolledBack)
    )
  }

  private ask(client: PoolClient, query: Query): Effect.Effect<Rows, Failure> {
    return Effect.map(this.answer(client, query), ({ rows }) => rows)
  }

  private answer(client: PoolClient, query: Query): Effect.Effect<ClientAnswer, Failure> {
    return Effect.callback<ClientAnswer, Failure>((resume) =>
      this.send(client, query, (answer, failure) =>
        resume(answer === undefined ? Effect.fail(failure!) : Effect.succeed(answer))
      )
    )
  }

  /** Sends a query and waits for its answer, for so long. */
  private send(client: PoolClient, query: Query, take: Take<ClientAnswer, Failure>): void {
    const start = performance.now()
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      take(undefined, { _tag: "Lost", code: answerTimeout })
    }, this.settings.answerTimeout)
    submit(client, query, (answer, error) => {
      clearTimeout(timer)
      if (isLate) return
      if (answer === undefined) take(undefined, toFailure(error, Math.round(performance.now() - start)))
      else if (isWhole(answer)) take(answer, undefined)
      else take(undefined, { _tag: "Lost", code: "BROKEN_ANSWER" })
    })
  }

  /** Lends a connection for one statement. It is closed when that fails, unless the server only refused it. */
  private askOnce(operation: string, query: Query): Effect.Effect<Rows, Failure | StoreUnavailable> {
    return Effect.uninterruptible(
      Effect.callback<Rows, Failure | StoreUnavailable>((resume) =>
        this.lend(operation, (client, unavailable) => {
          if (client === undefined) return resume(Effect.fail(unavailable!))
          this.send(client, query, (answer, failure) => {
            const end = Effect.suspend(() => {
              const failed = failure ?? (isWithinTransaction(client) ? leftOpen : undefined)
              giveBack(client, failed !== undefined && failed._tag !== "Refused")
              return failed === undefined ? Effect.succeed(answer!.rows) : Effect.fail(failed)
            })
            resume(end)
          })
        })
      )
    )
  }

  /** Lends a connection. It is closed when the work fails. */
  private withClient<A, E>(
    operation: string,
    work: (client: PoolClient) => Effect.Effect<A, Failure | E>
  ): Effect.Effect<A, Failure | StoreUnavailable | E> {
    return Effect.uninterruptible(
      Effect.flatMap(this.connect(operation), (client) =>
        Effect.matchEffect(work(client), {
          onFailure: (failure) => {
            giveBack(client, true)
            return Effect.fail(failure)
          },
          onSuccess: (value) => {
            const isOpen = isWithinTransaction(client)
            giveBack(client, isOpen)
            return isOpen ? Effect.fail(leftOpen) : Effect.succeed(value)
          }
        })
      )
    )
  }

  private connect(operation: string): Effect.Effect<PoolClient, StoreUnavailable> {
    return Effect.callback<PoolClient, StoreUnavailable>((resume) =>
      this.lend(operation, (client, unavailable) =>
        resume(client === undefined ? Effect.fail(unavailable!) : Effect.succeed(client))
      )
    )
  }

  /** Waits for a connection of the pool, for so long. */
  private lend(operation: string, take: Take<PoolClient, StoreUnavailable>): void {
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      take(undefined, new StoreUnavailable({ code: "CONNECT_TIMEOUT", operation, retryable: true }))
    }, this.settings.connectTimeout)
    borrow(this.pool, (error, client) => {
      clearTimeout(timer)
      if (client === undefined) {
        if (!isLate) take(undefined, toUnavailable(error, operation))
      } else if (isLate) client.release()
      else if (isWithinTransaction(client)) {
        client.release(true)
        this.lend(operation, take)
      } else {
        // A broken connection shows in the query at hand and is emitted as well, maybe before this callback's turn is over.
        client.on("error", ignore)
        take(client, undefined)
      }
    })
  }
}

/** Takes a result, or why there is none. */
type Take<A, E> = (result: A | undefined, failure: E | undefined) => void

/** Sends text with parameters on the connection at hand; prepared under a name where it has one. */
export type Ask = (text: string, values?: Array<Parameter>, name?: string) => Effect.Effect<Rows, Failure>

type Statement = Pick<ClientQuery, "name" | "text">

const unnamed = ({ text, values }: Query): Query => (values === undefined ? { text } : { text, values })

const isRefused = (failure: unknown): failure is Failure & { readonly _tag: "Refused" } =>
  (failure as Failure)._tag === "Refused"

const begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

/** Before COMMIT nothing can have happened. */
const toRefused = (failure: Failure): Failure =>
  failure._tag === "Lost" ? { _tag: "Refused", code: "08006", detail: undefined, waitedMs: 0 } : failure

/** Whether everything has come that the server says it has sent. */
const isWhole = ({ command, rowCount, rows }: ClientAnswer): boolean =>
  command !== null && (command !== "SELECT" || rowCount === rows.length)

/** The driver throws where it cannot read the connection string of an application's pool. */
const borrow = (pool: ClientPool, take: Parameters<ClientPool["connect"]>[0]): void => {
  try {
    pool.connect(take)
  } catch (error) {
    take(error as Error, undefined)
  }
}

/**
 * Whether somebody has given the connection back without ending what they had begun: nothing is committed there. Looked at before
 * and afterwards, for what they began may only have been on its way.
 */
const isWithinTransaction = (client: PoolClient): boolean => {
  const status = client.getTransactionStatus?.()
  return status === "T" || status === "E"
}

/** From here on the pool listens to the connection. */
const giveBack = (client: PoolClient, isBroken: boolean): void => {
  client.release(isBroken)
  client.removeListener("error", ignore)
}

const ignore = (): void => undefined
