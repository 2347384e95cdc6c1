/**
 * A statement that speaks the protocol on the driver's connection by itself, as pg's own queries and those of pg-cursor do: it does
 * not ask what its rows look like, for the store knows, and takes them as the texts that they are sent as.
 */
import type { ClientAnswer, ClientQuery, Connection, Parameter, PoolClient } from "./driver.ts"

export type Query = Pick<ClientQuery, "name" | "text" | "values">

/** Is told the answer, or the driver's error. */
type Take = (answer: ClientAnswer | undefined, error: unknown) => void

/** Sends a query and takes its answer; the last one where its text is several statements. */
export const submit = (client: PoolClient, query: Query, take: Take): void => {
  // A client that sends queries ahead of others' answers takes the driver's own only.
  if (client.connection === undefined || client.pipeline === true) {
    client.query({ ...query, rowMode: "array", types: asText }).then(
      (answers) => take(Array.isArray(answers) ? (answers as ReadonlyArray<ClientAnswer>).at(-1)! : answers, undefined),
      (error: unknown) => take(undefined, error)
    )
  } else client.query(new Submission(query, (error, answer) => take(answer, error)))
}

const asText = { getTypeParser: () => (text: string) => text }

/** What the driver calls, and reads: the name and the text, to know what the server has prepared. */
class Submission {
  name: string | undefined
  readonly text: string
  /** The driver puts its own before it where a client has a time limit for queries. */
  callback: (error: unknown, answer: ClientAnswer | undefined) => void
  private readonly values: ReadonlyArray<Parameter>
  private rows: Array<ReadonlyArray<string | null>> = []
  private command: string | null = null
  private rowCount: number | null = null
  private isOver = false

  constructor({ name, text, values = [] }: Query, callback: Submission["callback"]) {
    this.name = name
    this.text = text
    this.values = values
    this.callback = callback
  }

  submit(connection: Connection): Error | null {
    if (this.name === undefined && this.values.length === 0) {
      connection.query(this.text)
      return null
    }
    connection.stream.cork()
    try {
      this.prepare(connection)
      connection.bind({ statement: this.name, values: this.values, valueMapper: toParameter })
      connection.execute({})
      connection.sync()
    } catch (error) {
      // More than a message holds.
      return error as Error
    } finally {
      connection.stream.uncork()
    }
    return null
  }

  /** Of several statements in one text the last one counts. */
  handleRowDescription(): void {
    this.rows = []
  }

  handleDataRow({ fields }: { readonly fields: ReadonlyArray<string | null> }): void {
    this.rows.push(fields)
  }

  /** The tag is a command, and for some of them how many rows it is about. */
  handleCommandComplete({ text }: { readonly text: string }): void {
    const words = text.split(" ")
    this.command = words[0]!
    this.rowCount = words.length === 1 ? null : Number(words[words.length - 1])
  }

  handleEmptyQuery(): void {}

  handlePortalSuspended(): void {}

  handleError(error: unknown): void {
    this.end(error, undefined)
  }

  handleReadyForQuery(): void {
    const { command, rowCount, rows } = this
    this.end(undefined, { command, rowCount, rows })
  }

  private prepare(connection: Connection): void {
    const { parsedStatements, submittedNamedStatements } = connection
    const known = this.name && (parsedStatements[this.name] ?? submittedNamedStatements?.[this.name])
    if (known === this.text) return
    // Somebody else has given the name to another statement.
    if (known !== undefined) this.name = undefined
    const { name, text } = this
    if (name !== undefined && submittedNamedStatements !== undefined) submittedNamedStatements[name] = text
    connection.parse({ text, name })
  }

  /** When the driver is done with what it was told. */
  private end(error: unknown, answer: ClientAnswer | undefined): void {
    if (this.isOver) return
    this.isOver = true
    queueMicrotask(() => this.callback(error, answer))
  }
}

const toParameter = (value: Parameter): string | Buffer | null => (typeof value === "number" ? String(value) : value)
