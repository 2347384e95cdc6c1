/**
 * What the SQL of the tables of a workspace is made of: the definitions that the stores' migrations create, and the little that differs
 * between the databases.
 */
import type * as Effect from "effect/Effect"
import type { EventStoreError } from "../../EventStoreError.ts"
import type { SqlValue } from "../../Transaction.ts"

/** What differs between the databases. */
export interface SqlDialect {
  /** The quoted name of one of the store's tables. */
  readonly table: (name: "log" | TableDefinition["name"]) => string
  /** Milliseconds since the Unix epoch, by the database's clock. */
  readonly now: string
  /** The objects in a JSON array in a parameter, as a column `value` of `e`. */
  readonly objects: (parameter: string) => string
  /** The texts in a JSON array in a parameter, as a column `value` of `e`. */
  readonly texts: (parameter: string) => string
  /** Ends a SELECT of rows to change: leaves out those that somebody else is about to change. */
  readonly skipLocked: string
}

/** A table of the workspace. */
interface TableDefinition {
  readonly name: "cursors" | "dead_letters" | "outbox" | "projection_versions"
  /** Each with its type. */
  readonly columns: ReadonlyArray<string>
  readonly primaryKey: string
  readonly index?: { readonly name: string; readonly columns: string }
}

/** What the migrations create, with the database's own names for the types of whole numbers and of texts. */
export const workspaceTables = ({
  text,
  whole
}: {
  readonly whole: string
  readonly text: string
}): ReadonlyArray<TableDefinition> => [
  {
    name: "cursors",
    columns: [
      `cursor ${text} NOT NULL`,
      `query ${text} NOT NULL`,
      `log_id ${text} NOT NULL`,
      `position ${whole} NOT NULL`,
      `owner ${text} NOT NULL`,
      `epoch ${whole} NOT NULL`,
      `leased_until ${whole} NOT NULL`,
      `paused ${whole} NOT NULL`,
      `moved_at ${whole} NOT NULL`
    ],
    primaryKey: "cursor"
  },
  {
    name: "dead_letters",
    columns: [
      `cursor ${text} NOT NULL`,
      `sequence_number ${whole} NOT NULL`,
      `letter_key ${text} NOT NULL`,
      `failure ${text}`,
      `replaying ${whole} NOT NULL`,
      `parked_at ${whole} NOT NULL`
    ],
    primaryKey: "cursor, sequence_number"
  },
  {
    name: "outbox",
    columns: [
      `reactor ${text} NOT NULL`,
      `sequence_number ${whole} NOT NULL`,
      `place ${whole} NOT NULL`,
      `body ${text} NOT NULL`,
      `attempts ${whole} NOT NULL`,
      `failure ${text}`,
      `dead ${whole} NOT NULL`,
      `due_at ${whole} NOT NULL`
    ],
    primaryKey: "reactor, sequence_number, place",
    index: { name: "due", columns: "reactor, dead, due_at" }
  },
  {
    name: "projection_versions",
    columns: [`projection ${text} NOT NULL`, `active_version ${whole} NOT NULL`],
    primaryKey: "projection"
  }
]

/** A row of one of the tables. */
export type Row = Readonly<Record<string, unknown>>

/** Runs a statement of the store's own. */
export type Run = (
  sql: string,
  parameters: ReadonlyArray<SqlValue>
) => Effect.Effect<ReadonlyArray<Row>, EventStoreError>
