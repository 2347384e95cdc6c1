/** The tables of a workspace in SQL that SQLite and PostgreSQL both understand. */
import * as Effect from "effect/Effect"
import type { Tables, VersionTable } from "../../WorkspaceTables.ts"
import { cursorSql, cursorTable } from "./sqlCursors.ts"
import { deadLetterSql, deadLetterTable } from "./sqlDeadLetters.ts"
import type { Run, SqlDialect } from "./sqlDialect.ts"
import { outboxSql, outboxTable } from "./sqlOutbox.ts"

/** The SQL is made once a store. */
export const sqlTables = (dialect: SqlDialect): ((run: Run) => Tables) => {
  const cursors = cursorSql(dialect)
  const deadLetters = deadLetterSql(dialect)
  const outbox = outboxSql(dialect)
  const versions = versionSql(dialect)
  return (run) => ({
    cursors: cursorTable(cursors, run),
    deadLetters: deadLetterTable(deadLetters, run),
    outbox: outboxTable(outbox, run),
    versions: versionTable(versions, run)
  })
}

const versionSql = ({ table }: SqlDialect) => {
  const versions = table("projection_versions")
  return {
    active: `SELECT active_version FROM ${versions} WHERE projection = $1`,
    activate: `
INSERT INTO ${versions} AS v (projection, active_version) VALUES ($1, $2)
ON CONFLICT (projection) DO UPDATE SET active_version = excluded.active_version
WHERE v.active_version < excluded.active_version
RETURNING active_version`
  }
}

const versionTable = (sql: ReturnType<typeof versionSql>, run: Run): VersionTable => ({
  active: (projection) =>
    Effect.map(run(sql.active, [projection]), ([row]) =>
      row === undefined ? undefined : Number(row["active_version"])
    ),
  activate: (projection, version) => Effect.map(run(sql.activate, [projection, version]), (rows) => rows.length === 1)
})
