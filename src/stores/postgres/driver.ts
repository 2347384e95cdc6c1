/**
 * What the store needs of the driver: the shapes of `pg`'s pool and clients, so that an application's own pool fits whatever
 * version of the types it was made with.
 */

/** What is sent in the place of `$1`: a text, a number as its text, bytes as they are. */
export type Parameter = string | number | Buffer | null

/** A query as `pg` takes it. Rows come as arrays of texts, for the store reads numbers itself. */
export interface ClientQuery {
  readonly name?: string
  readonly text: string
  readonly values?: Array<Parameter>
  readonly rowMode: "array"
  /** Leaves every value as the text that the server sent, whatever parsers the application has set. */
  readonly types: { readonly getTypeParser: () => (text: string) => string }
}

export interface ClientAnswer {
  readonly rows: ReadonlyArray<ReadonlyArray<string | null>>
  /** The first word of the command's tag, for example `COMMIT`; `null` when none came. */
  readonly command: string | null
  /** How many rows the tag says there are. */
  readonly rowCount: number | null
}

/** What a query of one's own needs of the driver's connection. */
export interface Connection {
  readonly stream: { cork(): void; uncork(): void }
  /** Texts of the statements that the server has prepared, by their names. */
  readonly parsedStatements: Record<string, string | undefined>
  /** Those that it was asked to prepare, where the driver keeps them. */
  readonly submittedNamedStatements?: Record<string, string | undefined>
  query(text: string): void
  parse(statement: { readonly text: string; readonly name: string | undefined }): void
  bind(portal: {
    readonly statement: string | undefined
    readonly values: ReadonlyArray<Parameter>
    readonly valueMapper: (value: Parameter) => string | Buffer | null
  }): void
  execute(portal: object): void
  sync(): void
}

/** A connection that is lent out. */
export interface PoolClient {
  query(query: ClientQuery): Promise<ClientAnswer>
  query(query: { submit(connection: Connection): Error | null }): unknown
  /** Only drivers in JavaScript have one. */
  readonly connection?: object
  /** Whether queries are sent before those before them are answered. */
  readonly pipeline?: boolean
  /** `I` outside of a transaction, `T` within one, `E` within one that failed. Older drivers do not say. */
  getTransactionStatus?(): string | null
  /** Gives the connection back; with `true` it is closed instead. */
  release(destroy?: boolean): void
  on(event: "error", listener: (error: Error) => void): unknown
  removeListener(event: "error", listener: (error: Error) => void): unknown
}

/** A pool of connections: a `pg.Pool`. */
export interface ClientPool {
  /** Lends a connection, to which nobody listens from the moment of the call back on. */
  connect(lent: (error: Error | undefined, client: PoolClient | undefined) => void): void
  on(event: "error", listener: (error: Error) => void): unknown
  removeListener(event: "error", listener: (error: Error) => void): unknown
  readonly options?: object
}
