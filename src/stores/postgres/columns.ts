/** The columns of an event, and how much of them comes in one answer. */
import { columns } from "../internal/rows.ts"

/** The columns of an event, read from the table or subquery of that name. */
export const columnsOf = (name: string): string => columns.map((column) => `${name}.${column}`).join(", ")

/** Bytes of payloads in one answer, after which rows come without one. */
const bytesPerAnswer = 8_388_608

/** The columns of a row with a running sum `bytes`; the payload only as long as the rows before it are not too much together. */
export const cutOff = (name: string): string =>
  columnsOf(name).replace(
    `${name}.payload`,
    `CASE WHEN ${name}.bytes OPERATOR(pg_catalog.-) pg_catalog.octet_length(${name}.payload)
      OPERATOR(pg_catalog.<) ${bytesPerAnswer} THEN ${name}.payload END`
  )
