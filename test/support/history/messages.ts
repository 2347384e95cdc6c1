/** What a test and its historians say to each other. */
import type { PostgresOptions } from "evolvent/postgres"
import type { SqliteOptions } from "evolvent/sqlite"
import type { Operation } from "./History.ts"

export interface Orders {
  readonly process: number
  readonly seed: number
  /** Calls in all, those that only read the context of the next one not counted. */
  readonly operations: number
  /** Calls at once. */
  readonly workers: number
  readonly location: Location
}

export type Location =
  | { readonly store: "postgres"; readonly options: PostgresOptions }
  | { readonly store: "sqlite"; readonly options: SqliteOptions }

export type ToHistorian =
  { readonly _tag: "Orders"; readonly orders: Orders } | { readonly _tag: "Begin" } | { readonly _tag: "Finish" }

export type FromHistorian =
  | { readonly _tag: "Loaded" }
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Done" }
  | { readonly _tag: "Recorded"; readonly operations: ReadonlyArray<Operation> }
  | { readonly _tag: "Failed"; readonly message: string }
