/** Rows of a benchmark: one JSON object a line, or a readable table. */

export interface Row {
  readonly name: string
  readonly store: string
  readonly work: string
  readonly concurrency: number
  /** Events in the log when the measurement began. */
  readonly logSize: number
  readonly ratePerSecond: number
  /** The raw driver in the same run and mode. */
  readonly rawPerSecond: number
  /** `ratePerSecond` to `rawPerSecond`. */
  readonly ratio: number
}

/** How long something takes. */
export interface Latency {
  readonly name: string
  readonly store: string
  readonly work: string
  readonly p50Ms: number
  readonly p99Ms: number
  /** How many were measured. */
  readonly events: number
}

/** Takes the rows as they come. */
export interface Report {
  readonly row: (row: Row) => void
  readonly latency: (latency: Latency) => void
  /** Says what is going on; to people only. */
  readonly progress: (text: string) => void
}

/** Makes a row, with figures rounded. */
export const toRow = (fields: Omit<Row, "name" | "rawPerSecond" | "ratio">, rawPerSecond: number): Row => ({
  name: `${fields.store} ${fields.work} c=${fields.concurrency} log=${fields.logSize}`,
  ...fields,
  ratePerSecond: Math.round(fields.ratePerSecond),
  rawPerSecond: Math.round(rawPerSecond),
  ratio: Math.round((fields.ratePerSecond / rawPerSecond) * 100) / 100
})

export const jsonReport: Report = {
  row: (row) => console.log(JSON.stringify(row)),
  latency: (latency) => console.log(JSON.stringify(latency)),
  progress: () => undefined
}

const columns = [
  ["store", 8],
  ["work", 26],
  ["concurrency", 11],
  ["logSize", 10],
  ["ratePerSecond", 13],
  ["rawPerSecond", 12],
  ["ratio", 6]
] as const

/** A table whose lines appear as they are measured. */
export const tableReport = (): Report => {
  console.log(columns.map(([column, width]) => pad(column, width)).join("  "))
  return {
    row: (row) => console.log(columns.map(([column, width]) => pad(format(row[column]), width)).join("  ")),
    latency: ({ events, p50Ms, p99Ms, store, work }) =>
      console.log(`${pad(store, 8)}  ${work}: p50 ${p50Ms} ms, p99 ${p99Ms} ms of ${events}`),
    progress: (text) => console.error(`... ${text}`)
  }
}

const pad = (text: string, width: number): string => text.padStart(width)

const format = (value: string | number): string => (typeof value === "number" ? value.toLocaleString("en-US") : value)
