/** What a projection is called, in the database and in errors. */
import type { Projection } from "../Projection.ts"

/** What errors call it. */
export const nameOf = ({ name, version }: Projection<unknown>): string => `${name} (version ${version})`

/** The name of the stored cursor of a partition. */
export const cursorOf = ({ name, version }: Projection<unknown>, partition: number): string =>
  `projection ${name}\u0001${version}\u0001${partition}`

/** What a cursor belongs to, beside the query: events would be dealt out anew among another number of partitions. */
export const identityOf = ({ partitions }: Projection<unknown>): string =>
  partitions === 1 ? "" : ` in ${partitions} partitions`
